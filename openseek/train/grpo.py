"""GRPO (DeepSeekMath, arXiv:2402.03300): rule rewards, advantages within a group of samples, clipped ratio.

    rho = pi(token) / pi_old(token)
    loss = -min(rho A, clip(rho, 1 - low, 1 + high) A) + beta (pi_ref/pi - log(pi_ref/pi) - 1)

Strictly on-policy: every optimizer step samples anew, from the weights it then changes. The router's bias is frozen:
moving it would change the policy without a gradient. Letters: B samples, T position.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from openseek.inference.sampling import Sampling
from openseek.rl.problems import Prompt
from openseek.rl.rollout import RewardTerm, Rollout, mean_reward_by_prompt, roll_out, summary
from openseek.train.loop import Fit
from openseek.train.policy_loss import chosen_logprobs, distinct, padded, policy_objective, token_weights
from openseek.train.schedule import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from openseek.artifact import Facts
    from openseek.model.transformer import Transformer
    from openseek.parallel.dims import Ranks
    from openseek.train.loop import Batch


CHOICES = {"advantage": ("grpo", "dr_grpo", "none"), "normalise": ("token", "sequence", "constant")}


@dataclass(frozen=True)
class GRPO:
    """Reinforcement learning of a checkpoint on problems with verifiable answers."""

    fit: Fit = Fit(num_steps=50, schedule=Schedule(kind="constant", peak=5e-4, warmup_steps=5), weight_decay=0.0)
    """Optimizer, schedule and ranks; each of its steps is one round of rollouts."""
    sampling: Sampling = Sampling(max_new_tokens=64)
    """How answers are drawn; temperature above 0, no top_p and top_k, so that the loss sees the same distribution."""
    rewards: tuple[RewardTerm, ...] = (RewardTerm(),)
    """Rules whose weighted sum is the reward."""
    prompts_per_step: int = 16
    """Problems of a step, over all ranks."""
    group_size: int = 8
    """Samples of each problem."""
    micro_batch_size: int = field(default=64, metadata={"runtime": True})
    """Distinct samples of one forward pass on one rank."""
    advantage: Literal["grpo", "dr_grpo", "none"] = "grpo"
    """Group-normalised; only centred (Dr. GRPO); or none: all zero, to measure what the rest of the loop does."""
    normalise: Literal["token", "sequence", "constant"] = "token"
    """The loss is a mean over all tokens (DAPO), over samples of their means (GRPO), or sums over max_new_tokens."""
    clip_low: float = 0.2
    """The ratio counts down to 1 - clip_low."""
    clip_high: float = 0.28
    """The ratio counts up to 1 + clip_high (clip-higher of DAPO, arXiv:2503.14476)."""
    kl_coefficient: float = 0.0
    """Weight of the k3 divergence from the checkpoint that training started from; 0 keeps no copy of it."""
    heldout_fraction: float = 0.2
    """Share of the problems kept out of training, by their text's hash, and measured before and after."""
    heldout_prompts: int = 128
    """Most held-out problems measured."""
    heldout_samples: int = 4
    """Samples of each held-out problem."""
    patience: int = 50
    """Steps in a row without any difference of rewards within a group after which the run is given up."""
    seed: int = 0
    """Order of problems and all sampling."""

    def __post_init__(self) -> None:
        for name in ("prompts_per_step", "group_size", "micro_batch_size", "heldout_samples", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.fit.ema_decay:
            raise ValueError(f"fit.ema_decay={self.fit.ema_decay}: only pretraining keeps an average; set it to 0")
        if self.group_size < 2 and self.advantage != "none":
            raise ValueError(f"group_size={self.group_size} compares nothing: a group needs at least 2 samples")
        if self.sampling.temperature == 0 or self.sampling.top_p != 1 or self.sampling.top_k:
            raise ValueError(
                f"sampling.temperature={self.sampling.temperature}, top_p={self.sampling.top_p} and "
                f"top_k={self.sampling.top_k}: rollouts need a temperature above 0, top_p=1 and top_k=0"
            )
        if not self.rewards:
            raise ValueError("rewards is empty: name at least one, such as math_answer")
        if self.prompts_per_step % self.fit.parallel.dp:
            raise ValueError(
                f"prompts_per_step={self.prompts_per_step} must be a multiple of fit.parallel.dp={self.fit.parallel.dp}"
            )
        for name in ("clip_low", "clip_high", "kl_coefficient"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if not 0 < self.heldout_fraction < 1:
            raise ValueError(f"heldout_fraction={self.heldout_fraction} must lie between 0 and 1, both excluded")
        if self.heldout_prompts < 2:
            raise ValueError(f"heldout_prompts={self.heldout_prompts} must be at least 2 for an interval")
        for name, choices in (
            ("advantage", ("grpo", "dr_grpo", "none")),
            ("normalise", ("token", "sequence", "constant")),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}: use one of {', '.join(choices)}")


class Rollouts:
    """fit's batches: step -> this rank's micro-batches, sampled from the model as it is at that step."""

    def __init__(
        self,
        model: Transformer,
        prompts: list[Prompt],
        config: GRPO,
        ranks: Ranks,
        *,
        decode: Callable[[list[int]], str],
        stop_ids: frozenset[int],
    ) -> None:
        self.model, self.prompts, self.config, self.ranks = model, prompts, config, ranks
        self.decode, self.stop_ids = decode, stop_ids
        self.reference = copy.deepcopy(model).eval().requires_grad_(False) if config.kl_coefficient else None
        self.steps_without_difference = 0

    def __call__(self, step: int) -> list[Batch]:
        """Sample this rank's problems of `step`, score them and cut them into micro-batches."""
        c = self.config
        mine = self.chosen(step)[self.ranks.rank :: self.ranks.world_size]
        rollouts = self.sample(mine, c.group_size, ("train", c.seed, step))
        numbers = summary(rollouts, c.group_size)
        lengths = [len(r.sample.output_ids) for r in rollouts]
        lessons = distinct(rollouts, c)
        num_parts = math.ceil(len(lessons) / c.micro_batch_size)
        different = round((1 - numbers["frac_zero_std"]) * len(mine))
        tokens, different = _over_ranks([sum(lengths), different], self.ranks, "sum")
        (num_parts,) = _over_ranks([num_parts], self.ranks, "max")
        self._check_patience(different)
        # fit averages over micro-batches and ranks; this factor turns the average into a sum.
        factor = num_parts * self.ranks.world_size
        batches = []
        for part in range(num_parts):
            # A rank with fewer lessons than another repeats one without weight: all ranks step together.
            batch = padded(lessons[part::num_parts] or [dataclasses.replace(lessons[0], count=0)])
            num_samples = len(rollouts) * self.ranks.world_size
            batch["weight"] = factor * token_weights(batch, c, tokens, num_samples)
            if self.reference is not None:
                batch["reference"] = self._reference_logprobs(batch)
            batches.append(batch | {f"rollout_{name}": _scalar(value) for name, value in numbers.items()})
        return batches

    def chosen(self, step: int) -> list[Prompt]:
        """The problems of a step over all ranks: epochs shuffled one after the other."""
        places = range(step * self.config.prompts_per_step, (step + 1) * self.config.prompts_per_step)
        count = len(self.prompts)
        orders = {epoch: list(range(count)) for epoch in {place // count for place in places}}
        for epoch, order in orders.items():
            random.Random(f"{self.config.seed}/{epoch}").shuffle(order)
        return [self.prompts[orders[place // count][place % count]] for place in places]

    def sample(self, prompts: list[Prompt], group_size: int, seed: tuple[object, ...]) -> list[Rollout]:
        """Scored samples of `prompts` from the model as it is."""
        return roll_out(
            self.model,
            prompts,
            group_size,
            self.config.sampling,
            self.config.rewards,
            decode=self.decode,
            stop_ids=self.stop_ids,
            seed=seed,
        )

    def _check_patience(self, groups_with_difference: int) -> None:
        self.steps_without_difference = 0 if groups_with_difference else self.steps_without_difference + 1
        if self.steps_without_difference >= self.config.patience:
            raise ValueError(
                f"for {self.steps_without_difference} steps all samples of each problem got the same reward: nothing "
                "can be learned. Give problems that the model solves sometimes, fine-tune it first, or raise patience"
            )

    def _reference_logprobs(self, batch: Batch) -> Tensor:
        import torch

        assert self.reference is not None
        with torch.no_grad():
            ids = batch["ids"].to(self.ranks.device)
            logprobs = chosen_logprobs(self.reference, ids, batch["output"].to(ids.device), self.config.sampling)
        return logprobs.cpu()


def _over_ranks(counts: list[int], ranks: Ranks, how: Literal["sum", "max"]) -> list[int]:
    import torch
    import torch.distributed as dist

    totals = torch.tensor(counts, dtype=torch.int64, device=ranks.device)
    if ranks.world_size > 1:
        dist.all_reduce(totals, dist.ReduceOp.SUM if how == "sum" else dist.ReduceOp.MAX, group=ranks.data_group)
    return totals.tolist()


def _scalar(value: float) -> Tensor:
    import torch

    return torch.tensor(value, dtype=torch.float64)


@contextmanager
def frozen_router_bias(model: Transformer) -> Iterator[None]:
    """No step of the router biases inside the block."""
    from openseek.model.moe import routers

    kept = [(router, router.config) for router in routers(model)]
    for router, config in kept:
        router.config = dataclasses.replace(config, bias_update_rate=0.0)
    try:
        yield
    finally:
        for router, config in kept:
            router.config = config


def reinforce(out: Path, checkpoint: Path, prompts: Path, config: GRPO) -> Facts:
    """Train the checkpoint artifact on the problems of `prompts`; every rank calls this.

    Held-out problems are sampled before and after with the same random numbers. Writes checkpoint/, metrics/,
    dropped/00000.parquet and data/00000.parquet (the held-out samples) below `out`.
    """
    import torch
    from tokenizers import Tokenizer

    from openseek.data import chat
    from openseek.model.hf import load_checkpoint, save_checkpoint
    from openseek.rl.heldout import paired_difference
    from openseek.rl.problems import read_problems, split_heldout
    from openseek.train.loop import fit
    from openseek.train.sft import rule_counts, write_dropped

    ranks = config.fit.parallel.start()
    torch.manual_seed(config.seed)
    source = checkpoint / "checkpoint"
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    model = load_checkpoint(source).to(ranks.device)
    problems = read_problems(prompts, tokenizer, model.config.max_position_embeddings - config.sampling.max_new_tokens)
    training, heldout = split_heldout(problems.prompts, config.heldout_fraction)
    heldout = heldout[: config.heldout_prompts]
    if len(training) < config.prompts_per_step or len(heldout) < 2:
        raise ValueError(
            f"{prompts} gives {len(training)} problems to train on and {len(heldout)} held out; needed are "
            f"prompts_per_step={config.prompts_per_step} and 2: give more problems, or change that or heldout_fraction"
        )
    rollouts = Rollouts(
        model,
        training,
        config,
        ranks,
        decode=lambda ids: tokenizer.decode(ids, skip_special_tokens=True),
        stop_ids=chat.stop_ids(tokenizer),
    )
    before = measure(rollouts, heldout)
    with frozen_router_bias(model):
        facts = fit(model, policy_objective(config), rollouts, out, dataclasses.replace(config.fit, title="rl"))
    after = measure(rollouts, heldout)
    if ranks.rank == 0:
        save_checkpoint(model, source / "tokenizer.json", out / "checkpoint", eod=chat.eod_id(tokenizer))
        write_dropped(out, problems.dropped)
        write_heldout(out, {"before": before, "after": after})
        shutil.rmtree(out / "resume", ignore_errors=True)
    means = [mean_reward_by_prompt(side) for side in (before, after)]
    change = paired_difference(*[[mean[p.id] for p in heldout] for mean in means])
    return facts | {
        "rows_in": problems.rows_in,
        "rows_out": len(problems.prompts),
        "dropped": rule_counts(problems.dropped),
        "quarantined": 0,
        "problems_trained_on": len(training),
        "problems_held_out": len(heldout),
        "reward_before": round(math.fsum(means[0].values()) / len(heldout), 6),
        "reward_after": round(math.fsum(means[1].values()) / len(heldout), 6),
        "reward_change": round(change.mean, 6),
        "reward_change_interval": [round(change.low, 6), round(change.high, 6)],
    }


def measure(rollouts: Rollouts, heldout: list[Prompt]) -> list[Rollout]:
    """Scored samples of the held-out problems, the same on every rank; each rank draws its share."""
    import torch.distributed as dist

    ranks, config = rollouts.ranks, rollouts.config
    mine = rollouts.sample(heldout[ranks.rank :: ranks.world_size], config.heldout_samples, ("heldout", config.seed))
    if ranks.world_size == 1:
        return mine
    shares: list[Any] = [None] * ranks.world_size
    dist.all_gather_object(shares, mine, group=ranks.data_group)
    return [rollout for share in shares for rollout in share]


def write_heldout(out: Path, phases: dict[str, list[Rollout]]) -> None:
    """data/00000.parquet below `out`: what the model answered to the held-out problems before and after."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.artifact import rename_into_place

    rows = [
        {
            "phase": phase,
            "id": r.prompt.id,
            "problem": r.prompt.text,
            "answer": r.prompt.answer,
            "completion": r.completion.encode("utf-8", "replace").decode(),
            "reward": r.reward,
            "finish_reason": r.sample.finish_reason,
        }
        for phase, rollouts in phases.items()
        for r in rollouts
    ]
    (out / "data").mkdir(parents=True, exist_ok=True)
    temporary = out / "data" / ".00000.parquet.tmp"
    pq.write_table(pa.Table.from_pylist(rows), temporary, compression="zstd")
    rename_into_place(temporary, out / "data" / "00000.parquet")
