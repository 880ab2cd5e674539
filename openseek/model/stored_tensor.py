"""Tensors as they lie in files, and the plan of a new tensor: which bytes of which stored tensors go where.

A plan names every source and every target, so that it can be checked before a byte moves: the pieces of a target tile
it, and every source is used, each byte once unless the plan says that it is repeated. Every tensor is treated as
a matrix: rows = the first dimension (1 for a scalar), columns = the product of the others (1 for a vector).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from openseek.model.fp8_blocks import is_float8, scale_shape

Extent = tuple[int, int]
"""First index and the index after the last."""
Rectangle = tuple[Extent, Extent, bool]
"""Rows, columns, and whether other pieces may lie over it."""


def num_rows(shape: Sequence[int]) -> int:
    """The first dimension; 1 for a scalar."""
    return shape[0] if shape else 1


def num_columns(shape: Sequence[int]) -> int:
    """The product of all dimensions but the first; 1 for a scalar or a vector."""
    return math.prod(shape[1:])


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: contiguous, row-major, in the machine's byte order."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    file: Path
    offset: int
    """Where its first element starts in the file, in bytes."""

    @property
    def num_bytes(self) -> int:
        """How much of the file it takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} of {self.file}"


@dataclass(frozen=True)
class Fill:
    """Rows of a target that no source holds, such as the padding of a vocabulary. They go over all its columns."""

    rows: int
    value: float | Literal["last", "mean"] = 0.0
    """A number, or "last" or "mean": the last row, or the mean of all rows (summed in float64), of `of`."""
    of: StoredTensor | None = None
    """For "last" and "mean": has the target's columns. Reading it here does not count as its use."""


@dataclass(frozen=True)
class Piece:
    """A rectangle of a stored tensor, and its place in the target. It is cast where the target has another dtype."""

    source: StoredTensor | Fill
    rows: Extent | None = None
    """Of the source; None: all of them."""
    columns: Extent | None = None
    row: int = 0
    """Where its first row lands in the target."""
    column: int = 0
    repeated: bool = False
    """Other pieces may use the same bytes, too: tied heads, norms that every rank holds."""
    scale: StoredTensor | None = None
    """The scales of a float8 source, one a block: [ceil(rows / block rows), ceil(columns / block columns)]."""
    block: tuple[int, int] = (128, 128)

    def extents(self, target_columns: int) -> tuple[Extent, Extent]:
        """Rows and columns of the source (of a Fill: 0..rows, 0..`target_columns`), with None spelled out."""
        if isinstance(self.source, Fill):
            return (0, self.source.rows), (0, target_columns)
        shape = self.source.shape
        return self.rows or (0, num_rows(shape)), self.columns or (0, num_columns(shape))


@dataclass(frozen=True)
class Target:
    """A tensor to be written: its pieces must tile it. `whole` makes the plainest one."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]

    @property
    def num_bytes(self) -> int:
        """How much of its file it takes."""
        return math.prod(self.shape) * self.dtype.itemsize


def whole(name: str, source: StoredTensor, dtype: torch.dtype | None = None, repeated: bool = False) -> Target:
    """A target that is all of one source, cast to `dtype` if that is given."""
    return Target(name, dtype or source.dtype, source.shape, (Piece(source, repeated=repeated),))


def check_plan(
    targets: Iterable[Target], sources: Iterable[StoredTensor], unused: Iterable[Piece | StoredTensor] = ()
) -> None:
    """Raise ValueError unless the pieces tile each target and all sources are used up, no byte twice unless repeated.

    `unused` are the parts of sources that go nowhere on purpose (padding rows, copies that were compared); they count
    as used. The error lists up to 20 tensors.
    """
    wrong: list[str] = []
    used: dict[StoredTensor, list[Rectangle]] = {source: [] for source in sources}
    scales: set[StoredTensor] = set()

    def note(piece: Piece, columns: int, where: str) -> None:
        if isinstance(piece.source, Fill):
            return
        if piece.source in used:
            used[piece.source].append((*piece.extents(columns), piece.repeated))
        else:
            wrong.append(f"{where} reads {piece.source}, which is no source of the plan")
        if piece.scale is not None:
            scales.add(piece.scale)

    for target in targets:
        problem = _problem(target)
        if problem:
            wrong.append(f"target {target.name} {list(target.shape)}: {problem}")
            continue
        for piece in target.pieces:
            note(piece, num_columns(target.shape), f"target {target.name}")
    for part in unused:
        piece = part if isinstance(part, Piece) else Piece(part, repeated=True)
        note(piece, 0, "`unused`")
    for source, rectangles in used.items():
        if source in scales:
            continue
        once, any_use = _coverage(source.shape, rectangles)
        if once > 1:
            wrong.append(f"source {source} is used more than once")
        if not any_use and math.prod(source.shape):
            left = "not" if not rectangles else "only partly"
            wrong.append(f"source {source} is {left} used")
    if wrong:
        more = f"; and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise ValueError(f"the plan is wrong for {len(wrong)} tensors: {'; '.join(wrong[:20])}{more}")


def _problem(target: Target) -> str | None:
    """What is wrong with a target by itself; None: nothing."""
    columns = num_columns(target.shape)
    rectangles = []
    for piece in target.pieces:
        problem = _piece_problem(piece, target)
        if problem:
            return problem
        rows, cols = piece.extents(columns)
        height, width = rows[1] - rows[0], cols[1] - cols[0]
        if piece.row < 0 or piece.column < 0:
            return f"a piece lands at row {piece.row}, column {piece.column}"
        if piece.row + height > num_rows(target.shape) or piece.column + width > columns:
            return f"a piece of {height} x {width} at row {piece.row}, column {piece.column} reaches beyond it"
        rectangles.append(((piece.row, piece.row + height), (piece.column, piece.column + width), False))
    most, all_covered = _coverage(target.shape, rectangles)
    if most > 1:
        return "pieces overlap"
    return None if all_covered or not math.prod(target.shape) else "the pieces leave a part of it empty"


def _piece_problem(piece: Piece, target: Target) -> str | None:
    """What is wrong with a piece and its source; None: nothing."""
    source = piece.source
    if isinstance(source, Fill):
        if isinstance(source.value, str):
            if source.of is None or num_columns(source.of.shape) != num_columns(target.shape):
                return f"a Fill with the {source.value} row needs `of`, a tensor with the target's columns"
            if not math.prod(source.of.shape):
                return f"a Fill with the {source.value} row of {source.of}, which is empty"
        return None if source.rows >= 0 and piece.column == 0 else "a Fill goes over whole rows of the target"
    limits = num_rows(source.shape), num_columns(source.shape)
    for extent, limit in zip(piece.extents(0), limits, strict=True):
        if not 0 <= extent[0] <= extent[1] <= limit:
            return f"a piece wants {extent[0]}..{extent[1]} of {source}"
    if piece.scale is not None:
        if not is_float8(source.dtype):
            return f"{source} is {source.dtype} and has no scales, but a piece gives some"
        if is_float8(target.dtype):
            return f"{source} cannot become {target.dtype} with its scales multiplied in: copy it without them"
        if tuple(piece.scale.shape) != scale_shape(source.shape, piece.block):
            return f"scales {piece.scale} do not fit {source} in blocks of {list(piece.block)}"
    elif is_float8(source.dtype) and source.dtype != target.dtype:
        return f"{source} is {source.dtype}: it cannot become {target.dtype} without its scales"
    if source.dtype.is_floating_point != target.dtype.is_floating_point:
        return f"{source} is {source.dtype}, the target {target.dtype}"
    return None


def _coverage(shape: tuple[int, ...], rectangles: list[Rectangle]) -> tuple[int, bool]:
    """(how many unrepeated rectangles lie on one element at most, whether all elements lie under some rectangle)."""
    rows, columns = num_rows(shape), num_columns(shape)
    if len(rectangles) == 1:
        return 1, rectangles[0][:2] == ((0, rows), (0, columns))
    rectangles = [one for one in rectangles if one[0][0] < one[0][1] and one[1][0] < one[1][1]]
    plain = len(rectangles) <= 8 and not any(again for *_, again in rectangles)
    # By far the most tensors; thousands of them are checked before a conversion.
    if plain and not any(_overlap(one, other) for n, one in enumerate(rectangles) for other in rectangles[:n]):
        covered = sum((row[1] - row[0]) * (column[1] - column[0]) for row, column, _ in rectangles)
        return 1, covered == rows * columns
    row_edges = np.unique([0, rows, *(edge for one in rectangles for edge in one[0])])
    column_edges = np.unique([0, columns, *(edge for one in rectangles for edge in one[1])])
    once = np.zeros((len(row_edges) - 1, len(column_edges) - 1), np.int32)
    repeated = np.zeros_like(once)
    for row, column, again in rectangles:
        top, bottom = np.searchsorted(row_edges, row)
        left, right = np.searchsorted(column_edges, column)
        (repeated if again else once)[top:bottom, left:right] += 1
    return int(once.max(initial=0)), bool(((once + repeated) > 0).all())


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles that are not empty have an element in common."""
    return all(a[0] < b[1] and b[0] < a[1] for a, b in zip(one[:2], other[:2], strict=True))
