"""The policy-gradient loss on sampled tokens: ratio to the sampling policy, clipped, times the advantage.

Letters: B samples, T position, V vocabulary, N generated tokens of a micro-batch in row order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openseek.rl.rollout import Rollout, advantages

if TYPE_CHECKING:
    from torch import Tensor

    from openseek.inference.sampling import Sampling
    from openseek.model.transformer import Transformer
    from openseek.train.grpo import GRPO
    from openseek.train.loop import Batch, Metrics


@dataclass(frozen=True)
class Lesson:
    """A sample to learn from, with its advantage and how often its group holds it."""

    rollout: Rollout
    advantage: float
    count: int


def distinct(rollouts: list[Rollout], config: GRPO) -> list[Lesson]:
    """The samples that the loss depends on, of like length side by side; at least one.

    Equal samples of a group have equal reward and advantage: one forward pass serves them all. Samples of no advantage
    have no gradient, unless a divergence from the reference counts.
    """
    lessons: list[Lesson] = []
    for start in range(0, len(rollouts), config.group_size):
        group = rollouts[start : start + config.group_size]
        signal = advantages([r.reward for r in group], config.advantage)
        counts = Counter(r.sample.output_ids for r in group)
        unique = {r.sample.output_ids: (r, value) for r, value in zip(group, signal, strict=True)}
        lessons += [Lesson(r, value, counts[ids]) for ids, (r, value) in unique.items()]
    if not config.kl_coefficient:
        lessons = [lesson for lesson in lessons if lesson.advantage] or lessons[:1]
    return sorted(lessons, key=lambda lesson: len(lesson.rollout.prompt.ids) + len(lesson.rollout.sample.output_ids))


def padded(lessons: list[Lesson]) -> Batch:
    """ids [B, T] padded on the right, output [B, T] (generated tokens), count [B], and for the N generated tokens:

    sampled [N], their log-probabilities when drawn, and advantage [N].
    """
    import torch

    rollouts = [lesson.rollout for lesson in lessons]
    rows = [(*r.prompt.ids, *r.sample.output_ids) for r in rollouts]
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    output = torch.zeros(len(rows), width, dtype=torch.bool)
    for place, (rollout, row) in enumerate(zip(rollouts, rows, strict=True)):
        output[place, len(rollout.prompt.ids) : len(row)] = True
    return {
        "ids": ids,
        "output": output,
        "count": torch.tensor([lesson.count for lesson in lessons]),
        "sampled": torch.tensor([logprob for r in rollouts for logprob in r.sample.logprobs]),
        "advantage": torch.tensor([lesson.advantage for lesson in lessons]).repeat_interleave(output.sum(1)),
    }


def token_weights(batch: Batch, config: GRPO, num_tokens: int, num_samples: int) -> Tensor:
    """Weight of each generated token in the loss, [N]; over all samples of a step they sum to 1 (constant: to less)."""
    lengths, counts = batch["output"].sum(1), batch["count"].double()
    shares = {
        "token": counts / num_tokens,
        "sequence": counts / (num_samples * lengths),
        "constant": counts / (num_samples * config.sampling.max_new_tokens),
    }
    return shares[config.normalise].repeat_interleave(lengths).float()


def chosen_logprobs(model: Transformer, ids_BT: Tensor, output_BT: Tensor, sampling: Sampling) -> Tensor:
    """Log-probability of each generated token [N] under the distribution of the rollouts."""
    from openseek.inference.sampling import log_distribution

    # Padding stands on the right, where causal attention does not see it.
    logits_BTV = model(ids_BT, mtp=False).logits_BTV
    learned = output_BT[:, 1:]
    logprobs_NV = log_distribution(logits_BTV[:, :-1][learned], sampling)
    return logprobs_NV.gather(1, ids_BT[:, 1:][learned][:, None])[:, 0]


def policy_objective(config: GRPO) -> Callable[[Transformer, Batch], tuple[Tensor, Metrics]]:
    """The objective: clipped ratio times advantage, and the divergence from the reference where it has a weight."""

    def objective(model: Transformer, batch: Batch) -> tuple[Tensor, Metrics]:
        logprobs = chosen_logprobs(model, batch["ids"], batch["output"], config.sampling)
        advantage, weight = batch["advantage"], batch["weight"]
        ratio = (logprobs - batch["sampled"]).exp()
        clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
        loss = -(weight * (ratio * advantage).minimum(clipped * advantage)).sum()
        gap = (logprobs - batch["sampled"]).detach().abs()
        metrics: Metrics = {
            "clip_fraction": (ratio * advantage > clipped * advantage).double().mean(),
            "logprob_gap": gap.mean(),
            "logprob_gap_max": gap.max(),
        }
        if "reference" in batch:
            apart = batch["reference"] - logprobs
            divergence = apart.exp() - apart - 1
            loss = loss + config.kl_coefficient * (weight * divergence).sum()
            metrics["kl"] = divergence.detach().mean()
        return loss, metrics | {n.removeprefix("rollout_"): batch[n] for n in batch if n.startswith("rollout_")}

    return objective
