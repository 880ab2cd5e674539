"""Boxes cut with boxes: any cut of a tensor is filled from any other."""

import pytest

from openseek.model.placement import Placed, Source, cut, rows_of, run, stack, uncut


def filled(target: Placed, source: dict[str, Placed]) -> list[tuple[str, object, object]]:
    """(key, what is read, what it fills) of all parts of a target."""
    places = Source(source.items())
    return [(each.key, each.source, each.target) for part in target.parts for each in places.pieces(part)]


def test_a_column_of_a_whole_and_a_whole_of_columns():
    shape = (4, 6)
    assert filled(cut("w", shape, 1, 1, 2), {"a": uncut("w", shape)}) == [("a", ((0, 4), (3, 6)), ((0, 4), (0, 3)))]
    halves = {str(rank): cut("w", shape, 1, rank, 2) for rank in range(2)}
    assert filled(uncut("w", shape), halves) == [
        ("0", ((0, 4), (0, 3)), ((0, 4), (0, 3))),
        ("1", ((0, 4), (0, 3)), ((0, 4), (3, 6))),
    ]


def test_three_ranks_from_two():
    halves = {str(rank): cut("w", (6,), 0, rank, 2) for rank in range(2)}
    assert filled(cut("w", (6,), 0, 1, 3), halves) == [("0", ((2, 3),), ((0, 1),)), ("1", ((0, 1),), ((1, 2),))]


def test_a_stack_is_taken_apart_and_cut_across():
    fused = stack([uncut("a", (2, 5)), uncut("b", (4, 5))])
    assert fused.shape == (6, 5) and fused.padding_rows == 0
    assert filled(uncut("b", (4, 5)), {"ab": fused}) == [("ab", ((2, 6), (0, 5)), ((0, 4), (0, 5)))]
    half = rows_of(fused, 1, 4)
    assert half.shape == (3, 5)
    assert [(part.whole, part.box, part.at) for part in half.parts] == [
        ("a", ((1, 2), (0, 5)), (0, 0)),
        ("b", ((0, 2), (0, 5)), (1, 0)),
    ]


def test_copies_are_read_once_and_told():
    source = Source(
        [("x", uncut("w", (3,))), ("y", uncut("w", (3,))), ("z", Placed((3,), uncut("w", (3,)).parts, True))]
    )
    assert [piece.key for piece in source.pieces(uncut("w", (3,)).parts[0])] == ["x"]
    assert list(source.alike()) == [("x", "y")]


def test_what_is_nowhere_is_told():
    with pytest.raises(ValueError, match="w: 2 of 6 values are in none of the files"):
        filled(uncut("w", (6,)), {"a": run("w", (6,), 0, 4)})
    with pytest.raises(ValueError, match="does not divide into 4 along dim 0"):
        cut("w", (6, 2), 0, 0, 4)


def test_rows_that_no_part_covers_are_padding():
    assert Placed((8, 2), run("w", (5, 2), 0, 5).parts).padding_rows == 3
    assert Placed((8, 2), ()).padding_rows == 8
