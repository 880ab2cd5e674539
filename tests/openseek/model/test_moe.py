"""Routing, the balance loss and the bias that evens the load."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from openseek.model.moe import MixtureOfExperts, Router, balance_loss, update_router_bias


@pytest.fixture
def layer(small):
    torch.manual_seed(3)
    layer = MixtureOfExperts(small)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer


def test_experts_equal_a_loop_over_tokens(layer, small):
    x = torch.randn(1, 11, small.hidden_size)
    out, _ = layer(x)
    _, chosen, weights = layer.gate(x[0])
    for token in range(11):
        expected = layer.shared_experts(x[0, token])
        for expert, weight in zip(chosen[token], weights[token], strict=True):
            gate, up = (layer.experts.gate_up_proj[expert] @ x[0, token]).chunk(2)
            expected = expected + weight * (layer.experts.down_proj[expert] @ (F.silu(gate) * up))
        torch.testing.assert_close(out[0, token], expected)


def test_an_expert_without_tokens_has_a_zero_gradient(layer, small):
    layer.gate.e_score_correction_bias[0] = -100.0
    layer(torch.randn(1, 5, small.hidden_size))[0].sum().backward()
    assert layer.experts.gate_up_proj.grad[0].abs().sum() == 0
    assert layer.experts.gate_up_proj.grad.abs().sum() > 0


def test_tokens_stay_within_their_groups_and_the_bias_chooses_without_weighting(layer, small):
    x = torch.randn(200, small.hidden_size)
    scores, chosen, weights = layer.gate(x)
    groups = chosen // (small.n_routed_experts // small.n_group)
    assert all(len(set(row.tolist())) <= small.topk_group for row in groups)
    torch.testing.assert_close(weights.sum(-1), torch.full((200,), small.routed_scaling_factor))
    layer.gate.e_score_correction_bias[5] = 10.0
    scores_after, chosen_after, weights_after = layer.gate(x)
    assert (chosen_after == 5).any(-1).all()
    assert torch.equal(scores, scores_after)
    picked = scores.gather(1, chosen_after)
    torch.testing.assert_close(weights_after, small.routed_scaling_factor * picked / picked.sum(-1, keepdim=True))


def test_balance_loss_is_one_when_even_and_counts_no_padding():
    scores = torch.full((2, 8, 4), 0.5)
    hits = torch.zeros(2, 8, 4)
    for token in range(8):
        hits[:, token, token % 4] = hits[:, token, (token + 1) % 4] = 1
    real = torch.ones(2, 8, dtype=torch.bool)
    assert balance_loss(scores, hits, real, 2).item() == pytest.approx(1.0)
    crowded = torch.zeros(2, 8, 4)
    crowded[..., :2] = 1
    uneven = torch.tensor([0.9, 0.9, 0.1, 0.1]).expand(2, 8, 4)
    assert balance_loss(uneven, crowded, real, 2).item() == pytest.approx(1.8)
    padded = torch.cat([scores, uneven], 1), torch.cat([hits, crowded], 1), torch.cat([real, ~real], 1)
    assert balance_loss(*padded, 2).item() == pytest.approx(1.0)


def test_the_bias_update_evens_the_load(small):
    config = dataclasses.replace(small, n_group=1, topk_group=1, bias_update_rate=0.02)
    torch.manual_seed(0)
    layer = MixtureOfExperts(config).train()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, 512, small.hidden_size) + 0.5
    imbalance = []
    for _ in range(60):
        layer(x)
        loads = update_router_bias(layer).double()
        imbalance.append((loads.max() / loads.mean()).item())
        assert loads.sum().item() == 512 * config.num_experts_per_tok
    assert imbalance[0] > 1.5
    assert imbalance[-1] < 1.15
    assert layer.gate.load_E.sum() == 0


def test_padding_and_evaluation_do_not_count(layer, small):
    x = torch.randn(1, 6, small.hidden_size)
    layer.train()(x, torch.tensor([[True, True, True, True, False, False]]))
    assert layer.gate.load_E.sum() == 4 * small.num_experts_per_tok
    layer.eval()(x)
    assert layer.gate.load_E.sum() == 4 * small.num_experts_per_tok


def test_the_bias_is_no_parameter_and_survives_in_the_state(small):
    router = Router(small)
    assert "e_score_correction_bias" not in dict(router.named_parameters())
    assert set(router.state_dict()) == {"weight", "e_score_correction_bias"}
    router.e_score_correction_bias.fill_(0.1234567)
    router.to(torch.bfloat16)
    assert router.weight.dtype == torch.bfloat16
    assert torch.equal(router.e_score_correction_bias, torch.full((small.n_routed_experts,), 0.1234567))
