"""Packing keeps documents apart; the multi-token prediction and the losses have the promised shapes."""

import dataclasses

import pytest
import torch

from openseek.model.config import ModelConfig
from openseek.model.moe import routers
from openseek.model.size import num_parameters
from openseek.model.transformer import Transformer, document_positions


def test_packed_documents_score_as_if_alone(small, build):
    model = build(small)
    first, second = torch.randint(0, 97, (1, 6)), torch.randint(0, 97, (1, 9))
    packed = torch.cat([first, second], 1)
    documents = torch.tensor([[0] * 6 + [1] * 9])
    with torch.no_grad():
        logits = model(packed, documents_BT=documents).logits_BTV
        alone = torch.cat([model(first).logits_BTV, model(second).logits_BTV], 1)
        assert (logits - alone).norm() / alone.norm() < 1e-5
        leaking = model(packed).logits_BTV
        assert (leaking - alone).norm() / alone.norm() > 1e-2
    assert document_positions(documents).tolist() == [[*range(6), *range(9)]]


def test_the_last_position_can_be_scored_alone(small, build):
    model = build(small)
    ids = torch.randint(0, 97, (2, 8))
    with torch.no_grad():
        whole, last = model(ids, mtp=True), model(ids, mtp=True, last_only=True)
    assert torch.allclose(last.logits_BTV, whole.logits_BTV[:, -1:], atol=1e-6)
    assert last.mtp_logits_BTV[0].shape == whole.mtp_logits_BTV[0].shape


def test_outputs_of_training_and_evaluation_mode(small, build):
    model = build(small)
    ids = torch.randint(0, 97, (2, 8))
    quiet = model(ids)
    assert quiet.mtp_logits_BTV == ()
    assert quiet.aux_loss.item() == 0
    assert quiet.logits_BTV.dtype == torch.float32
    loud = model.train()(ids)
    assert [each.shape for each in loud.mtp_logits_BTV] == [(2, 7, 97)]
    assert loud.aux_loss.item() > 0
    (loud.logits_BTV.logsumexp(-1).mean() + loud.mtp_logits_BTV[0].logsumexp(-1).mean() + loud.aux_loss).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_counted_parameters_are_those_of_the_model(small):
    for config in (
        small,
        ModelConfig(vocab_size=64, q_lora_rank=24, tie_word_embeddings=False, num_nextn_predict_layers=0),
    ):
        assert num_parameters(config) == sum(p.numel() for p in Transformer(config).parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_without_experts_is_dense_throughout(tied, small, build):
    config = dataclasses.replace(small, n_routed_experts=0, tie_word_embeddings=tied)
    model = build(config).train()
    assert not list(routers(model))
    assert hasattr(model, "lm_head") != tied
    output = model(torch.randint(0, 97, (2, 8)))
    assert output.aux_loss.item() == 0
    assert num_parameters(config) == sum(p.numel() for p in model.parameters())


def test_scaled_init_starts_what_blocks_write_smaller():
    config = ModelConfig(vocab_size=64, num_hidden_layers=8, attention_bias=True, scaled_init=True)
    torch.manual_seed(0)
    model = Transformer(config)
    writes = ("o_proj.weight", "down_proj.weight", "experts.down_proj")
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert torch.equal(parameter, torch.ones_like(parameter))
        elif name.endswith("bias"):
            assert not parameter.any()
        else:
            std = config.initializer_range / (4 if name.endswith(writes) else 1)
            assert parameter.std().item() == pytest.approx(std, rel=0.1), name
    torch.manual_seed(0)
    plain = Transformer(dataclasses.replace(config, scaled_init=False)).get_parameter("layers.1.mlp.experts.down_proj")
    assert plain.std().item() == pytest.approx(config.initializer_range, rel=0.1)
