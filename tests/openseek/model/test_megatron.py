"""Each rank's tensors against slices made by hand, as Megatron-core documents them; and arguments there and back."""

import dataclasses

import pytest
import torch

from openseek.model.megatron import Megatron, Spec, names_found, names_of_spec, padded_vocab_size
from openseek.model.megatron_args import config_of, megatron_args, sizes_of, split_of
from openseek.model.megatron_layout import Sizes, Split
from openseek.model.placement import Placed
from openseek.model.presets import PRESETS
from openseek.model.tensor_names import expected_tensors

V3 = PRESETS["debug_v3"]
SMALL, LITE, AQUILA = (PRESETS[name] for name in ("debug_small", "debug_v2_lite", "debug_aquila"))

ONE = Sizes()


def megatron(config, sizes=ONE, spec: Spec = "te", cut_down=None) -> dict[str, dict[str, Placed]]:
    """Folder -> the tensors of its only chunk."""
    names = names_of_spec(spec, "mtp_model_layer", cut_down)
    rows = padded_vocab_size(config.vocab_size, 5, sizes.tp)
    files = Megatron(config, sizes, Split(), names, rows).files()
    return {folder: held["model"] for folder, held in files}


def built(placed: Placed, wholes: dict[str, torch.Tensor]) -> torch.Tensor:
    """The tensor that a placement describes; padding is zero."""
    out = torch.zeros(placed.shape)
    for part in placed.parts:
        value = wholes[part.whole][tuple(slice(*each) for each in part.box)]
        out[tuple(slice(a, a + size) for a, size in zip(part.at, value.shape, strict=True))] = value
    return out


def wholes_of(config) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(shape) for name, shape in expected_tensors(config).items()}


def test_a_gated_pair_is_cut_before_it_is_stacked():
    wholes, ranks = wholes_of(V3), megatron(V3, Sizes(tp=2, etp=2))
    for name, hf in (
        ("decoder.layers.0.mlp.linear_fc1.weight", "model.layers.0.mlp."),
        ("decoder.layers.1.mlp.shared_experts.linear_fc1.weight", "model.layers.1.mlp.shared_experts."),
        ("decoder.layers.1.mlp.experts.linear_fc1.weight3", "model.layers.1.mlp.experts.3."),
    ):
        gate, up = wholes[f"{hf}gate_proj.weight"], wholes[f"{hf}up_proj.weight"]
        for rank in range(2):
            expected = torch.cat([gate.chunk(2)[rank], up.chunk(2)[rank]])
            assert torch.equal(built(ranks[f"mp_rank_{rank:02d}"][name], wholes), expected), name
            # A plain stack of both, cut afterwards, is the usual mistake.
            assert not torch.equal(torch.cat([gate, up]).chunk(2)[rank], expected)


def test_rows_columns_and_copies_of_each_matrix():
    wholes, ranks = wholes_of(V3), megatron(V3, Sizes(tp=2))
    attention = "model.layers.2.self_attn."
    for rank in range(2):
        held = {n: built(p, wholes) for n, p in ranks[f"mp_rank_{rank:02d}"].items()}
        here = "decoder.layers.2.self_attention."
        assert torch.equal(held[f"{here}linear_q_up_proj.weight"], wholes[f"{attention}q_b_proj.weight"].chunk(2)[rank])
        o_proj = wholes[f"{attention}o_proj.weight"].chunk(2, dim=1)[rank]
        assert torch.equal(held[f"{here}linear_proj.weight"], o_proj)
        latent = wholes[f"{attention}kv_a_proj_with_mqa.weight"]
        assert torch.equal(held[f"{here}linear_kv_down_proj.weight"], latent)
        assert torch.equal(held["mtp.layers.0.eh_proj.weight"], wholes["model.layers.3.eh_proj.weight"].chunk(2)[rank])
        down = wholes["model.layers.0.mlp.down_proj.weight"].chunk(2, dim=1)[rank]
        assert torch.equal(held["decoder.layers.0.mlp.linear_fc2.weight"], down)
    cut = megatron(V3, Sizes(tp=2), cut_down=True)["mp_rank_01"][
        "decoder.layers.2.self_attention.linear_kv_down_proj.weight"
    ]
    assert torch.equal(built(cut, wholes), wholes[f"{attention}kv_a_proj_with_mqa.weight"].chunk(2)[1])


def test_experts_are_numbered_within_their_rank():
    wholes, ranks = wholes_of(V3), megatron(V3, Sizes(tp=2, ep=4))
    assert list(ranks) == [f"mp_rank_{r % 2:02d}_{r:03d}" for r in range(4)]
    for r, held in enumerate(ranks.values()):
        for k in range(2):
            found = built(held[f"decoder.layers.1.mlp.experts.linear_fc2.weight{k}"], wholes)
            assert torch.equal(found, wholes[f"model.layers.1.mlp.experts.{2 * r + k}.down_proj.weight"])
        assert "decoder.layers.1.mlp.experts.linear_fc2.weight2" not in held


def test_queries_keys_and_values_are_interleaved_by_group():
    wholes, heads, size = wholes_of(AQUILA), 4, 16
    for end in ("weight", "bias"):
        q, k, v = (wholes[f"model.layers.1.self_attn.{name}_proj.{end}"] for name in "qkv")
        q, k, v = (each.reshape(-1, size, *each.shape[1:]) for each in (q, k, v))
        per = heads // k.shape[0]
        groups = [torch.cat([q[g * per : (g + 1) * per], k[g : g + 1], v[g : g + 1]]) for g in range(k.shape[0])]
        fused = torch.cat(groups).flatten(0, 1)
        # tp=4 is more than there are groups: a rank holds half of one.
        for tp in (1, 2, 4):
            for rank, held in enumerate(megatron(AQUILA, Sizes(tp=tp)).values()):
                found = built(held[f"decoder.layers.1.self_attention.linear_qkv.{end}"], wholes)
                assert torch.equal(found, fused.chunk(tp)[rank])


def test_the_vocabulary_is_padded_and_then_cut():
    wholes, ranks = wholes_of(LITE), megatron(LITE, Sizes(tp=4))
    rows = [built(held["output_layer.weight"], wholes) for held in ranks.values()]
    assert [len(each) for each in rows] == [130] * 4
    assert torch.equal(torch.cat(rows)[:512], wholes["lm_head.weight"])
    assert [held["output_layer.weight"].padding_rows for held in ranks.values()] == [0, 0, 0, 8]
    assert padded_vocab_size(151851, 64, 1) == 151872 and padded_vocab_size(151851, 64, 4) == 152064


def test_a_tied_head_is_absent_on_one_stage_and_a_copy_on_another():
    assert "output_layer.weight" not in megatron(SMALL)["mp_rank_00"]
    last = megatron(SMALL, Sizes(pp=3))["mp_rank_00_002"]
    assert last["output_layer.weight"].loose  # the prediction block brings a copy of the embedding
    assert not last["embedding.word_embeddings.weight"].loose
    plain = dataclasses.replace(SMALL, num_nextn_predict_layers=0)
    last = megatron(plain, Sizes(pp=3))["mp_rank_00_002"]
    assert not last["output_layer.weight"].loose and "embedding.word_embeddings.weight" not in last


def test_norms_lie_where_the_spec_has_them():
    te, local = (set(megatron(V3, spec=spec)["mp_rank_00"]) for spec in ("te", "local"))
    assert {
        "decoder.layers.0.mlp.linear_fc1.layer_norm_weight",
        "decoder.layers.0.self_attention.linear_q_up_proj.layer_norm_weight",
        "decoder.layers.0.input_layernorm.weight",
        "decoder.layers.1.pre_mlp_layernorm.weight",
        "decoder.layers.1.mlp.experts.linear_fc1.weight0",
    } <= te
    assert {
        "decoder.layers.0.pre_mlp_layernorm.weight",
        "decoder.layers.0.self_attention.q_layernorm.weight",
        "decoder.layers.1.mlp.experts.local_experts.0.linear_fc1.weight",
    } <= local
    assert "decoder.layers.0.self_attention.linear_qkv.layer_norm_weight" in megatron(AQUILA)["mp_rank_00"]


@pytest.mark.parametrize("config", [V3, SMALL, LITE, AQUILA])
@pytest.mark.parametrize("spec", ["te", "local"])
def test_names_are_told_from_what_is_found(config, spec: Spec):
    wanted = names_of_spec(spec, "mtp_model_layer", None)
    held = megatron(config, Sizes(tp=2), spec=spec)["mp_rank_01"]
    found = names_found({name: placed.shape for name, placed in held.items()}, config)
    if config is AQUILA:
        wanted = dataclasses.replace(wanted, grouped_experts=False, cut_down=False)
    assert found == wanted


@pytest.mark.parametrize(
    "config, sizes, message",
    [
        (V3, Sizes(ep=3), "ep=3 does not divide n_routed_experts=8"),
        (V3, Sizes(tp=3), "tp=3 does not divide num_attention_heads=4"),
        (AQUILA, Sizes(tp=64), "not divisible by tp=64|does not divide into 64"),
        (dataclasses.replace(LITE, attention_bias=True), Sizes(), "no place for self_attn.kv_a_proj_with_mqa.bias"),
        (dataclasses.replace(LITE, rope_interleave=False), Sizes(), "rope_interleave=False"),
    ],
)
def test_what_megatron_cannot_hold_is_refused(config, sizes, message):
    with pytest.raises(ValueError, match=message):
        megatron(config, sizes)


@pytest.mark.parametrize("config", [V3, SMALL, LITE, AQUILA])
def test_arguments_describe_the_model_and_come_back(config):
    sizes, split = Sizes(tp=2, pp=2, ep=2 if config.n_routed_experts else 1), Split(first=1)
    args = megatron_args(config, sizes, split, 64, 512)
    # scaled_init is how training began: Megatron has no argument for it, and does it always.
    assert config_of(args) == dataclasses.replace(config, scaled_init=False)
    assert (sizes_of(args), split_of(args)) == (sizes, split)


def test_a_list_of_layers_becomes_a_layout_string():
    args = megatron_args(V3, Sizes(pp=2), Split(layout="1,2"), 64, 512)
    assert args["pipeline_model_parallel_layout"] == "Et|t*2mL"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"n_group": 4, "topk_group": 2}, "scores a group by its best 2, Megatron-core by its best"),
        ({"scoring_func": "sqrtsoftplus"}, "Megatron-core has sigmoid and softmax"),
        ({"norm_topk_prob": False}, "always divides sigmoid affinities"),
        ({"scoring_func": "softmax"}, "router bias beside sigmoid affinities only"),
    ],
)
def test_a_router_that_megatron_would_compute_otherwise_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        megatron_args(dataclasses.replace(V3, **changes), Sizes(), Split(), 64, 512)


@pytest.mark.parametrize(
    "args, message",
    [
        ({}, "lack num_layers"),
        ({"normalization": "LayerNorm"}, "only RMSNorm"),
        ({"moe_layer_freq": [0, 1, 0]}, "only leading dense layers"),
        ({"moe_shared_expert_intermediate_size": 33}, "is no multiple of moe_ffn_hidden_size"),
    ],
)
def test_arguments_of_a_model_that_is_not_computed_here_are_named(args, message):
    known = megatron_args(V3, Sizes(), Split(), 64, 512)
    with pytest.raises(ValueError, match=message):
        config_of(known | args if args else {})
