"""Which units are compared, which repeat, and what is cut for them."""

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.repeated_lines import (
    DedupLines,
    by_partition,
    compared,
    document_counts,
    hosts,
    repeats_in_order,
    spans_of,
)
from openseek.data.words import string_buffers


def batch(*documents: tuple[str, str, str | None]) -> pa.RecordBatch:
    texts, sources, urls = (list(column) for column in zip(*documents, strict=True))
    columns = [pa.array(texts, pa.large_string()), pa.array(sources), pa.array(urls, pa.string())]
    return pa.RecordBatch.from_arrays(columns, names=["text", "source", "url"])


def cut(text: str, goes: list[int], unit: str = "line") -> str:
    column = batch((text, "web", ""))
    units = compared(column, DedupLines(unit=unit)).units  # type: ignore[arg-type]
    _, offsets = string_buffers(column.column("text"))
    raw = text.encode()
    for start, stop in spans_of(units, np.array(goes, np.int64), offsets)[::-1].tolist():
        assert start < stop
        raw = raw[:start] + raw[stop:]
    return raw.decode()


@pytest.mark.parametrize(
    "goes, left",
    [
        ([], "a\n\nb\n--\nc\nd\n"),
        ([0], "\nb\n--\nc\nd\n"),
        ([1], "a\n\n--\nc\nd\n"),
        ([4], "a\n\nb\n--\nc"),
        ([3, 4], "a\n\nb\n--"),
        ([1, 3, 4], "a\n\n--"),
        ([1, 2, 3, 4], "a"),
        ([0, 1, 2, 3, 4], "\n"),
    ],
)
def test_a_line_goes_with_its_break(goes: list[int], left: str) -> None:
    assert cut("a\n\nb\n--\nc\nd\n", goes) == left


@pytest.mark.parametrize("goes, left", [([0], "c\n\nd"), ([1], "a\nb\n\n\nd"), ([2], "a\nb\n\n\nc"), ([1, 2], "a\nb")])
def test_a_paragraph_goes_with_the_blank_lines_behind_it(goes: list[int], left: str) -> None:
    assert cut("a\nb\n\n\nc\n\nd", goes, "paragraph") == left


def test_units_without_enough_words_are_not_compared() -> None:
    found = compared(batch(("one two three\none\n---\n***\n三个字", "web", "")), DedupLines(unit="line", min_words=3))
    assert found.chosen.tolist() == [0, 4]
    assert compared(batch(("---\none\n***", "web", "")), DedupLines(unit="line")).chosen.tolist() == [1]


def test_sources_may_be_excepted_and_documents_without_a_host_are_left_alone() -> None:
    documents = batch(
        ("a", "web", "http://A.org/x"), ("a", "code", "http://a.org/y"), ("a", "web", ""), ("a", "web", None)
    )
    config = DedupLines(mode="boilerplate", unit="line", except_sources=("code",))
    assert compared(documents, config).units[:, 0].tolist() == [0]
    by_source = DedupLines(mode="boilerplate", unit="line", group="source", max_characters=1)
    assert compared(documents, by_source).units[:, 0].tolist() == [0, 1, 2, 3]
    keys = compared(documents, by_source).keys
    assert (keys[0] == keys[2]) and keys[0] != keys[1]
    long = DedupLines(mode="boilerplate", unit="line", group="source", max_characters=2)
    assert compared(batch(("abc\nab", "web", "")), long).chosen.tolist() == [1]


def test_hosts() -> None:
    urls = ["https://WWW.a.org:80/b?c", "http://u:p@b.cn", "ftp://c?x", "no url", "", None, "http:///x"]
    assert hosts(pa.array(urls, pa.string())).to_pylist() == ["www.a.org", "b.cn", "c", None, None, None, None]


def test_repeats_and_counts_are_those_of_plain_loops() -> None:
    draw = np.random.default_rng(1)
    keys, rows = draw.integers(0, 60, 300).astype(np.uint64), np.sort(draw.integers(0, 40, 300))
    first: dict[int, int] = {}
    expected = [(i, first[k]) for i, k in enumerate(keys.tolist()) if first.setdefault(k, i) != i]
    assert list(zip(*(a.tolist() for a in repeats_in_order(keys)), strict=True)) == expected
    owners: dict[int, list[int]] = {}
    for key, row in zip(keys.tolist(), rows.tolist(), strict=True):
        owners.setdefault(key, []).append(row)
    found = zip(*(a.tolist() for a in document_counts(keys, rows)), strict=True)
    assert list(found) == [(k, len(set(r)), r[0]) for k, r in sorted(owners.items())]
    order, bounds = by_partition(keys, 7)
    assert all((keys[order[bounds[i] : bounds[i + 1]]] % np.uint64(7) == i).all() for i in range(7))
    assert all((np.diff(order[bounds[i] : bounds[i + 1]]) > 0).all() for i in range(7))


@pytest.mark.parametrize("size", [0, 1])
def test_few_keys(size: int) -> None:
    keys = np.zeros(size, np.uint64)
    assert [len(a) for a in repeats_in_order(keys)] == [0, 0]
    assert [len(a) for a in document_counts(keys, np.zeros(size, np.int64))] == [size] * 3


@pytest.mark.parametrize(
    "field, value",
    [
        ("unit", "word"), ("mode", "last"), ("group", "url"), ("error_rate", 0.5), ("error_rate", -1.0),
        ("min_words", 0), ("min_documents", 1), ("max_characters", 0), ("min_remaining", -1),
        ("num_partitions", 0), ("num_partitions", 5000),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"dedup_lines.{field} is"):
        DedupLines(**{field: value})  # type: ignore[arg-type]
