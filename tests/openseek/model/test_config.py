"""The published sizes, and what a wrong field says."""

import pytest

from openseek.model.config import ModelConfig, flops_per_token, num_parameters

SMALL_V1_BASELINE = ModelConfig(
    vocab_size=151872,
    hidden_size=1280,
    num_hidden_layers=6,
    num_attention_heads=10,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    intermediate_size=7168,
    moe_intermediate_size=896,
    n_routed_experts=64,
    num_experts_per_tok=6,
    n_shared_experts=2,
    num_nextn_predict_layers=0,
)


def test_openseek_small_has_its_published_size():
    assert num_parameters(SMALL_V1_BASELINE) == pytest.approx(1.395e9, rel=1e-3)
    assert num_parameters(SMALL_V1_BASELINE, active=True) == pytest.approx(0.397e9, rel=2e-3)
    assert flops_per_token(SMALL_V1_BASELINE, 4096) == pytest.approx(2.617e9, rel=1e-3)


def test_deepseek_v3_has_its_published_size():
    v3 = ModelConfig(
        vocab_size=129280,
        hidden_size=7168,
        num_hidden_layers=61,
        num_attention_heads=128,
        q_lora_rank=1536,
        kv_lora_rank=512,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        intermediate_size=18432,
        moe_intermediate_size=2048,
        n_routed_experts=256,
        num_experts_per_tok=8,
        n_group=8,
        topk_group=4,
        first_k_dense_replace=3,
        tie_word_embeddings=False,
        num_nextn_predict_layers=0,
    )
    assert num_parameters(v3) == pytest.approx(671.03e9, rel=1e-4)
    assert num_parameters(v3, active=True) == pytest.approx(37.55e9, rel=1e-3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"aux_loss_alpha": -1.0}, "aux_loss_alpha=-1.0"),
        ({"q_lora_rank": 0}, "q_lora_rank=0"),
        ({"qk_rope_head_dim": 15}, "must be even"),
        ({"first_k_dense_replace": 9}, "exceeds num_hidden_layers=4"),
        ({"num_nextn_predict_layers": 2}, "must be 0 or 1"),
        ({"n_group": 3}, "must divide"),
        ({"n_group": 8}, "at least 2"),
        ({"topk_group": 2}, "exceeds n_group=1"),
        ({"n_group": 4, "num_experts_per_tok": 3}, "num_experts_per_tok=3"),
    ],
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**fields)
