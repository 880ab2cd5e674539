"""Parts of texts exchanged: as by Python slices, in slices of columns too."""

import random

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.spans import filled, splice


@pytest.mark.parametrize("skip", [0, 2])
def test_parts_are_exchanged(skip: int) -> None:
    draw = random.Random(skip)
    texts = ["", "first text", "שלום", "a\nb", "", "👩‍👩‍👧 end", "x" * 100]
    column = pa.array(texts, pa.large_string()).slice(skip)
    raws = [text.encode() for text in texts]
    starts, stops, new, expected, at = [], [], [], [], 0
    for n, raw in enumerate(raws):
        first, last = sorted((draw.randint(0, len(raw)), draw.randint(0, len(raw))))
        if n >= skip and raw.isascii() and first < last:
            starts.append(at + first)
            stops.append(at + last)
            new.append("新" * (n % 3))
            expected.append((raw[:first] + new[-1].encode() + raw[last:]).decode())
        elif n >= skip:
            expected.append(raw.decode())
        at += len(raw)
    found = splice(column, np.array(starts), np.array(stops), pa.array(new, pa.large_string()))
    assert found.to_pylist() == expected
    found.validate(full=True)


def test_spans_out_of_order_are_refused() -> None:
    column = pa.array(["abc", "def"], pa.large_string())
    with pytest.raises(AssertionError, match="not sorted"):
        splice(column, np.array([4, 0]), np.array([5, 1]), pa.array(["", ""], pa.large_string()))


def test_rows_that_do_not_fit_at_first_are_written_all() -> None:
    def kernel(rows: np.ndarray) -> int:
        rows[:] = np.arange(5)[: len(rows), None]
        return 5

    assert filled(kernel, 2)[:, 0].tolist() == [0, 1, 2, 3, 4]
