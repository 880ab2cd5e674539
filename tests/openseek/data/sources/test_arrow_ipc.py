"""Arrow files and streams: batches, damage, wrong columns."""

from pathlib import Path

import pyarrow as pa
import pytest

from openseek.data.sources import Source, arrow_ipc
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Rows, Skipped
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=10_000, expansion=1000)
TEXTS = [f"text {i} 中文 👩‍👩‍👧 {'x' * (i % 50)}" for i in range(3000)]


def write(path: Path, table: pa.Table, form: str, batch_rows: int = 500) -> bytes:
    opened = pa.ipc.new_file(path, table.schema) if form == "file" else pa.ipc.new_stream(path, table.schema)
    with opened as writer:
        for start in range(0, table.num_rows, batch_rows):
            # A copy: a slice would bring the buffers of the whole table.
            part = table.take(list(range(start, min(start + batch_rows, table.num_rows))))
            writer.write_table(part)
    return path.read_bytes()


def read(path: Path, limits: Limits = LIMITS) -> list[Item]:
    return flat(arrow_ipc.read(RawFile.at(path), Source("s", str(path)), limits))


def flat(items) -> list[Item]:
    return [row for item in items for row in (item.rows() if isinstance(item, Rows) else (item,))]


@pytest.mark.parametrize("form", ["file", "stream"])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_rows_of_both_forms_with_their_numbers(tmp_path: Path, form: str, kind: pa.DataType) -> None:
    table = pa.table({"text": pa.array(TEXTS).cast(kind), "url": ["http://a"] * 3000, "n": list(range(3000))})
    write(tmp_path / "a.arrow", table, form)
    items = list(arrow_ipc.read(RawFile.at(tmp_path / "a.arrow"), Source("s", "p"), LIMITS))
    assert any(isinstance(item, Rows) for item in items)
    rows = flat(items)
    assert [(r.position, r.text, r.url, r.meta) for r in rows if isinstance(r, Row)] == [
        (i, text, "http://a", {"n": i}) for i, text in enumerate(TEXTS)
    ]


@pytest.mark.parametrize("form", ["file", "stream"])
def test_a_cut_file_is_a_break_after_the_whole_batches(tmp_path: Path, form: str, drain) -> None:
    path = tmp_path / "a.arrow"
    data = write(path, pa.table({"text": TEXTS}), form)
    path.write_bytes(data[: len(data) * 2 // 3])
    items, broken = drain(arrow_ipc.read(RawFile.at(path), Source("s", "p"), LIMITS))
    rows = flat(items)
    assert len(rows) in range(1000, 2501, 500)
    assert [row.text for row in rows if isinstance(row, Row)] == TEXTS[: len(rows)]
    assert "cut off" in broken.reason


def test_a_file_without_its_footer_keeps_all_its_batches(tmp_path: Path, drain) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(write(path, pa.table({"text": TEXTS}), "file")[:-8])
    items, broken = drain(arrow_ipc.read(RawFile.at(path), Source("s", "p"), LIMITS))
    assert len(flat(items)) == 3000
    assert "no footer" in broken.reason


def test_a_damaged_batch_costs_no_other_where_the_footer_tells_them_apart(tmp_path: Path, drain) -> None:
    path = tmp_path / "a.arrow"
    data = bytearray(write(path, pa.table({"text": TEXTS}), "file"))
    # Offsets of the second batch: they stand before its characters.
    start = data.index(TEXTS[500].encode()) - 800
    data[start : start + 100] = b"\x7f" * 100
    path.write_bytes(data)
    items, broken = drain(arrow_ipc.read(RawFile.at(path), Source("s", "p"), LIMITS))
    assert "record batch 1 is damaged" in broken.reason
    assert len(flat(items)) == 500
    rows = read(path, Limits(10_000, 1000, resync=True))
    assert [r.text for r in rows if isinstance(r, Row)] == TEXTS[:500] + TEXTS[1000:]
    assert [type(r) for r in rows if not isinstance(r, Row)] == [Bad]


def test_rows_that_are_not_sound_are_taken_out_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    texts = pa.array([b"good", b"\xd6\xd0", b"x" * 20_000, b"  ", None, b"also good"], pa.binary())
    write(path, pa.table({"text": texts.view(pa.string())}), "stream")
    assert [type(item) for item in read(path)] == [Row, Bad, Bad, Skipped, Bad, Row]


def test_other_files_and_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write(path, pa.table({"body": ["a"]}), "file")
    with pytest.raises(ValueError, match=r"has no column 'text'; it has body: set the \*_column fields"):
        read(path)
    path.write_bytes(b'{"text": "no arrow"}')
    with pytest.raises(ValueError, match="is no Arrow file"):
        read(path)
    for data in (b"", b"ARROW1\0\0", b"\xff\xff\xff\xff\xff\x00\x00\x00"):
        path.write_bytes(data)
        with pytest.raises(BrokenStream):
            read(path)
