"""Batches from a mixture: a pure function of (seed, step), the same whatever the number of ranks.

A source is an endless stream: its documents in a new random order every epoch, one after the other. Sample k of a
source is the window of sequence_length + 1 tokens that starts at k * sequence_length, so windows share one token (the
last target is the next first input). Which source global sample i takes is fixed by the weights alone:
sample k of source s is due at (k + 1/2) / weight_s, and samples come in order of their due times.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openseek.data.token_shards import TokenShard
from openseek.parallel.dims import Ranks


def read_mixture(mixture: Path) -> tuple[dict[str, Any], Path]:
    """(content of mixture.json, folder of the token shards) of a `mix` artifact."""
    path = mixture / "mixture.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing: give the folder of a finished `mix` artifact")
    content = json.loads(path.read_text(encoding="utf-8"))
    tokens = (mixture / content["tokens"]).resolve()
    if not tokens.is_dir():
        raise ValueError(f"{path} names the token shards {tokens}, which are gone: run tokenize and mix again")
    return content, tokens


def interleave(weights: Sequence[float], num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """(source of each global sample, its number within the source), [num_samples] each; a longer call begins alike."""
    shares = np.asarray(weights, dtype=np.float64)
    if len(shares) == 0 or (shares < 0).any() or shares.sum() <= 0:
        raise ValueError(f"mixture weights {list(weights)} must not be negative and need a positive sum")
    shares = shares / shares.sum()
    due, source, number = [], [], []
    for index, share in enumerate(shares):
        if share == 0:
            continue
        count = int(np.ceil(num_samples * share)) + 1
        due.append((np.arange(count) + 0.5) / share)
        source.append(np.full(count, index))
        number.append(np.arange(count))
    order = np.lexsort((np.concatenate(source), np.concatenate(due)))[:num_samples]
    return np.concatenate(source)[order], np.concatenate(number)[order]


class Stream:
    """The documents of some token shards as one endless stream; `shuffle` orders them anew every epoch."""

    def __init__(self, prefixes: Sequence[Path], seed: Sequence[int], shuffle: bool = True) -> None:
        self._shards = [TokenShard(prefix) for prefix in prefixes]
        lengths = [_document_lengths(shard) for shard in self._shards]
        self._lengths = np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64)
        self._first = np.cumsum([0, *(len(part) for part in lengths)])
        self.tokens = int(self._lengths.sum())
        if not self.tokens:
            raise ValueError(f"the token shards {', '.join(map(str, prefixes)) or '(none)'} hold no tokens")
        self._seed, self._shuffle = list(seed), shuffle
        self._epochs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def window(self, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """(ids, running number of the document each belongs to) of `length` tokens from stream position `start`."""
        ids, documents, taken, number = np.empty(length, np.int64), np.empty(length, np.int64), 0, 0
        while taken < length:
            epoch, position = divmod(start + taken, self.tokens)
            order, ends = self._epoch(epoch)
            place = int(np.searchsorted(ends, position, side="right"))
            while taken < length and place < len(order):
                offset = position - (int(ends[place - 1]) if place else 0)
                document = self._document(int(order[place]))
                piece = document[offset : offset + length - taken]
                ids[taken : taken + len(piece)] = piece
                documents[taken : taken + len(piece)] = number
                taken, position, place, number = taken + len(piece), position + len(piece), place + 1, number + 1
        return ids, documents

    def _document(self, index: int) -> np.ndarray:
        shard = int(np.searchsorted(self._first, index, side="right")) - 1
        return self._shards[shard].document(index - int(self._first[shard]))

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(document order, position after each document) of an epoch; the two last used stay in memory."""
        if epoch not in self._epochs:
            order = np.flatnonzero(self._lengths)
            if self._shuffle:
                order = np.random.default_rng([*self._seed, epoch]).permutation(order)
            while len(self._epochs) > 1:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[epoch] = (order, np.cumsum(self._lengths[order]))
        return self._epochs[epoch]


def _document_lengths(shard: TokenShard) -> np.ndarray:
    """Tokens of each document of a shard, all its sequences together."""
    ends = np.concatenate([[0], np.cumsum(shard.lengths, dtype=np.int64)])
    return np.diff(ends[shard.documents])


class Loader:
    """Training batches of a mixture. `loader(step)` gives this rank's micro-batches of that optimizer step."""

    def __init__(
        self,
        mixture: Path,
        *,
        sequence_length: int,
        global_batch_size: int,
        micro_batch_size: int,
        num_steps: int,
        seed: int,
        ranks: Ranks,
    ) -> None:
        content, folder = read_mixture(mixture)
        entries = content["entries"]
        self._streams = [
            Stream([folder / prefix for prefix in entry["prefixes"]], [seed, index])
            for index, entry in enumerate(entries)
        ]
        self._source, self._number = interleave([e["weight"] for e in entries], num_steps * global_batch_size)
        self.sequence_length, self.global_batch_size, self.ranks = sequence_length, global_batch_size, ranks
        self.per_rank, rest = divmod(global_batch_size, ranks.world_size)
        self.micro_batch_size = min(micro_batch_size, self.per_rank)
        if rest or self.per_rank % self.micro_batch_size:
            raise ValueError(
                f"global_batch_size={global_batch_size} does not divide into {ranks.world_size} ranks with "
                f"micro-batches of {micro_batch_size}: make it a multiple of {ranks.world_size * micro_batch_size}"
            )

    def __call__(self, step: int) -> list[dict[str, torch.Tensor]]:
        """Micro-batches {"ids", "documents"}, each [micro_batch_size, sequence_length + 1]."""
        first = step * self.global_batch_size + self.ranks.rank * self.per_rank
        samples = [self._sample(first + i) for i in range(self.per_rank)]
        size = self.micro_batch_size
        return [_stack(samples[start : start + size]) for start in range(0, len(samples), size)]

    def _sample(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start = int(self._number[index]) * self.sequence_length
        return self._streams[self._source[index]].window(start, self.sequence_length + 1)


def heldout_batches(
    mixture: Path, *, sequence_length: int, num_sequences: int, batch_size: int, ranks: Ranks
) -> list[dict[str, torch.Tensor]]:
    """This rank's share of the first `num_sequences` windows of the held-out documents; no token is a target twice.

    Every rank gets the same number of batches; the last ones may be empty ([0, L + 1]).
    """
    content, folder = read_mixture(mixture)
    if not content["heldout"].get("prefixes") or not content["heldout"].get("tokens"):
        raise ValueError(
            f"{mixture} has no held-out documents: raise heldout_fraction of tokenize, or set heldout_sequences=0"
        )
    stream = Stream([folder / prefix for prefix in content["heldout"]["prefixes"]], [0], shuffle=False)
    length = min(sequence_length, stream.tokens - 1)
    count = min(num_sequences, (stream.tokens - 1) // length)
    windows = [stream.window(i * length, length + 1) for i in range(ranks.rank, count, ranks.world_size)]
    most = -(-count // ranks.world_size)
    return [_stack(windows[start : start + batch_size], length + 1) for start in range(0, most, batch_size)]


def _stack(samples: list[tuple[np.ndarray, np.ndarray]], length: int = 0) -> dict[str, torch.Tensor]:
    """Samples as tensors [samples, length]."""
    if not samples:
        return {name: torch.zeros(0, length, dtype=torch.long) for name in ("ids", "documents")}
    ids, documents = (torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))
    return {"ids": ids, "documents": documents}
