"""Which part of which whole tensor lies where in the files of a checkpoint: cuts, stacks, copies and padding as boxes.

Plain values, no torch. A *whole* is a tensor under its Hugging Face name, without padding. Both sides of a conversion
are described this way, so that any layout is written from any other by cutting boxes with boxes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Shape = tuple[int, ...]
Box = tuple[tuple[int, int], ...]
"""Start and stop in each dim."""


@dataclass(frozen=True)
class Part:
    """A box of a whole tensor, and where in a file's tensor it lies."""

    whole: str
    """HF name of the whole tensor."""
    box: Box
    """What of it."""
    at: Shape
    """First index of it in the file's tensor, in each dim."""


@dataclass(frozen=True)
class Placed:
    """One tensor of a file: its shape and what it is made of. What no part covers is padding."""

    shape: Shape
    parts: tuple[Part, ...]
    loose: bool = False
    """A copy that nobody reads or keeps equal: it must be there, and may differ from its original."""

    @property
    def padding_rows(self) -> int:
        """Rows at the end that no part covers."""
        covered = sum(prod(_extent(part.box)) for part in self.parts)
        return (prod(self.shape) - covered) // prod(self.shape[1:])


@dataclass(frozen=True)
class Slice(Generic[K]):
    """A box of one stored tensor that fills a box of another."""

    key: K
    """Where the source is stored, as given to `Source`."""
    source: Box
    """What to read of it."""
    target: Box
    """What it fills."""


def uncut(name: str, shape: Shape) -> Placed:
    """A tensor stored as it is."""
    return Placed(shape, (Part(name, tuple((0, size) for size in shape), (0,) * len(shape)),))


def cut(name: str, shape: Shape, dim: int, number: int, of: int) -> Placed:
    """The `number`-th of `of` equal parts along `dim`; ValueError where the size does not divide."""
    size, rest = divmod(shape[dim], of)
    if rest:
        raise ValueError(f"{name} {list(shape)} does not divide into {of} along dim {dim}: give a divisor of it")
    return run(name, shape, number * size, (number + 1) * size, dim)


def run(name: str, shape: Shape, start: int, stop: int, dim: int = 0) -> Placed:
    """The indices `start` to `stop` along `dim`."""
    box = tuple((start, stop) if d == dim else (0, size) for d, size in enumerate(shape))
    return Placed(_extent(box), (Part(name, box, (0,) * len(shape)),))


def stack(pieces: Iterable[Placed]) -> Placed:
    """Tensors one below the other, along dim 0."""
    parts: list[Part] = []
    rows, rest = 0, ()
    for piece in pieces:
        parts += [Part(part.whole, part.box, (part.at[0] + rows, *part.at[1:])) for part in piece.parts]
        rows, rest = rows + piece.shape[0], piece.shape[1:]
    return Placed((rows, *rest), tuple(parts))


def rows_of(stored: Placed, start: int, stop: int) -> Placed:
    """The rows `start` to `stop` of a stacked tensor, as one of its own."""
    window: Box = ((start, stop), *((0, size) for size in stored.shape[1:]))
    parts = []
    for part in stored.parts:
        held = _common(_place(part), window)
        if held is not None:
            box = _shift(held, tuple(b[0] - a for b, a in zip(part.box, part.at, strict=True)))
            parts.append(Part(part.whole, box, (held[0][0] - start, *(begin for begin, _ in held[1:]))))
    return Placed(_extent(window), tuple(parts))


class Source(Generic[K]):
    """Every place of a checkpoint that holds some of a whole tensor."""

    def __init__(self, held: Iterable[tuple[K, Placed]]) -> None:
        self.places: dict[str, dict[Box, list[tuple[K, Part]]]] = {}
        for key, tensor in held:
            for part in () if tensor.loose else tensor.parts:
                self.places.setdefault(part.whole, {}).setdefault(part.box, []).append((key, part))

    def pieces(self, part: Part) -> list[Slice[K]]:
        """What to read to fill one part of a target; of copies the first. ValueError when some of it is nowhere."""
        found: list[Slice[K]] = []
        filled = 0
        for box, ((key, place), *_) in self.places.get(part.whole, {}).items():
            held = _common(box, part.box)
            if held is None:
                continue
            read = _shift(held, tuple(a - b[0] for a, b in zip(place.at, place.box, strict=True)))
            fill = _shift(held, tuple(a - b[0] for a, b in zip(part.at, part.box, strict=True)))
            found.append(Slice(key, read, fill))
            filled += prod(_extent(held))
        wanted = prod(_extent(part.box))
        if filled != wanted:
            raise ValueError(f"{part.whole}: {wanted - filled} of {wanted} values are in none of the files")
        return found

    def alike(self) -> Iterator[tuple[K, K]]:
        """Pairs of places that hold the same and must not differ: the first copy, and each other one."""
        pairs = {
            (first, key): None
            for boxes in self.places.values()
            for (first, _), *others in boxes.values()
            for key, _ in others
        }
        yield from pairs


def _place(part: Part) -> Box:
    """The box of the file's tensor that a part lies in."""
    return tuple((a, a + stop - start) for a, (start, stop) in zip(part.at, part.box, strict=True))


def _extent(box: Box) -> Shape:
    return tuple(stop - start for start, stop in box)


def _shift(box: Box, by: Shape) -> Box:
    return tuple((start + move, stop + move) for (start, stop), move in zip(box, by, strict=True))


def _common(a: Box, b: Box) -> Box | None:
    """What two boxes share; None if nothing."""
    shared = tuple((max(x[0], y[0]), min(x[1], y[1])) for x, y in zip(a, b, strict=True))
    return shared if all(start < stop for start, stop in shared) else None
