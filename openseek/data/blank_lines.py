"""Runs of empty lines in an Arrow column."""

from __future__ import annotations

import numpy as np
from numba import njit

from openseek.data.spans import filled


@njit(nogil=True, cache=True)
def _blank_runs(buffer, offsets, wanted, runs):
    count = 0
    for d in range(wanted.shape[0]):
        if not wanted[d]:
            continue
        i, stop = offsets[d], offsets[d + 1]
        while i < stop:
            if buffer[i] != 10:
                i += 1
                continue
            end, blanks, j = i + 1, 0, i + 1
            while j < stop and (buffer[j] == 32 or buffer[j] == 9 or buffer[j] == 10):
                if buffer[j] == 10:
                    end = j + 1
                    blanks += 1
                j += 1
            if blanks >= 2:
                if count < runs.shape[0]:
                    runs[count, 0], runs[count, 1], runs[count, 2] = d, i, end
                count += 1
            # Blanks that no line end follows are not read again as the start of another run: they hold none.
            i = end
    return count


def blank_runs(buffer: np.ndarray, offsets: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int64 [runs, 3]: document, start and end of each line end that two or more lines of blanks and tabs follow."""
    return filled(lambda runs: _blank_runs(buffer, offsets, wanted, runs))
