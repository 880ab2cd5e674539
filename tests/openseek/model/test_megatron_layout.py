"""Layers on stages, and ranks on files: Megatron's rules, worked out by hand."""

import pytest

from openseek.model.megatron_layout import Sizes, Split, expanded, layout_string


def layers(split: Split, num_layers: int, sizes: Sizes, num_mtp: int = 0) -> list[tuple[int, int, tuple[int, ...]]]:
    """(stage, virtual stage, layers) of each chunk."""
    return [(c.stage, c.virtual, c.layers) for c in split.chunks(num_layers, num_mtp, sizes)]


def test_layers_are_dealt_out_evenly_and_by_virtual_stages():
    assert layers(Split(), 4, Sizes(pp=2)) == [(0, 0, (0, 1)), (1, 0, (2, 3))]
    interleaved = [(0, 0, (0, 1)), (1, 0, (2, 3)), (0, 1, (4, 5)), (1, 1, (6, 7))]
    assert layers(Split(), 8, Sizes(pp=2, vpp=2)) == interleaved


@pytest.mark.parametrize(
    "split, num_layers, pp, counts",
    [
        (Split(first=13), 27, 2, [13, 14]),
        (Split(last=13), 61, 4, [16, 16, 16, 13]),
        (Split(first=1, last=2), 9, 4, [1, 3, 3, 2]),
        (Split(layout="3,1,0,2"), 6, 4, [3, 1, 0, 2]),
        (Split(account_for_embedding=True, account_for_loss=True), 6, 2, [3, 3]),
        (Split(account_for_embedding=True, account_for_loss=True), 6, 4, [1, 2, 2, 1]),
        (Split(layout="Et*2|(t|)*2tmL"), 5, 4, [2, 1, 1, 1]),
    ],
)
def test_uneven_stages(split, num_layers, pp, counts):
    found = layers(split, num_layers, Sizes(pp=pp), num_mtp="m" in split.layout)
    assert [len(here) for _, _, here in found] == counts
    assert [layer for _, _, here in found for layer in here] == list(range(num_layers))


def test_a_layout_string_places_prediction_block_and_loss():
    chunks = Split("Et*3|(tt|)*29,m|L").chunks(61, 1, Sizes(pp=16, vpp=2))
    assert [(c.stage, c.virtual) for c in chunks if c.mtp] == [(14, 1)]
    assert [(c.stage, c.virtual) for c in chunks if c.loss] == [(15, 1)]
    assert [c.stage for c in chunks if c.embedding] == [0]
    assert chunks[0].layers == (0, 1, 2) and chunks[16].layers == (33, 34)
    # Without a layout string both are on the last chunk.
    last = Split().chunks(4, 2, Sizes(pp=2))[-1]
    assert last.mtp == (0, 1) and last.loss


def test_a_layout_string_survives_being_shortened():
    for layout in ("Ettt|tt|tt|mL", "E|t|t|L", "Et*10|m|L"):
        assert expanded(layout_string(expanded(layout))) == expanded(layout)


@pytest.mark.parametrize(
    "split, num_layers, num_mtp, sizes, message",
    [
        (Split(), 27, 0, Sizes(pp=2), "27 layers do not divide evenly over 2 of pp=2 stages: give first or last"),
        (Split(first=20), 27, 0, Sizes(pp=3), "7 layers after first=20 and last=0 do not divide"),
        (Split(first=14, last=14), 27, 0, Sizes(pp=2), "-1 layers"),
        (Split(first=2), 4, 0, Sizes(), "need more than one stage"),
        (Split(layout="13,13"), 27, 0, Sizes(pp=2), "has 26 decoder layers, and the model 27"),
        (Split(layout="13,14"), 27, 0, Sizes(pp=3), "names 2 stages"),
        (Split(layout="Ett|ttL"), 4, 0, Sizes(pp=3), "has 2 stages, not pp\\*vpp=3\\*1"),
        (Split(layout="Ett|mttL"), 4, 1, Sizes(pp=2), "m after all t"),
        (Split(layout="Ett|ttL"), 4, 1, Sizes(pp=2), "has 0 multi-token prediction blocks, and the model 1"),
        (Split(layout="Ettt|m|mL"), 3, 2, Sizes(pp=3), "all m on one stage"),
        (Split(layout="Ettt|m|L|"), 3, 1, Sizes(pp=2, vpp=2), "last virtual stage"),
        (Split(layout="tt|ttL"), 4, 0, Sizes(pp=2), "begin with E"),
        (Split(layout="Ext|tL"), 2, 0, Sizes(pp=2), "has x: use E embedding"),
        (Split(layout="E(t|tL"), 2, 0, Sizes(pp=2), "has \\(: use"),
        (Split(), 6, 0, Sizes(pp=2, vpp=2), "do not divide into vpp=2"),
    ],
)
def test_an_impossible_layout_is_refused_with_the_remedy(split, num_layers, num_mtp, sizes, message):
    with pytest.raises(ValueError, match=message):
        split.units(num_layers, num_mtp, sizes)


def test_only_one_way_to_split_is_taken():
    with pytest.raises(ValueError, match="give one of"):
        Split(layout="2,2", first=2)
    with pytest.raises(ValueError, match="needs pipeline stages"):
        Sizes(vpp=2)
    with pytest.raises(ValueError, match="tp=0"):
        Sizes(tp=0)


@pytest.mark.parametrize(
    "sizes, ranks",
    [
        (Sizes(), [(0, 0, 0)]),
        (Sizes(tp=2), [(0, 0, 0), (1, 0, 0)]),
        (Sizes(tp=2, etp=2), [(0, 0, 0), (1, 0, 1)]),
        (Sizes(tp=2, ep=2, etp=2), [(0, 0, 0), (1, 0, 1), (0, 1, 0), (1, 1, 1)]),
        # The experts' ranks lie over the same ranks: not tp * ep files.
        (Sizes(tp=2, ep=2), [(0, 0, 0), (1, 1, 0)]),
        (Sizes(tp=2, ep=4), [(0, 0, 0), (1, 1, 0), (0, 2, 0), (1, 3, 0)]),
        (Sizes(tp=4, ep=2, etp=2), [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1)]),
        (Sizes(tp=4, ep=2), [(0, 0, 0), (1, 1, 0), (2, 0, 0), (3, 1, 0)]),
    ],
)
def test_ranks_of_attention_and_experts_share_files(sizes, ranks):
    assert sizes.ranks() == ranks


def test_an_expert_cut_that_file_names_cannot_tell_is_refused():
    with pytest.raises(ValueError, match="give etp that divides tp"):
        Sizes(tp=1, etp=2)


def test_folders_name_the_ranks_that_there_are():
    assert Sizes().folder(0, 0, 0) == "mp_rank_00"
    assert Sizes(pp=2).folder(3, 1, 0) == "mp_rank_03_001"
    assert Sizes(tp=2, ep=2).folder(1, 0, 1) == "mp_rank_01_001"
    assert Sizes(pp=12, ep=2).folder(0, 11, 1) == "mp_rank_00_011_001"
