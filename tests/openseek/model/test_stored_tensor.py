"""Plans of tensors: what tiles a target and uses up its sources passes, anything else is named."""

from pathlib import Path

import pytest
import torch

from openseek.model.stored_tensor import Fill, Piece, StoredTensor, Target, check_plan, whole

FILE = Path("model.safetensors")


def stored(name: str, *shape: int, dtype: torch.dtype = torch.bfloat16) -> StoredTensor:
    return StoredTensor(name, dtype, shape, FILE, 64)


GATE, UP = stored("gate", 6, 4), stored("up", 6, 4)


def half(source: StoredTensor, rank: int, row: int, repeated: bool = False) -> Piece:
    return Piece(source, rows=(3 * rank, 3 * rank + 3), row=row, repeated=repeated)


def fused(*ranks: int) -> list[Target]:
    """The gated feed-forward weight of each rank: its half of `gate` above its half of `up`."""
    return [Target(f"fc1.{r}", torch.bfloat16, (6, 4), (half(GATE, r, 0), half(UP, r, 3))) for r in ranks]


def test_a_plan_that_uses_all_once_passes():
    check_plan(fused(0, 1), [GATE, UP])


def test_scalars_vectors_and_empty_tensors_are_tiled_by_one_piece():
    sources = [stored("scalar"), stored("vector", 5), stored("empty", 0, 7), stored("deep", 2, 3, 4)]
    check_plan([whole(source.name, source) for source in sources], sources)


def test_columns_of_tensors_with_more_dimensions_are_those_of_the_rest_flattened():
    stacked = stored("experts", 2, 6, 4)
    halves = [
        Target(f"{r}", torch.bfloat16, (2, 3, 4), (Piece(stacked, columns=(12 * r, 12 * r + 12)),)) for r in (0, 1)
    ]
    check_plan(halves, [stacked])


@pytest.mark.parametrize(
    "targets, sources, words",
    [
        (fused(0), [GATE, UP], "source gate .* only partly used.*source up .* only partly used"),
        (fused(0, 1), [GATE, UP, stored("norm", 4)], "source norm .* is not used"),
        (fused(0, 1, 1), [GATE, UP], "source gate .* more than once.*source up"),
        (fused(0, 1), [GATE], "reads up .*no source of the plan"),
        ([Target("t", torch.bfloat16, (6, 4), (half(GATE, 0, 0),))], [GATE], "target t .*empty"),
        ([Target("t", torch.bfloat16, (6, 4), (half(GATE, 0, 0), half(GATE, 1, 2)))], [GATE], "target t .*overlap"),
        ([Target("t", torch.bfloat16, (6, 4), (half(GATE, 0, 0), half(GATE, 1, 4)))], [GATE], "target t .*beyond"),
        ([Target("t", torch.bfloat16, (6, 4), (Piece(GATE, rows=(0, 7)),))], [GATE], "wants 0..7 of gate"),
        ([Target("t", torch.int64, (6, 4), (Piece(GATE),))], [GATE], "gate .*bfloat16, the target torch.int64"),
        ([Target("t", torch.bfloat16, (3, 4), (Piece(Fill(3, "last")),))], [], "last row needs `of`"),
    ],
)
def test_a_wrong_plan_is_refused_with_the_tensors_named(targets: list[Target], sources: list[StoredTensor], words: str):
    with pytest.raises(ValueError, match=words):
        check_plan(targets, sources)


def test_bytes_are_used_twice_only_where_the_plan_says_so():
    norm = stored("norm", 4)
    first = whole("norm.0", norm)
    check_plan([first, whole("norm.1", norm, repeated=True)], [norm])
    with pytest.raises(ValueError, match="norm .* more than once"):
        check_plan([first, whole("norm.1", norm)], [norm])


def test_repeated_pieces_must_still_reach_all_of_a_source():
    twice = [Target(str(n), torch.bfloat16, (3, 4), (half(GATE, 0, 0, repeated=True),)) for n in range(2)]
    with pytest.raises(ValueError, match="only partly used"):
        check_plan(twice, [GATE])


def test_padding_rows_go_nowhere_only_where_the_plan_says_so():
    table = stored("embedding", 8, 4)
    cut = Target("embedding", torch.bfloat16, (5, 4), (Piece(table, rows=(0, 5)),))
    check_plan([cut], [table], unused=[Piece(table, rows=(5, 8))])
    with pytest.raises(ValueError, match="only partly used"):
        check_plan([cut], [table])


def test_float8_needs_scales_that_fit_and_counts_them_as_used():
    weight, scale = stored("w", 200, 130, dtype=torch.float8_e4m3fn), stored("w_scale_inv", 2, 2, dtype=torch.float32)
    check_plan([Target("w", torch.bfloat16, (200, 130), (Piece(weight, scale=scale),))], [weight, scale])
    with pytest.raises(ValueError, match="cannot become torch.bfloat16 without its scales"):
        check_plan([whole("w", weight, torch.bfloat16)], [weight])
    small = stored("w_scale_inv", 1, 2, dtype=torch.float32)
    with pytest.raises(ValueError, match="scales w_scale_inv .* do not fit w"):
        check_plan([Target("w", torch.bfloat16, (200, 130), (Piece(weight, scale=small),))], [weight, small])


def test_a_long_list_of_wrong_tensors_is_cut_and_counted():
    sources = [stored(f"t{n}", 2) for n in range(25)]
    with pytest.raises(ValueError, match="wrong for 25 tensors.*; and 5 more"):
        check_plan([], sources)
