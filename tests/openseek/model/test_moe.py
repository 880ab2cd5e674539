"""Routing, the balance loss and the bias that evens the load."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from openseek.model.config import ModelConfig
from openseek.model.moe import (
    MixtureOfExperts,
    Router,
    balance_loss,
    grouped_linear,
    looped_linear,
    update_router_bias,
    z_loss,
)


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
    _, _, chosen, weights = layer.gate(x[0])
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
    _, scores, chosen, weights = layer.gate(x)
    groups = chosen // (small.n_routed_experts // small.n_group)
    assert all(len(set(row.tolist())) <= small.topk_group for row in groups)
    torch.testing.assert_close(weights.sum(-1), torch.full((200,), small.routed_scaling_factor))
    layer.gate.e_score_correction_bias[5] = 10.0
    _, scores_after, chosen_after, weights_after = layer.gate(x)
    assert (chosen_after == 5).any(-1).all()
    assert torch.equal(scores, scores_after)
    picked = scores.gather(1, chosen_after)
    torch.testing.assert_close(weights_after, small.routed_scaling_factor * picked / picked.sum(-1, keepdim=True))


def test_balance_loss_is_one_when_even_and_counts_no_padding():
    scores = torch.full((2, 8, 4), 0.25)
    hits = torch.zeros(2, 8, 4)
    for token in range(8):
        hits[:, token, token % 4] = hits[:, token, (token + 1) % 4] = 1
    real = torch.ones(2, 8, dtype=torch.bool)
    assert balance_loss(scores, hits, real, 2).item() == pytest.approx(1.0)
    crowded = torch.zeros(2, 8, 4)
    crowded[..., :2] = 1
    uneven = torch.tensor([0.45, 0.45, 0.05, 0.05]).expand(2, 8, 4)
    assert balance_loss(uneven, crowded, real, 2).item() == pytest.approx(1.8)
    padded = torch.cat([scores, uneven], 1), torch.cat([hits, crowded], 1), torch.cat([real, ~real], 1)
    assert balance_loss(*padded, 2).item() == pytest.approx(1.0)


@pytest.mark.parametrize("scoring", ["sigmoid", "softmax", "sqrtsoftplus"])
def test_the_balance_loss_is_that_of_the_report(scoring, small):
    config = dataclasses.replace(small, scoring_func=scoring, aux_loss_alpha=1.0)
    torch.manual_seed(2)
    layer = MixtureOfExperts(config).train()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 9, config.hidden_size)
    routing = layer.gate(x.flatten(0, 1))
    expected = 0.0
    for row in (range(9), range(9, 18)):
        for expert in range(config.n_routed_experts):
            hits = sum(expert in routing.chosen_MK[token].tolist() for token in row)
            share = sum((routing.scores_ME[token, expert] / routing.scores_ME[token].sum()).item() for token in row)
            frequency = hits * config.n_routed_experts / (config.num_experts_per_tok * 9)
            expected += frequency * share / 9 / 2
    assert layer(x)[1].item() == pytest.approx(expected, rel=1e-5)
    assert expected > 1.0005


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


FAMILY = {
    "v3": {},
    "v3, one group": {"n_group": 1, "topk_group": 1},
    "v2-lite": {
        "scoring_func": "softmax",
        "topk_method": "greedy",
        "n_group": 1,
        "topk_group": 1,
        "norm_topk_prob": False,
    },
    "v2": {"scoring_func": "softmax", "topk_method": "group_limited_greedy", "norm_topk_prob": False},
    "v4": {"scoring_func": "sqrtsoftplus", "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.5},
    "sigmoid without bias": {"topk_method": "greedy", "n_group": 1, "topk_group": 1},
}


def routed(config: ModelConfig, logits: list[float], bias: list[float]) -> dict[int, float]:
    """Expert -> weight of one token, by the formulas of the reports, one number at a time."""
    exponentials = [math.exp(x) for x in logits]
    scores = {
        "sigmoid": [1 / (1 + math.exp(-x)) for x in logits],
        "softmax": [x / sum(exponentials) for x in exponentials],
        "sqrtsoftplus": [math.sqrt(math.log(1 + x)) for x in exponentials],
    }[config.scoring_func]
    choice = [score + (b if config.topk_method == "noaux_tc" else 0) for score, b in zip(scores, bias, strict=True)]
    size = len(logits) // config.n_group
    groups = [choice[g * size : (g + 1) * size] for g in range(config.n_group)]
    best = 2 if config.topk_method == "noaux_tc" else 1
    ranked = sorted(range(config.n_group), key=lambda g: -sum(sorted(groups[g])[-best:]))[: config.topk_group]
    allowed = [expert for expert in range(len(logits)) if expert // size in ranked]
    chosen = sorted(allowed, key=lambda expert: -choice[expert])[: config.num_experts_per_tok]
    total = sum(scores[expert] for expert in chosen) if config.norm_topk_prob else 1.0
    return {expert: config.routed_scaling_factor * scores[expert] / total for expert in chosen}


@pytest.mark.parametrize("kind", FAMILY)
def test_every_router_of_the_family_follows_its_formulas(kind, small):
    config = dataclasses.replace(small, **FAMILY[kind])
    torch.manual_seed(5)
    router = Router(config)
    torch.nn.init.normal_(router.weight, std=0.3)
    bias = torch.zeros(config.n_routed_experts)
    if config.has_router_bias:
        bias = router.e_score_correction_bias.normal_(std=0.3)
    logits, _, chosen, weights = router(torch.randn(60, config.hidden_size))
    for token in range(60):
        expected = routed(config, logits[token].tolist(), bias.tolist())
        actual = dict(zip(chosen[token].tolist(), weights[token].tolist(), strict=True))
        assert actual == pytest.approx(expected, rel=1e-5)
    assert ("e_score_correction_bias" in router.state_dict()) == config.has_router_bias


@pytest.mark.parametrize("kind", FAMILY)
def test_an_even_router_has_a_balance_loss_of_alpha_and_the_z_loss_of_equal_logits(kind, small):
    config = dataclasses.replace(small, **FAMILY[kind], aux_loss_alpha=0.25, router_z_loss_alpha=0.0)
    x = torch.randn(2, 7, config.hidden_size)
    for z_alpha in (0.0, 0.5):
        layer = MixtureOfExperts(dataclasses.replace(config, router_z_loss_alpha=z_alpha)).train()
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        torch.nn.init.zeros_(layer.gate.weight)
        assert layer(x)[1].item() == pytest.approx(0.25 + z_alpha * math.log(config.n_routed_experts) ** 2)
    assert layer.eval()(x)[1].item() == 0


def test_the_z_loss_counts_no_padding():
    logits = torch.tensor([[[0.0, 0.0], [3.0, 3.0], [50.0, 50.0]]])
    expected = (math.log(2) ** 2 + (3 + math.log(2)) ** 2) / 2
    assert z_loss(logits, torch.tensor([[True, True, False]])).item() == pytest.approx(expected)
    assert z_loss(logits, torch.zeros(1, 3, dtype=torch.bool)).item() == 0


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_recomputed_forward_counts_no_token_twice(reentrant, layer, small):
    layer.train()
    x = torch.randn(2, 9, small.hidden_size, requires_grad=True)
    gradients = []
    for run in (lambda: checkpoint(layer, x, use_reentrant=reentrant), lambda: layer(x)):
        for _ in range(2):  # micro-batches
            out, aux_loss = run()
            (out.sum() + aux_loss).backward()
        assert layer.gate.load_E.sum() == 2 * 18 * small.num_experts_per_tok
        layer.gate.load_E.zero_()
        gradients.append([p.grad.clone() for p in (x, *layer.parameters()) if p.grad is not None])
        layer.zero_grad()
        x.grad = None
    assert len(gradients[0]) == 7
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_a_router_without_bias_reports_its_loads_and_keeps_its_weights(small):
    config = dataclasses.replace(small, **FAMILY["v2-lite"])
    layer = MixtureOfExperts(config).train()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    layer(torch.randn(1, 10, config.hidden_size))
    assert update_router_bias(layer).sum() == 10 * config.num_experts_per_tok
    assert layer.gate.load_E.sum() == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_routing_stays_in_float32_under_autocast(layer, small):
    x = torch.randn(50, small.hidden_size)
    with torch.autocast("cpu", torch.bfloat16):
        inside = layer.gate(x)
    assert torch.equal(inside.logits_ME, layer.gate(x).logits_ME)
    assert inside.weights_MK.dtype == torch.float32


def test_without_shared_experts_only_the_routed_ones_add(layer, small):
    alone = MixtureOfExperts(dataclasses.replace(small, n_shared_experts=0))
    alone.load_state_dict({k: v for k, v in layer.state_dict().items() if not k.startswith("shared_experts")})
    x = torch.randn(1, 6, small.hidden_size)
    torch.testing.assert_close(alone(x)[0] + layer.shared_experts(x), layer(x)[0])


def test_the_grouped_product_equals_the_loop():
    torch.manual_seed(0)
    load = torch.tensor([3, 0, 5, 2])
    rows, weight, upstream = torch.randn(10, 16), torch.randn(4, 24, 16), torch.randn(10, 24)
    results = []
    for product in (looped_linear, grouped_linear):
        x, w = rows.clone().requires_grad_(), weight.clone().requires_grad_()
        out = product(x, w, load)
        results.append((out, *torch.autograd.grad(out, (x, w), upstream)))
    for looped, grouped in zip(*results, strict=True):
        torch.testing.assert_close(grouped, looped)
    assert results[1][2][1].abs().sum() == 0
