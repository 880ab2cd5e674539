"""Rotary tables against transformers' own, plain and stretched by YaRN."""

from dataclasses import replace

import pytest
import torch

from openseek.model.config import Yarn
from openseek.model.rope import apply_rotary, attention_factor, frequencies, rotary_tables, softmax_factor

YARNS = {
    "V3": Yarn(),
    "V2-Lite": Yarn(mscale=0.707, mscale_all_dim=0.707),
    "uneven": Yarn(mscale=1.0, mscale_all_dim=0.5),
    "neither mscale": Yarn(mscale=0, mscale_all_dim=0),
    "no mscale_all_dim": Yarn(mscale_all_dim=0),
    "short": Yarn(factor=8, original_max_position_embeddings=64),
    "one pair blends": Yarn(beta_fast=1.0, beta_slow=1.0, factor=4),
    "from the first pair": Yarn(beta_fast=5000),
}
WIDTH, THETA = 64, 10000.0


def theirs(yarn: Yarn, width: int = WIDTH, theta: float = THETA):
    """The rotary module and the softmax scale of a DeepSeek-V3 of transformers with one head of 2 * width."""
    from transformers import DeepseekV3Config
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Attention, DeepseekV3RotaryEmbedding

    keys = {name: value for name, value in vars(yarn).items() if value}
    config = DeepseekV3Config(
        hidden_size=8,
        num_attention_heads=1,
        num_key_value_heads=1,
        qk_nope_head_dim=width,
        qk_rope_head_dim=width,
        max_position_embeddings=int(yarn.factor * yarn.original_max_position_embeddings),
        rope_parameters={"rope_type": "yarn", "rope_theta": theta, **keys},
    )
    return DeepseekV3RotaryEmbedding(config), DeepseekV3Attention(config, 0).scaling


@pytest.mark.parametrize("name", YARNS)
def test_yarn_is_that_of_transformers_also_beyond_the_original_length(name: str) -> None:
    yarn = YARNS[name]
    module, scaling = theirs(yarn)
    positions = torch.tensor([[0, 1, 5, yarn.original_max_position_embeddings, int(yarn.factor * 4096) - 1]])
    expected = module(torch.zeros(1), positions)
    for ours, table in zip(rotary_tables(positions, WIDTH, THETA, yarn), expected, strict=True):
        assert torch.allclose(ours, table[..., : WIDTH // 2], rtol=0, atol=1e-6)
    assert torch.equal(frequencies(WIDTH, THETA, yarn), module.inv_freq)
    assert attention_factor(yarn) == pytest.approx(module.attention_scaling)
    assert (2 * WIDTH) ** -0.5 * softmax_factor(yarn) == pytest.approx(scaling)


@pytest.mark.parametrize("bug", [{"beta_fast": 16.0}, {"beta_slow": 2.0}, {"factor": 20.0}])
def test_another_yarn_would_be_seen(bug: dict[str, float]) -> None:
    module, _ = theirs(Yarn())
    assert not torch.allclose(frequencies(WIDTH, THETA, replace(Yarn(), **bug)), module.inv_freq, rtol=1e-3)


def test_yarn_leaves_fast_pairs_alone_and_slows_the_slow_ones_by_the_factor() -> None:
    plain, stretched = frequencies(WIDTH, THETA, None), frequencies(WIDTH, THETA, Yarn())
    assert torch.equal(stretched[0], plain[0])
    assert torch.allclose(stretched[-1], plain[-1] / 40)
    assert (stretched <= plain).all()


def test_v2_scales_its_softmax_as_v3_does() -> None:
    from transformers import DeepseekV2Config
    from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2Attention

    yarn = YARNS["V2-Lite"]
    config = DeepseekV2Config(rope_parameters={"rope_type": "yarn", "rope_theta": THETA, **vars(yarn)})
    with torch.device("meta"):
        scaling = DeepseekV2Attention(config, 0).scaling
    assert config.qk_head_dim**-0.5 * softmax_factor(yarn) == pytest.approx(scaling)
    assert softmax_factor(yarn) > 1.5  # leaving it out would be seen


@pytest.mark.parametrize("interleave", [True, False])
def test_products_of_turned_vectors_depend_on_the_distance_alone(interleave: bool) -> None:
    query, key = torch.randn(2, 1, 1, 1, 8).double().unbind()

    def product(query_position: int, key_position: int, key_interleave: bool) -> float:
        turned = [
            apply_rotary(vector.float(), rotary_tables(torch.tensor([[position]]), 8, 100.0), layout)
            for vector, position, layout in ((query, query_position, interleave), (key, key_position, key_interleave))
        ]
        return (turned[0] * turned[1]).sum().item()

    assert product(7, 3, interleave) == pytest.approx(product(104, 100, interleave), abs=1e-4)
    assert product(7, 7, interleave) == pytest.approx((query * key).sum().item(), abs=1e-4)
    assert abs(product(7, 7, not interleave) - (query * key).sum().item()) > 1e-3  # layouts must not be mixed


def test_both_layouts_are_those_of_transformers() -> None:
    from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek

    vectors = torch.randn(2, 3, 5, 8)
    cos, sin = rotary_tables(torch.arange(5)[None], 8, 100.0)
    both = torch.cat([cos, cos], -1), torch.cat([sin, sin], -1)
    for interleave, turn in ((True, deepseek.apply_rotary_pos_emb_interleave), (False, deepseek.apply_rotary_pos_emb)):
        expected, _ = turn(vectors, vectors, *both)
        assert torch.allclose(apply_rotary(vectors, (cos, sin), interleave), expected, atol=1e-6)
