"""Rollouts: groups of samples from our own model with their log-probabilities and rewards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from openseek.rl.problems import Prompt
from openseek.rl.rewards import REWARDS

if TYPE_CHECKING:
    from openseek.inference.engine import Sample
    from openseek.inference.sampling import Sampling
    from openseek.model.transformer import Transformer


@dataclass(frozen=True)
class RewardTerm:
    """A rule and its weight in the reward."""

    name: str = "math_answer"
    """A name of REWARDS in openseek/rl/rewards: math_answer or format."""
    weight: float = 1.0
    """Factor on its score."""

    def __post_init__(self) -> None:
        if self.name not in REWARDS:
            raise ValueError(f"reward name is {self.name!r}: use one of {', '.join(REWARDS)}")
        if not math.isfinite(self.weight):
            raise ValueError(f"weight of reward {self.name} is {self.weight}: it must be finite")


@dataclass(frozen=True)
class Rollout:
    """One scored sample."""

    prompt: Prompt
    sample: Sample
    completion: str
    """The sample's text without special tokens."""
    scores: tuple[float, ...]
    """Each term's score before its weight."""
    reward: float


def weighted_reward(completion: str, answer: str, terms: Sequence[RewardTerm]) -> tuple[tuple[float, ...], float]:
    """(each term's score, their weighted sum). Raises ValueError for a rule that gives no finite number."""
    scores = []
    for term in terms:
        score = REWARDS[term.name](completion, answer)
        if isinstance(score, str) or score is None or not math.isfinite(score):
            raise ValueError(f"reward {term.name} gave {score!r} for {completion[:80]!r}: it must give a finite number")
        scores.append(float(score))
    return tuple(scores), math.fsum(t.weight * s for t, s in zip(terms, scores, strict=True))


def roll_out(
    model: Transformer,
    prompts: Sequence[Prompt],
    group_size: int,
    sampling: Sampling,
    terms: Sequence[RewardTerm],
    *,
    decode: Callable[[list[int]], str],
    stop_ids: frozenset[int],
    seed: tuple[object, ...],
) -> list[Rollout]:
    """group_size scored samples of each prompt, a prompt's group in a row.

    A sample's random numbers depend on `seed`, the prompt's id and its number in the group alone. A sample that reached
    the length limit was cut and scores nothing: an answer that never ends is none.
    """
    from openseek.inference.engine import generate
    from openseek.inference.sampling import sample_seed

    repeated = [(prompt, number) for prompt in prompts for number in range(group_size)]
    samples = generate(
        model,
        [prompt.ids for prompt, _ in repeated],
        sampling,
        seeds=[sample_seed(*seed, prompt.id, number) for prompt, number in repeated],
        stop_ids=stop_ids,
        max_batch_size=512,
    )
    rollouts = []
    for (prompt, _), sample in zip(repeated, samples, strict=True):
        completion = decode(list(sample.output_ids))
        scores, reward = weighted_reward(completion, prompt.answer, terms)
        if sample.finish_reason == "length":
            scores, reward = (0.0,) * len(terms), 0.0
        rollouts.append(Rollout(prompt, sample, completion, scores, reward))
    return rollouts


def advantages(rewards: Sequence[float], kind: Literal["grpo", "dr_grpo", "none"]) -> list[float]:
    """Advantages within one group.

    grpo: (r - mean) / std over the group (arXiv:2402.03300); dr_grpo: r - mean (arXiv:2503.20783); none: zeros.
    A group of equal rewards, or of one sample, says nothing: zeros, not NaN.
    """
    mean = math.fsum(rewards) / len(rewards)
    std = math.sqrt(math.fsum((r - mean) ** 2 for r in rewards) / len(rewards))
    # Equal rewards such as 0.1 do not always average to themselves.
    if kind == "none" or std < 1e-9:
        return [0.0] * len(rewards)
    return [(r - mean) / (std if kind == "grpo" else 1.0) for r in rewards]


def mean_reward_by_prompt(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Mean reward of each prompt over its samples, by prompt id."""
    groups: dict[str, list[float]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.prompt.id, []).append(rollout.reward)
    return {name: math.fsum(rewards) / len(rewards) for name, rewards in groups.items()}


def summary(rollouts: Sequence[Rollout], group_size: int) -> dict[str, float]:
    """What a step's rollouts look like: reward, share of groups without a difference, entropy, lengths, share cut.

    The entropy is estimated by the mean of -log p over the sampled tokens, in nats.
    """
    rewards = [r.reward for r in rollouts]
    groups = [rewards[i : i + group_size] for i in range(0, len(rewards), group_size)]
    lengths = [len(r.sample.output_ids) for r in rollouts]
    return {
        "reward": math.fsum(rewards) / len(rewards),
        "frac_zero_std": sum(max(group) - min(group) < 1e-9 for group in groups) / len(groups),
        "entropy": -math.fsum(p for r in rollouts for p in r.sample.logprobs) / sum(lengths),
        "length": sum(lengths) / len(lengths),
        "length_max": float(max(lengths)),
        "truncated": sum(r.sample.finish_reason == "length" for r in rollouts) / len(rollouts),
    }
