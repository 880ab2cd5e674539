import math

import pytest
import torch

from openseek.inference.sampling import Sampling
from openseek.model.config import ModelConfig
from openseek.model.transformer import Transformer
from openseek.rl import rollout as rollouts
from openseek.rl.problems import Prompt
from openseek.rl.rewards import REWARDS
from openseek.rl.rollout import RewardTerm, advantages, mean_reward_by_prompt, roll_out, summary, weighted_reward

TERMS = (RewardTerm("math_answer", 1.0), RewardTerm("format", 0.25))


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(ModelConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2, initializer_range=0.2))


def sampled(model: Transformer, prompts, max_new_tokens: int = 6, seed: tuple = ("s", 0)):
    return roll_out(
        model,
        prompts,
        4,
        Sampling(max_new_tokens=max_new_tokens),
        TERMS,
        decode=lambda ids: " ".join(str(i) for i in ids if i > 3),
        stop_ids=frozenset({0, 1, 2, 3}),
        seed=seed,
    )


PROMPTS = [Prompt("a", "a", (5, 6), "7"), Prompt("b", "b", (8,), "9"), Prompt("c", "c", (5, 6), "7")]


def test_a_group_depends_on_its_prompts_id_and_not_on_its_neighbours(model: Transformer) -> None:
    together = sampled(model, PROMPTS)
    assert [r.prompt.id for r in together] == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    alone = sampled(model, PROMPTS[1:2])
    assert [r.sample.output_ids for r in alone] == [r.sample.output_ids for r in together[4:8]]
    assert [r.sample.output_ids for r in together[:4]] != [r.sample.output_ids for r in together[8:]], "other id"
    assert [r.sample.output_ids for r in sampled(model, PROMPTS, seed=("s", 1))] != [
        r.sample.output_ids for r in together
    ]


def test_what_was_cut_scores_nothing(model: Transformer) -> None:
    cut = sampled(model, [Prompt("d", "d", (5,), "7")] * 1, max_new_tokens=1)
    for r in cut:
        assert r.reward == 0 or r.sample.finish_reason == "stop"
    numbers = summary(cut, 4)
    assert numbers["truncated"] == sum(r.sample.finish_reason == "length" for r in cut) / 4
    assert numbers["entropy"] > 0
    assert mean_reward_by_prompt(cut) == {"d": sum(r.reward for r in cut) / 4}


def test_terms_are_weighted() -> None:
    assert weighted_reward("<think>a</think><answer>4</answer>", "4", TERMS) == ((1.0, 1.0), 1.25)
    assert weighted_reward("", "4", TERMS) == ((0.0, 0.0), 0.0)
    with pytest.raises(ValueError, match="use one of math_answer, format"):
        RewardTerm("maths")
    with pytest.raises(ValueError, match="must be finite"):
        RewardTerm("format", math.nan)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "1"])
def test_a_rule_that_gives_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, value) -> None:
    monkeypatch.setitem(REWARDS, "format", lambda completion, answer: value)
    with pytest.raises(ValueError, match="reward format gave"):
        weighted_reward("x", "4", TERMS)


@pytest.mark.parametrize("kind", ["grpo", "dr_grpo", "none"])
@pytest.mark.parametrize("rewards", [[1.0] * 4, [0.0] * 4, [0.1] * 3, [0.7]])
def test_a_group_without_a_difference_has_no_advantage(kind, rewards: list[float]) -> None:
    assert advantages(rewards, kind) == [0.0] * len(rewards)


def test_advantages_are_centred_and_normalised() -> None:
    assert advantages([1.0, 0.0, 0.0, 1.0], "grpo") == [1.0, -1.0, -1.0, 1.0]
    assert advantages([1.0, 0.0, 0.0, 0.0], "dr_grpo") == [0.75, -0.25, -0.25, -0.25]
    assert advantages([1.0, 0.0], "none") == [0.0, 0.0]
    assert rollouts.advantages([True, False], "dr_grpo") == [0.5, -0.5]
