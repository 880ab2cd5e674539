"""Small models with every part switched on."""

import pytest
import torch

from openseek.model.config import ModelConfig
from openseek.model.moe import routers
from openseek.model.transformer import Transformer

SMALL = ModelConfig(
    vocab_size=97,
    hidden_size=48,
    num_hidden_layers=3,
    num_attention_heads=3,
    kv_lora_rank=24,
    qk_nope_head_dim=12,
    qk_rope_head_dim=8,
    v_head_dim=20,
    intermediate_size=64,
    moe_intermediate_size=32,
    n_routed_experts=8,
    num_experts_per_tok=3,
    n_group=4,
    topk_group=2,
    initializer_range=0.2,
)


@pytest.fixture
def small() -> ModelConfig:
    """A config whose head widths all differ, with groups, experts and multi-token prediction."""
    return SMALL


def build(config: ModelConfig, seed: int = 0) -> Transformer:
    """A model with random weights, random norm gains and random router biases, in evaluation mode."""
    torch.manual_seed(seed)
    model = Transformer(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
        for router in routers(model):
            router.e_score_correction_bias.normal_(std=0.3)
    return model.eval()


@pytest.fixture(name="build")
def build_fixture():
    """The function `build`."""
    return build
