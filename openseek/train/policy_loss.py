"""The policy-gradient loss on sampled tokens: ratio to the sampling policy, clipped, times the advantage.

Letters: B samples, T position, V vocabulary, N generated tokens of a micro-batch in row order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from openseek.inference.sampling import Sampling
    from openseek.model.transformer import Transformer
    from openseek.rl.rollout import Rollout
    from openseek.train.grpo import GRPO
    from openseek.train.loop import Batch, Metrics


def padded(rollouts: list[Rollout], signal: list[float]) -> Batch:
    """ids [B, T] padded on the right, output [B, T] (generated tokens), and for the N generated tokens in row order:

    sampled [N], their log-probabilities when drawn, and advantage [N].
    """
    import torch

    rows = [(*r.prompt.ids, *r.sample.output_ids) for r in rollouts]
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    output = torch.zeros(len(rows), width, dtype=torch.bool)
    for place, (rollout, row) in enumerate(zip(rollouts, rows, strict=True)):
        output[place, len(rollout.prompt.ids) : len(row)] = True
    lengths = torch.tensor([len(r.sample.output_ids) for r in rollouts])
    return {
        "ids": ids,
        "output": output,
        "sampled": torch.tensor([logprob for r in rollouts for logprob in r.sample.logprobs]),
        "advantage": torch.tensor(signal).repeat_interleave(lengths),
    }


def token_weights(output_BT: Tensor, config: GRPO, num_tokens: int, num_samples: int) -> Tensor:
    """Weight of each generated token in the loss, [N] in row order; they sum to 1 over a step (constant: to less)."""
    lengths = output_BT.sum(1)
    shares = {
        "token": lengths.double().fill_(1 / num_tokens),
        "sequence": 1 / (num_samples * lengths.double()),
        "constant": lengths.double().fill_(1 / (num_samples * config.sampling.max_new_tokens)),
    }
    return shares[config.normalise].repeat_interleave(lengths).float()


def chosen_logprobs(model: Transformer, ids_BT: Tensor, output_BT: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """(log-probability of each generated token [N], entropy there [N]) under the distribution of the rollouts."""
    from openseek.inference.sampling import log_distribution

    # Padding stands on the right, where causal attention does not see it.
    logits_BTV = model(ids_BT, mtp=False).logits_BTV
    learned = output_BT[:, 1:]
    logprobs_NV = log_distribution(logits_BTV[:, :-1][learned], sampling)
    chosen_N = logprobs_NV.gather(1, ids_BT[:, 1:][learned][:, None])[:, 0]
    return chosen_N, -(logprobs_NV.exp() * logprobs_NV).sum(-1)


def policy_objective(config: GRPO) -> Callable[[Transformer, Batch], tuple[Tensor, Metrics]]:
    """The objective: clipped ratio times advantage, and the divergence from the reference where it has a weight."""

    def objective(model: Transformer, batch: Batch) -> tuple[Tensor, Metrics]:
        logprobs, entropy = chosen_logprobs(model, batch["ids"], batch["output"], config.sampling)
        advantage, weight = batch["advantage"], batch["weight"]
        ratio = (logprobs - batch["sampled"]).exp()
        clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
        loss = -(weight * (ratio * advantage).minimum(clipped * advantage)).sum()
        gap = (logprobs - batch["sampled"]).detach().abs()
        metrics: Metrics = {
            "entropy": entropy.detach().mean(),
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
