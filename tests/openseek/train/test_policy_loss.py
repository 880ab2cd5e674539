import dataclasses

import pytest
import torch

from openseek.inference.engine import Sample
from openseek.inference.sampling import Sampling
from openseek.model.config import ModelConfig
from openseek.model.transformer import Transformer
from openseek.rl.problems import Prompt
from openseek.rl.rollout import RewardTerm, Rollout, advantages, roll_out
from openseek.train.grpo import GRPO
from openseek.train.policy_loss import chosen_logprobs, distinct, padded, policy_objective, token_weights

CONFIG = GRPO(group_size=4, sampling=Sampling(max_new_tokens=5, temperature=0.8))
PROMPTS = [Prompt("a", "a", (5, 6, 7), "7"), Prompt("b", "b", (8,), "9")]


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    shape = ModelConfig(vocab_size=12, hidden_size=32, num_hidden_layers=2, initializer_range=0.3)
    return Transformer(shape)


@pytest.fixture(scope="module")
def rollouts(model: Transformer) -> list[Rollout]:
    stop_ids = frozenset({0, 1, 2, 3, 4})
    seed, terms = ("t",), (RewardTerm(),)
    found = roll_out(model, PROMPTS, 4, CONFIG.sampling, terms, decode=str, stop_ids=stop_ids, seed=seed)
    # One sample twice in a group, and rewards that differ within both groups; equal samples have equal rewards.
    found[1] = dataclasses.replace(found[1], sample=found[0].sample)
    return [dataclasses.replace(r, reward=sum(r.sample.output_ids) % 3 / 2) for r in found]


def batch_of(rollouts: list[Rollout], config: GRPO) -> dict[str, torch.Tensor]:
    batch = padded(distinct(rollouts, config))
    num_tokens = sum(len(r.sample.output_ids) for r in rollouts)
    return {**batch, "weight": token_weights(batch, config, num_tokens, len(rollouts))}


def plain_loss(model: Transformer, rollouts: list[Rollout], config: GRPO) -> torch.Tensor:
    """The same loss, a forward pass for each sample, written as in the paper."""
    num_tokens = sum(len(r.sample.output_ids) for r in rollouts)
    total = torch.zeros(())
    for start in (0, 4):
        group = rollouts[start : start + 4]
        for r, advantage in zip(group, advantages([r.reward for r in group], config.advantage), strict=True):
            ids = torch.tensor([[*r.prompt.ids, *r.sample.output_ids]])
            logprobs = torch.log_softmax(model(ids, mtp=False).logits_BTV[0] / config.sampling.temperature, -1)
            begin, count = len(r.prompt.ids), len(r.sample.output_ids)
            new = logprobs[torch.arange(begin - 1, begin + count - 1), ids[0, begin:]]
            ratio = (new - torch.tensor(r.sample.logprobs)).exp()
            clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
            surrogate = torch.minimum(ratio * advantage, clipped * advantage)
            share = {"token": 1 / num_tokens, "sequence": 1 / (8 * count), "constant": 1 / (8 * 5)}[config.normalise]
            total = total - share * surrogate.sum()
    return total


@pytest.mark.parametrize("normalise", ["token", "sequence", "constant"])
@pytest.mark.parametrize("advantage", ["grpo", "dr_grpo"])
def test_the_loss_and_its_gradient_are_the_papers(model, rollouts, normalise, advantage) -> None:
    config = dataclasses.replace(CONFIG, normalise=normalise, advantage=advantage)
    moved = Transformer(model.config)
    moved.load_state_dict(model.state_dict())
    with torch.no_grad():  # off the sampling policy, so that some ratios are clipped
        moved.embed_tokens.weight.add_(
            0.15 * torch.randn(moved.embed_tokens.weight.shape, generator=torch.Generator().manual_seed(1))
        )
    loss, metrics = policy_objective(config)(moved, batch_of(rollouts, config))
    expected = plain_loss(moved, rollouts, config)
    assert float(metrics["clip_fraction"]) > 0
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4, abs=1e-6)
    ours = torch.autograd.grad(loss, moved.embed_tokens.weight)[0]
    theirs = torch.autograd.grad(expected, moved.embed_tokens.weight)[0]
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-6)


def test_equal_samples_are_computed_once_and_weigh_twice(rollouts) -> None:
    lessons = distinct(rollouts, CONFIG)
    assert max(lesson.count for lesson in lessons) >= 2
    assert len(padded(lessons)["ids"]) == len(lessons) < len(rollouts)


def test_on_policy_the_ratio_is_one_and_nothing_is_clipped(model, rollouts) -> None:
    _, metrics = policy_objective(CONFIG)(model, batch_of(rollouts, CONFIG))
    assert float(metrics["clip_fraction"]) == 0
    assert float(metrics["logprob_gap_max"]) < 1e-4
    # Control: at another temperature the sampled log-probabilities are not the model's.
    hotter = dataclasses.replace(CONFIG, sampling=Sampling(max_new_tokens=5))
    _, metrics = policy_objective(hotter)(model, batch_of(rollouts, hotter))
    assert float(metrics["logprob_gap_max"]) > 1e-2


def test_groups_without_a_difference_have_no_gradient(model, rollouts) -> None:
    equal = [dataclasses.replace(r, reward=1.0) for r in rollouts]
    lessons = distinct(equal, CONFIG)
    assert len(lessons) == 1, "one is kept so that every rank takes part in the step"
    loss, _ = policy_objective(CONFIG)(model, batch_of(equal, CONFIG))
    (gradient,) = torch.autograd.grad(loss, model.embed_tokens.weight)
    assert float(loss.detach()) == 0
    assert not gradient.any()
    with_reference = dataclasses.replace(CONFIG, kl_coefficient=0.1)
    assert len(distinct(equal, with_reference)) > 1, "the divergence counts without an advantage too"


def test_the_divergence_is_k3_and_pulls_back(model, rollouts) -> None:
    config = dataclasses.replace(CONFIG, advantage="none", kl_coefficient=0.5)
    batch = batch_of(rollouts, config)
    with torch.no_grad():
        reference = chosen_logprobs(model, batch["ids"], batch["output"], config.sampling)
    loss, metrics = policy_objective(config)(model, {**batch, "reference": reference})
    assert float(metrics["kl"]) == pytest.approx(0, abs=1e-6)
    shifted = reference + 0.3
    loss, metrics = policy_objective(config)(model, {**batch, "reference": shifted})
    assert float(metrics["kl"]) == pytest.approx(float(torch.tensor(0.3).exp() - 1.3), rel=1e-4)
    assert float(loss.detach()) == pytest.approx(0.5 * float(metrics["kl"]), rel=1e-4)


def test_padding_and_token_zero_are_told_apart(model) -> None:
    """Pad id 0 is a real token here too: masks come from lengths, never from ids."""
    samples = [Sample((5,), (0, 0, 0), (-1.0,) * 3, "length"), Sample((5,), (0,), (-1.0,), "stop")]
    prompt = Prompt("z", "z", (5,), "1")
    rollouts = [Rollout(prompt, s, "", (0.0,), float(i)) for i, s in enumerate(samples)]
    config = dataclasses.replace(CONFIG, group_size=2)
    batch = padded(distinct(rollouts, config))
    assert batch["output"].sum(1).tolist() == [1, 3]
    assert chosen_logprobs(model, batch["ids"], batch["output"], config.sampling).shape == (4,)
