"""Pretraining: next-token and multi-token prediction on packed windows of a mixture."""

from __future__ import annotations

import dataclasses
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from openseek.model.config import ModelConfig
from openseek.train.batch_ramp import BatchRamp, BatchSizes
from openseek.train.fill_in_the_middle import FillInTheMiddle
from openseek.train.loop import Fit
from openseek.train.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from openseek.artifact import Facts
    from openseek.model.transformer import Transformer
    from openseek.parallel.dims import Ranks
    from openseek.train.loop import Batch, Metrics

HELDOUT_LOSS, HELDOUT_BITS = "heldout_loss", "heldout_bits_per_byte"
"""Metrics that are kept for each source, as NAME/SOURCE."""
NOT_NEGATIVE = (
    "warmup_tokens",
    "decay_tokens",
    "heldout_sequences",
    "heldout_source_sequences",
    "snapshot_every_steps",
    "average_snapshots",
    "seed",
)


@dataclass(frozen=True)
class Pretrain:
    """Train a model on a mixture of token shards, from random weights or from a checkpoint.

    `--set preset=NAME` starts from published settings (openseek/train/presets.py).
    """

    presets: ClassVar[str] = "openseek.train.presets"

    model: ModelConfig = ModelConfig()
    """Shape of the model; vocab_size 0 takes the tokenizer's."""
    fit: Fit = Fit(schedule=Schedule(peak=4e-3, final=4e-4), save_every_steps=100)
    """Optimizer, schedule and ranks; train_tokens sets its num_steps."""
    train_tokens: int = 600_000
    """Tokens to train on; rounded up to whole optimizer steps."""
    warmup_tokens: int = 30_000
    """Tokens of the learning rate's linear rise; 0 takes fit.schedule.warmup_steps."""
    decay_tokens: int = 0
    """Tokens of its fall at the end, with schedule.kind wsd; 0 takes fit.schedule.decay_steps."""
    sequence_length: int = 256
    """Tokens of a training window."""
    global_batch_size: int = 16
    """Windows of an optimizer step, over all ranks."""
    batch_ramp: BatchRamp = BatchRamp()
    """Fewer windows in the first steps."""
    micro_batch_size: int = field(default=8, metadata={"runtime": True})
    """Windows of one forward pass on one rank."""
    separate_documents: bool = True
    """Documents of a window attend to themselves only, and the last token predicts no other's first token."""
    packing: Literal["best_fit", "concatenate"] = "best_fit"
    """Documents whole in one window where they fit; or one after the other, cut wherever a window is full."""
    fill_in_the_middle: FillInTheMiddle = FillInTheMiddle()
    """Documents that are rearranged so that the model learns to fill gaps."""
    heldout_sequences: int = 64
    """Windows of held-out documents that the final loss is measured on; 0 measures none."""
    heldout_source_sequences: int = 16
    """Windows of each source's held-out documents, for its own loss; 0 measures none."""
    heldout_evaluations: int = 2
    """Times that the sources' losses are measured, evenly spread, the last after the last step."""
    snapshot_every_steps: int = 0
    """Steps between snapshots of the weights, which stay as snapshots/step-NNNNNNNN; 0 keeps none."""
    average_snapshots: int = 0
    """Last snapshots whose mean is written, too, as checkpoint_average; 0 writes none."""
    seed: int = 0
    """Initial weights and order of the data."""

    def __post_init__(self) -> None:
        for name in ("train_tokens", "global_batch_size", "micro_batch_size", "heldout_evaluations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if not 2 <= self.sequence_length <= self.model.max_position_embeddings:
            raise ValueError(
                f"sequence_length={self.sequence_length} must be at least 2 and at most "
                f"model.max_position_embeddings={self.model.max_position_embeddings}"
            )
        if self.packing not in ("best_fit", "concatenate"):
            raise ValueError(f"packing={self.packing!r}: use best_fit or concatenate")
        if self.packing == "best_fit" and not self.separate_documents:
            raise ValueError(
                "separate_documents=False lets a packed window's documents read each other: use packing=concatenate"
            )
        if self.global_batch_size % self.fit.parallel.dp:
            raise ValueError(
                f"global_batch_size={self.global_batch_size} must be a multiple of "
                f"fit.parallel.dp={self.fit.parallel.dp}"
            )
        snapshots = self.steps().num_steps // self.snapshot_every_steps if self.snapshot_every_steps else 0
        if self.average_snapshots > snapshots:
            raise ValueError(
                f"average_snapshots={self.average_snapshots} of {snapshots} snapshots: lower it or snapshot_every_steps"
            )
        at_once = min(self.fit.parallel.dp * self.micro_batch_size, self.global_batch_size)
        self.batch_ramp.check(self.global_batch_size, at_once)

    def batch_sizes(self) -> BatchSizes:
        """Windows and trained tokens of the optimizer steps."""
        return BatchSizes(self.global_batch_size, self.sequence_length, self.batch_ramp)

    def steps(self) -> Fit:
        """`fit` with as many steps as train_tokens take."""
        num_steps = self.batch_sizes().steps_for(self.train_tokens)
        return dataclasses.replace(self.fit, num_steps=num_steps, title="pretrain")

    def learning_rate(self) -> Callable[[int], float]:
        """The rate of optimizer step n, from 0: a function of the tokens that are trained once it has ended."""
        sizes = self.batch_sizes()
        curve = self.fit.schedule.curve(self.steps().num_steps, sizes, self.warmup_tokens, self.decay_tokens)
        return lambda step: curve(sizes.tokens_before(step + 1))


@dataclass(frozen=True)
class Losses:
    """Sums over the tokens of a batch, and how many there were."""

    main: Tensor
    main_tokens: Tensor
    mtp: Tensor
    mtp_tokens: Tensor


def token_losses(model: Transformer, batch: Batch, separate_documents: bool) -> tuple[Losses, Tensor]:
    """Cross-entropy sums in nats of the next token and of those after it (all depths together), and the aux loss.

    batch: ids and documents, [B, T + 1]. With separate_documents a target counts only in the document of its input.
    Padding, whose document is negative, is no target.
    """
    import torch.nn.functional as F

    ids, documents = batch["ids"], batch["documents"]
    if not separate_documents:
        documents = documents.clamp(max=0)
    output = model(ids[:, :-1], documents_BT=documents[:, :-1] if separate_documents else None)

    def summed(logits_BTV: Tensor, ahead: int) -> tuple[Tensor, Tensor]:
        same = (documents[:, ahead:] == documents[:, :-ahead]) & (documents[:, ahead:] >= 0)
        targets = ids[:, ahead:].masked_fill(~same, -100)
        loss = F.cross_entropy(logits_BTV.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum")
        return loss, (targets >= 0).sum()

    main, main_tokens = summed(output.logits_BTV, 1)
    mtp, mtp_tokens = main.new_zeros(()), main_tokens.new_zeros(())
    for depth, logits_BTV in enumerate(output.mtp_logits_BTV, start=1):
        depth_loss, depth_tokens = summed(logits_BTV, 1 + depth)
        mtp, mtp_tokens = mtp + depth_loss, mtp_tokens + depth_tokens
    return Losses(main, main_tokens, mtp, mtp_tokens), output.aux_loss


def objective(config: Pretrain) -> Any:
    """The training objective: next token + mtp_loss_weight * mean over depths of the ones after + router losses.

    Sums are divided by the window's size and not by the number of counted targets: so the loss of a step is one sum
    over its global batch, however that is cut into micro-batches and ranks.
    """

    def loss(model: Transformer, batch: Batch) -> tuple[Tensor, Metrics]:
        losses, aux = token_losses(model, batch, config.separate_documents)
        size = batch["ids"].shape[0] * (batch["ids"].shape[1] - 1)
        mtp_weight = config.model.mtp_loss_weight / max(config.model.num_nextn_predict_layers, 1)
        total = losses.main / size + mtp_weight * losses.mtp / size + aux
        metrics: Metrics = {
            "lm_loss": losses.main / losses.main_tokens.clamp(min=1),
            "mtp_loss": losses.mtp / losses.mtp_tokens.clamp(min=1),
            "aux_loss": aux,
        }
        return total, metrics

    return loss


def heldout_loss(model: Transformer, batches: list[Batch], separate_documents: bool, ranks: Ranks) -> float:
    """Mean next-token cross-entropy in nats over the batches of all ranks."""
    import torch
    import torch.distributed as dist

    sums = torch.zeros(2, dtype=torch.float64, device=ranks.device)
    training = model.training
    model.eval()
    with torch.no_grad():
        for batch in batches:
            if len(batch["ids"]):
                moved = {name: tensor.to(ranks.device) for name, tensor in batch.items()}
                losses, _ = token_losses(model, moved, separate_documents)
                sums += torch.stack([losses.main.double(), losses.main_tokens.double()])
    model.train(training)
    if ranks.world_size > 1:
        dist.all_reduce(sums, group=ranks.data_group)
    return (sums[0] / sums[1]).item()


def source_losses(
    model: Transformer, mixture: Path, config: Pretrain, num_steps: int, ranks: Ranks
) -> Callable[[int], dict[str, float]]:
    """What measures each source's held-out documents after the steps that config.heldout_evaluations chooses.

    It gives {"heldout_loss/SOURCE": nats per token, "heldout_bits_per_byte/SOURCE": bits}. Bits per byte, by which
    mixtures and models of different vocabularies are compared, are those of all held-out documents of the source at
    the loss of the windows that were measured.
    """
    from openseek.train.loader import heldout_batches, heldout_sources

    count = config.heldout_source_sequences
    bytes_per_token = heldout_sources(mixture) if count else {}
    sizes = {"sequence_length": config.sequence_length, "batch_size": config.micro_batch_size, "ranks": ranks}
    batches = {
        source: heldout_batches(mixture, num_sequences=count, source=source, **sizes) for source in bytes_per_token
    }
    times = config.heldout_evaluations
    due = {-(-num_steps * (i + 1) // times) for i in range(times)}

    def evaluate(steps: int) -> dict[str, float]:
        values = {}
        for source, theirs in batches.items() if steps in due else ():
            loss = heldout_loss(model, theirs, config.separate_documents, ranks)
            values[f"{HELDOUT_LOSS}/{source}"] = loss
            values[f"{HELDOUT_BITS}/{source}"] = loss / math.log(2) / bytes_per_token[source]
        return values

    return evaluate


def train(out: Path, mixture: Path, config: Pretrain, checkpoint: Path | None = None) -> Facts:
    """Train on the `mix` artifact, on from the checkpoint artifact if there is one; every rank calls this.

    The optimizer starts anew, with the first samples of the mixture. Writes metrics/, checkpoint/, and as the config
    says snapshots/, checkpoint_ema/ and checkpoint_average/ below `out`.
    """
    import torch

    from openseek.model.size import num_parameters
    from openseek.train.loader import Loader, read_mixture
    from openseek.train.loop import fit
    from openseek.train.prefetch import Prefetch
    from openseek.train.snapshots import snapshot_folder, write_snapshot
    from openseek.train.start import initial_model

    steps = config.steps()
    ranks = steps.parallel.start()
    content, tokens = read_mixture(mixture)
    tokenizer = tokens / "tokenizer.json"
    torch.manual_seed(config.seed)
    model = initial_model(config.model, content["vocab_size"], tokenizer, checkpoint)
    loader = Loader(
        mixture,
        sequence_length=config.sequence_length,
        global_batch_size=config.global_batch_size,
        micro_batch_size=config.micro_batch_size,
        num_steps=steps.num_steps,
        seed=config.seed,
        ranks=ranks,
        packing=config.packing,
        fill_in_the_middle=config.fill_in_the_middle,
        batch_ramp=config.batch_ramp,
    )
    measure = source_losses(model, mixture, config, steps.num_steps, ranks)

    def after_step(step: int) -> dict[str, float]:
        if config.snapshot_every_steps and step % config.snapshot_every_steps == 0:
            write_snapshot(model, snapshot_folder(out, step), tokenizer, content["eod"], ranks)
        return measure(step)

    averages: dict[str, Tensor] = {}
    with Prefetch(loader, steps.num_steps) as batches:
        rates = config.learning_rate()
        measured = fit(model, objective(config), batches, out, steps, after_step, rates, averages)
    facts = by_source(measured) | loader.facts() | keep(model, averages, out, mixture, config, ranks)
    if ranks.rank == 0:
        shutil.rmtree(out / "resume", ignore_errors=True)
    parameters, active = num_parameters(model.config), num_parameters(model.config, active=True)
    return {**facts, "parameters": parameters, "active_parameters": active}


def keep(
    model: Transformer, averages: dict[str, Tensor], out: Path, mixture: Path, config: Pretrain, ranks: Ranks
) -> Facts:
    """Write the trained model and its averages, each with its loss on held-out documents; every rank calls this.

    checkpoint/ and heldout_loss; checkpoint_ema/ and heldout_loss_ema of `averages`; checkpoint_average/ and
    heldout_loss_average of the last snapshots. The model holds the last of these afterwards.
    """
    import torch.distributed as dist

    from openseek.model.average import average_checkpoints
    from openseek.model.hf import load_checkpoint, save_checkpoint
    from openseek.train.loader import heldout_batches, read_mixture
    from openseek.train.snapshots import snapshot_folder

    content, tokens = read_mixture(mixture)
    facts: Facts = {}
    batches: list[Batch] = []
    if config.heldout_sequences:
        batches = heldout_batches(
            mixture,
            sequence_length=config.sequence_length,
            num_sequences=config.heldout_sequences,
            batch_size=config.micro_batch_size,
            ranks=ranks,
        )
        facts["unigram_entropy_nats"] = content["unigram_entropy_nats"]

    def measure_and_save(kind: str, save: bool = True) -> None:
        if batches:
            facts[f"heldout_loss{kind}"] = heldout_loss(model, batches, config.separate_documents, ranks)
        if save and ranks.rank == 0:
            save_checkpoint(model, tokens / "tokenizer.json", out / f"checkpoint{kind}", eod=content["eod"])

    measure_and_save("")
    if averages:
        model.load_state_dict(averages)
        measure_and_save("_ema")
    if config.average_snapshots:
        every, folder = config.snapshot_every_steps, out / "checkpoint_average"
        last = config.steps().num_steps // every
        steps = [every * number for number in range(last - config.average_snapshots + 1, last + 1)]
        if ranks.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
            average_checkpoints([snapshot_folder(out, step) for step in steps], folder)
        if ranks.world_size > 1:
            dist.barrier()
        model.load_state_dict(load_checkpoint(folder).state_dict())
        measure_and_save("_average", save=False)
    return facts


def by_source(values: Facts) -> Facts:
    """The values, with those of one source together under heldout_losses and heldout_bits_per_byte, {source: value}."""
    kinds = {HELDOUT_LOSS: "heldout_losses", HELDOUT_BITS: "heldout_bits_per_byte"}
    facts: Facts = {}
    for name, value in values.items():
        kind, _, source = name.partition("/")
        if source and kind in kinds:
            facts.setdefault(kinds[kind], {})[source] = value
        else:
            facts[name] = value
    return facts
