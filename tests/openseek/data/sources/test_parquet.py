"""Parquet rows, wrong columns, cut files, bad UTF-8."""

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.data.sources import Source, parquet
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Rows
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=10_000, expansion=1000)


def singly(items: Iterable[Item]) -> list[Any]:
    """The items, columns taken apart."""
    return [one for item in items for one in (item.rows() if isinstance(item, Rows) else (item,))]


def write(path: Path, **columns: list) -> Source:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return Source("s", str(path))


def test_rows_with_their_numbers_and_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    source = write(path, text=["a", "b", "c"], stars=[1, None, 3], seen=[datetime.date(2024, 1, 2)] * 3)
    items = singly(parquet.read(RawFile.at(path), source, LIMITS))
    assert [(i.position, i.text, i.meta["stars"]) for i in items if isinstance(i, Row)] == [
        (0, "a", 1),
        (1, "b", None),
        (2, "c", 3),
    ]


def test_a_file_without_the_column_is_refused_with_the_remedy(tmp_path: Path) -> None:
    source = write(tmp_path / "a.parquet", content=["a"])
    with pytest.raises(ValueError, match=r"a.parquet has no column 'text'; it has content: set the \*_column fields"):
        list(parquet.read(RawFile.at(tmp_path / "a.parquet"), source, LIMITS))


def test_a_cut_file_is_a_break_and_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    source = write(path, text=["abc" * 100] * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BrokenStream, match="no footer"):
        list(parquet.read(RawFile.at(path), source, LIMITS))
    path.write_bytes(b"")
    with pytest.raises(BrokenStream, match="no footer"):
        list(parquet.read(RawFile.at(path), source, LIMITS))
    path.write_bytes(b'{"text": "no parquet"}')
    with pytest.raises(ValueError, match="is no parquet file"):
        list(parquet.read(RawFile.at(path), source, LIMITS))


def test_a_damaged_row_group_is_a_break_after_the_sound_rows(tmp_path: Path, drain) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {i} {'x' * i}" for i in range(2000)]})
    pq.write_table(table, path, row_group_size=1000, compression="zstd")
    second = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    begin = second.data_page_offset
    data[begin : begin + 200] = b"\xff" * 200
    path.write_bytes(data)
    items, broken = drain(parquet.read(RawFile.at(path), Source("s", str(path)), LIMITS))
    assert "row group" in broken.reason
    assert len(singly(items)) in range(500, 1001)


def test_bad_utf8_and_long_rows_are_taken_out_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    text = pa.array([b"good", b"\xd6\xd0", b"x" * 20_000, b"also good"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": text}), path)
    items = singly(parquet.read(RawFile.at(path), Source("s", str(path)), LIMITS))
    assert [type(item) for item in items] == [Row, Bad, Bad, Row]
    assert [item.position for item in items] == [0, 1, 2, 3]


def test_a_bomb_is_quarantined_by_row_group(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": pa.array([f"{i:07d}" + "0" * 99_993 for i in range(800)])})
    with pq.ParquetWriter(path, table.schema, compression="zstd", use_dictionary=False) as writer:
        writer.write_table(table)
        writer.write_table(table.slice(0, 3))
    items = singly(parquet.read(RawFile.at(path), Source("s", str(path)), Limits(1 << 20, 100)))
    assert [(type(item), item.position) for item in items] == [(Bad, 0), (Row, 800), (Row, 801), (Row, 802)]
    assert "max_expansion 100: 800 rows not read" in items[0].error
