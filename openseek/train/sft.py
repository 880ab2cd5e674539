"""Supervised fine-tuning: chat rows packed whole into sequences, loss on the assistant's tokens alone.

Letters: B sequences, T position, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from openseek.train.loop import Fit
from openseek.train.schedule import Schedule

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from openseek.artifact import Facts
    from openseek.model.transformer import Transformer
    from openseek.parallel.dims import Ranks
    from openseek.train.loop import Batch, Metrics


@dataclass(frozen=True)
class SourceEpochs:
    """How often a pass shows the rows of one source."""

    source: str
    """Name of the source, as in ingest."""
    epochs: float
    """Times that each row occurs; of a fraction, the rows are chosen by the hash of their id."""

    def __post_init__(self) -> None:
        if not 0 <= self.epochs < math.inf:
            raise ValueError(f"epochs of source {self.source} is {self.epochs}: it must not be negative")


@dataclass(frozen=True)
class SFT:
    """Fine-tune a checkpoint on chat rows."""

    fit: Fit = Fit(num_steps=100, schedule=Schedule(peak=1e-3, final=1e-4, warmup_steps=10), weight_decay=0.0)
    """Optimizer, schedule and ranks; its num_steps counts only with epochs=0."""
    epochs: float = 2.0
    """Passes over the packed rows; 0 trains fit.num_steps steps."""
    mixture: tuple[SourceEpochs, ...] = ()
    """Sources that a pass shows more or less often than once."""
    sequence_length: int = 512
    """Tokens of a packed sequence; a row is never split over two."""
    global_batch_size: int = 8
    """Packed sequences of an optimizer step, over all ranks."""
    micro_batch_size: int = field(default=8, metadata={"runtime": True})
    """Packed sequences of one forward pass on one rank."""
    overlong: Literal["drop", "truncate"] = "drop"
    """What happens to a row longer than sequence_length: left out, or its end cut off."""
    train_mtp: bool = True
    """Train the multi-token prediction block too; without, it stays as it was."""
    seed: int = 0
    """Order of the sequences."""

    def __post_init__(self) -> None:
        if not 0 <= self.epochs < math.inf:
            raise ValueError(f"epochs={self.epochs} must not be negative; 0 trains fit.num_steps steps")
        for name in ("global_batch_size", "micro_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.fit.ema_decay:
            raise ValueError(f"fit.ema_decay={self.fit.ema_decay}: only pretraining keeps an average; set it to 0")
        if self.sequence_length < 2:
            raise ValueError(f"sequence_length={self.sequence_length} must be at least 2")
        names = [entry.source for entry in self.mixture]
        if len(set(names)) < len(names):
            raise ValueError(f"mixture names a source twice: {', '.join(names)}")
        if self.overlong not in ("drop", "truncate"):
            raise ValueError(f"overlong={self.overlong!r}: use drop or truncate")
        if self.global_batch_size % self.fit.parallel.dp:
            raise ValueError(
                f"global_batch_size={self.global_batch_size} must be a multiple of the {self.fit.parallel.dp} ranks"
            )


@dataclass(frozen=True)
class Row:
    """One conversation: its tokens, and which of them are learned."""

    id: str
    source: str
    ids: list[int]
    supervised: list[bool]


def read_rows(documents: Path, tokenizer: Tokenizer, config: SFT) -> tuple[list[Row], list[dict[str, Any]], int]:
    """(rows, dropped rows as dicts of the DROPPED schema, rows read) of an `ingest.sft` artifact.

    Rules: unreadable (no messages, a bad role, content that is no text), overlong, unsupervised (no assistant token).
    """
    import pyarrow.parquet as pq

    from openseek.data import chat

    rows: list[Row] = []
    dropped: list[dict[str, Any]] = []
    read = 0
    for shard, path in enumerate(sorted((documents / "data").glob("*.parquet"))):
        table = pq.read_table(path, columns=["id", "source", "meta"]).to_pylist()
        for number, document in enumerate(table):
            read += 1
            drop = {"id": document["id"], "task": "sft", "first": True, "shard": shard, "row": number}
            try:
                ids, supervised = chat.encode(tokenizer, _messages(document["meta"]))
            except ValueError as error:
                dropped.append({**drop, "rule": "unreadable", "detail": str(error)})
                continue
            length = len(ids)
            if length > config.sequence_length:
                if config.overlong == "drop":
                    limit = float(config.sequence_length)
                    dropped.append({**drop, "rule": "overlong", "value": float(length), "limit": limit})
                    continue
                ids, supervised = ids[: config.sequence_length], supervised[: config.sequence_length]
            # The first token of a sequence is never predicted.
            if not any(supervised[1:]):
                dropped.append({**drop, "rule": "unsupervised", "value": 0.0, "limit": 1.0})
                continue
            rows.append(Row(document["id"], document["source"], list(ids), [bool(s) for s in supervised]))
    if not rows:
        raise ValueError(
            f"{documents} has no usable chat row ({read} read, dropped: {rule_counts(dropped)}): check the source's "
            "columns and sequence_length"
        )
    return rows, dropped, read


def _messages(meta: str | None) -> list[dict[str, Any]]:
    value = json.loads(meta or "{}").get("messages")
    if not isinstance(value, list) or not value:
        raise ValueError("the row has no messages: ingest it as a chat source")
    return value


def repeated(rows: list[Row], mixture: tuple[SourceEpochs, ...]) -> list[Row]:
    """The rows of one pass, each as often as its source asks for: all rows once, then those that come again, and so on.

    Raises ValueError for a source that has no row, or when nothing is left.
    """
    epochs = {entry.source: entry.epochs for entry in mixture}
    if unknown := sorted(epochs.keys() - {row.source for row in rows}):
        raise ValueError(f"mixture names {', '.join(unknown)}, which has no chat row: use a source of the chat rows")
    counts = []
    for row in rows:
        whole, part = divmod(epochs.get(row.source, 1.0), 1.0)
        share = int.from_bytes(hashlib.blake2b(row.id.encode(), digest_size=8).digest(), "big") / 2**64
        counts.append(int(whole) + (share < part))
    # Packing puts rows of equal length together in this order: copies side by side would fill a sequence with one row.
    chosen = [row for turn in range(max(counts)) for row, count in zip(rows, counts, strict=True) if count > turn]
    if not chosen:
        raise ValueError("mixture leaves no row to train on: raise the epochs of a source")
    return chosen


def rule_counts(dropped: list[dict[str, Any]]) -> dict[str, int]:
    """Rows dropped, by rule."""
    rules = [row["rule"] for row in dropped]
    return {rule: rules.count(rule) for rule in sorted(set(rules))}


def packed(rows: list[Row], bins: list[list[int]], length: int) -> dict[str, Tensor]:
    """Tensors [len(bins), length]: ids, documents (a number a row, -1 padding) and supervised."""
    import torch

    ids = torch.zeros(len(bins), length, dtype=torch.long)
    documents = torch.full((len(bins), length), -1, dtype=torch.long)
    supervised = torch.zeros(len(bins), length, dtype=torch.bool)
    for place, members in enumerate(bins):
        start = 0
        for number, index in enumerate(members):
            row = rows[index]
            stop = start + len(row.ids)
            ids[place, start:stop] = torch.tensor(row.ids)
            documents[place, start:stop] = number
            supervised[place, start:stop] = torch.tensor(row.supervised)
            # What precedes a row's first token is another row: that token is context only.
            supervised[place, start] = False
            start = stop
    return {"ids": ids, "documents": documents, "supervised": supervised}


def make_batches(rows: list[Row], bins: list[list[int]], config: SFT, ranks: Ranks) -> Callable[[int], list[Batch]]:
    """Step -> this rank's micro-batches, a pure function of the step: epochs are shuffled one after the other."""
    import torch

    per_step = config.global_batch_size

    def order(epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
        return torch.randperm(len(bins), generator=generator).tolist()

    def batches(step: int) -> list[Batch]:
        places = range(step * per_step, (step + 1) * per_step)
        orders = {epoch: order(epoch) for epoch in {p // len(bins) for p in places}}
        whole = packed(rows, [bins[orders[p // len(bins)][p % len(bins)]] for p in places], config.sequence_length)
        # Every rank counts the whole step's tokens, so the loss is one mean over them, not a mean of means.
        total = whole["supervised"].sum().double()
        mine = {name: tensor.tensor_split(ranks.world_size)[ranks.rank] for name, tensor in whole.items()}
        parts = math.ceil(len(mine["ids"]) / config.micro_batch_size)
        split = {name: tensor.tensor_split(parts) for name, tensor in mine.items()}
        # fit averages the loss over micro-batches and ranks; this factor turns the average into sum / total.
        scale = parts * ranks.world_size / total
        return [{name: tensors[i] for name, tensors in split.items()} | {"scale": scale} for i in range(parts)]

    return batches


def supervised_loss(model: Transformer, batch: Batch, mtp: bool = True) -> tuple[Tensor, Metrics]:
    """Objective: sum of the supervised tokens' cross-entropy times batch["scale"], plus balance and MTP losses."""
    output = model(batch["ids"], documents_BT=batch["documents"], mtp=mtp)
    loss = _masked_sum(output.logits_BTV, batch, ahead=1) * batch["scale"]
    metrics: Metrics = {"supervised_loss": loss, "balance_loss": output.aux_loss}
    total = loss + output.aux_loss
    if output.mtp_logits_BTV:
        sums = [_masked_sum(logits, batch, ahead=2 + i) for i, logits in enumerate(output.mtp_logits_BTV)]
        metrics["mtp_loss"] = sum(sums[1:], sums[0]) / len(sums) * batch["scale"]
        total = total + model.config.mtp_loss_weight * metrics["mtp_loss"]
    return total, metrics


def _masked_sum(logits_BTV: Tensor, batch: Batch, ahead: int) -> Tensor:
    """Summed cross-entropy of the supervised tokens `ahead` places on, within their document."""
    import torch.nn.functional as F

    targets = batch["ids"][:, ahead:]
    logits_BTV = logits_BTV[:, : targets.shape[1]]
    same = batch["documents"][:, ahead:] == batch["documents"][:, : targets.shape[1]]
    counted = batch["supervised"][:, ahead:] & same
    # Scoring the counted positions alone leaves prompts and padding out of the softmax.
    return F.cross_entropy(logits_BTV[counted].float(), targets[counted], reduction="sum")


def finetune(out: Path, checkpoint: Path, documents: Path, config: SFT) -> Facts:
    """Fine-tune the checkpoint artifact on the chat rows of `documents`; every rank calls this.

    Writes checkpoint/, metrics/ and dropped/00000.parquet below `out`.
    """
    import torch
    from tokenizers import Tokenizer

    from openseek.model.hf import load_checkpoint, save_checkpoint
    from openseek.train.loop import fit
    from openseek.train.packing import best_fit

    ranks = config.fit.parallel.start()
    torch.manual_seed(config.seed)
    source = checkpoint / "checkpoint"
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    model = load_checkpoint(source)
    rows, dropped, read = read_rows(documents, tokenizer, config)
    usable = len(rows)
    rows = repeated(rows, config.mixture)
    bins = best_fit([len(row.ids) for row in rows], config.sequence_length)
    steps = math.ceil(config.epochs * len(bins) / config.global_batch_size) or config.fit.num_steps
    facts = fit(
        model,
        functools.partial(supervised_loss, mtp=config.train_mtp),
        make_batches(rows, bins, config, ranks),
        out,
        dataclasses.replace(config.fit, num_steps=steps, title="sft"),
    )
    if ranks.rank == 0:
        save_checkpoint(
            model, source / "tokenizer.json", out / "checkpoint", eod=tokenizer.token_to_id("<|endoftext|>")
        )
        write_dropped(out, dropped)
        shutil.rmtree(out / "resume", ignore_errors=True)
    tokens = sum(len(row.ids) for row in rows)
    return facts | {
        "rows_in": read,
        "rows_out": usable,
        "dropped": rule_counts(dropped),
        "quarantined": 0,
        "rows_in_a_pass": len(rows),
        "sequences": len(bins),
        "packing_efficiency": round(tokens / (len(bins) * config.sequence_length), 4),
        "supervised_share": round(sum(sum(row.supervised) for row in rows) / tokens, 4),
    }


def write_dropped(out: Path, dropped: list[dict[str, Any]]) -> None:
    """dropped/00000.parquet below `out`, in the DROPPED schema."""
    import pyarrow.parquet as pq

    from openseek.artifact import rename_into_place
    from openseek.data.document import dropped_table

    (out / "dropped").mkdir(parents=True, exist_ok=True)
    temporary = out / "dropped" / ".00000.parquet.tmp"
    pq.write_table(dropped_table(dropped), temporary, compression="zstd")
    rename_into_place(temporary, out / "dropped" / "00000.parquet")
