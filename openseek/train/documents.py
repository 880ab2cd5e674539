"""The documents of a source in a new random order every epoch, in blocks, without an array of all documents.

Neighbouring documents of a shard form a run; of small corpora a run is one document, of larger ones as many as keep the
number of runs below MOST_RUNS. Every epoch orders the runs anew and cuts the order into blocks, whose documents are
shuffled among themselves. The tokens of a run come from two entries of the shard's index, so where a block begins is
known without looking at documents: any place of an epoch is found at once. Only fill-in-the-middle, which makes
documents longer, needs to look at the length of every document of its sources once an epoch.

Memory of a process for each source: 24 bytes a run (at most 50 MB) and two epochs' orders; a block, of which two stay,
has about MOST_DOCUMENTS documents of 40 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openseek.data.token_shards import TokenShard
from openseek.train.fill_in_the_middle import MARKS
from openseek.train.packing_kernels import grouped_runs
from openseek.train.window_kernels import count_rearranged, rearrangements

MOST_RUNS = 1 << 21
MOST_DOCUMENTS = 1 << 18
MOST_SEQUENCES = 1 << 16
AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Rearranging:
    """Fill-in-the-middle as one source's documents need it."""

    rate: float
    suffix_first: float
    marks: tuple[int, int, int]
    """Ids of prefix, suffix and middle token."""


@dataclass(frozen=True)
class Epoch:
    """The order of the runs in one epoch."""

    runs: np.ndarray
    """Runs int64 [R] in order."""
    bounds: np.ndarray
    """Places int64 [B + 1] in that order where a block begins."""
    tokens: np.ndarray
    """Tokens int64 [B] of each block."""


@dataclass(frozen=True)
class Block:
    """Shuffled documents of one block; those without a token are left out."""

    addresses: np.ndarray
    """Where each document's tokens lie in memory, int64 [D]."""
    counts: np.ndarray
    """Its tokens in the shard, int64 [D]."""
    forms: np.ndarray
    """How it is rearranged, int64 [D, 3]; see `rearrangements`."""

    @property
    def lengths(self) -> np.ndarray:
        """Tokens int64 [D] of each document as it is trained on."""
        return self.counts + MARKS * (self.forms[:, 0] > 0)


class Documents:
    """The documents of token shards, numbered through all of them in the order of `prefixes`.

    sequence: tokens of a sequence, which bounds the size of blocks. Raises ValueError for shards that cannot be read,
    differ in dtype, or hold no token.
    """

    def __init__(
        self,
        prefixes: Sequence[Path],
        seed: Sequence[int],
        sequence: int,
        rearranging: Rearranging | None = None,
        shuffle: bool = True,
    ) -> None:
        self._shards = [TokenShard(prefix) for prefix in prefixes]
        self._bins = [_mapped(shard) for shard in self._shards]
        named = ", ".join(map(str, prefixes[:3])) + (", ..." if len(prefixes) > 3 else "")
        self.tokens = sum(shard.tokens for shard in self._shards)
        if not self.tokens:
            raise ValueError(
                f"the token shards {named or '(none)'} hold no tokens: leave the source out, or look at it"
            )
        dtypes = {shard.dtype for shard in self._shards}
        if len(dtypes) > 1 or next(iter(dtypes)).kind not in "iu":
            raise ValueError(
                f"the token shards {named} hold {', '.join(sorted(map(str, dtypes)))}: one integer dtype is needed, "
                "as one run of tokenize writes it"
            )
        self.like = np.zeros(0, next(iter(dtypes)).newbyteorder("="))
        """An empty array of the tokens' dtype."""
        counts = [len(shard.documents) - 1 for shard in self._shards]
        self._first = np.cumsum([0, *counts])
        self._seed, self._sequence, self._rearranging, self._shuffle = list(seed), sequence, rearranging, shuffle
        self._run_first, self._run_tokens = self._runs(counts)

    def _runs(self, counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """(first document of each run [R + 1], its tokens [R]); a run lies within one shard."""
        size = 1
        while sum(-(-count // size) for count in counts) > MOST_RUNS:
            size *= 2
        firsts, tokens = [], []
        for shard, count in enumerate(counts):
            bounds = np.append(np.arange(0, count, size), count)
            firsts.append(bounds[:-1] + self._first[shard])
            tokens.append(np.diff(self._starts(shard, bounds)))
        return np.append(np.concatenate(firsts), self._first[-1]), np.concatenate(tokens)

    def _starts(self, shard: int, numbers: np.ndarray) -> np.ndarray:
        """Tokens of a shard before each of its documents [N] (the number of documents stands for its end).

        ValueError where its index points outside of the file, or backwards.
        """
        index, size = self._shards[shard], self._shards[shard].dtype.itemsize
        sequences = index.documents[numbers]
        if len(index.pointers) == 0:
            return np.zeros(len(numbers), np.int64)
        within = np.clip(sequences, 0, len(index.pointers) - 1)
        starts = np.where(sequences < len(index.pointers), index.pointers[within] // size, index.tokens)
        if (sequences < 0).any() or (starts < 0).any() or (starts > index.tokens).any():
            raise ValueError(f"{index.prefix}.idx points outside of its .bin file: it is damaged; tokenize again")
        return starts

    def epoch(self, number: int) -> Epoch:
        """Order and blocks of an epoch."""
        runs = np.arange(len(self._run_tokens))
        if self._shuffle:
            runs = np.random.default_rng([*self._seed, number]).permutation(runs)
        tokens = self._run_tokens[runs]
        if self._rearranging:
            tokens = tokens + MARKS * self._rearranged(number)[runs]
        counts = np.diff(self._run_first)[runs]
        bounds = grouped_runs(tokens, counts, MOST_SEQUENCES * self._sequence, MOST_DOCUMENTS)
        return Epoch(runs, bounds, np.add.reduceat(tokens, bounds[:-1]))

    def _rearranged(self, epoch: int) -> np.ndarray:
        """Documents int64 [R] of each run that are rearranged: the one pass over all documents that an epoch needs."""
        assert self._rearranging
        counts, key = np.zeros(len(self._run_tokens), np.int64), self._key(epoch)
        ends = np.append(np.searchsorted(self._run_first, self._first[1:-1]), len(counts))
        run = 0
        for shard, end in enumerate(ends):
            while run < end:
                stop = min(end, run + AT_A_TIME // max(1, int(self._run_first[run + 1] - self._run_first[run])) + 1)
                bounds = self._run_first[run : stop + 1]
                numbers = np.arange(bounds[0], bounds[-1] + 1) - self._first[shard]
                lengths = np.diff(self._starts(shard, numbers))
                count_rearranged(key, bounds, lengths, self._rearranging.rate, counts[run:stop])
                run = stop
        return counts

    def _key(self, epoch: int) -> np.uint64:
        return np.random.SeedSequence([*self._seed, epoch]).generate_state(1, np.uint64)[0]

    def block(self, epoch: int, number: int, order: Epoch) -> Block:
        """Block `number` of an epoch in its order."""
        runs = order.runs[order.bounds[number] : order.bounds[number + 1]]
        first, sizes = self._run_first[runs], self._run_first[runs + 1] - self._run_first[runs]
        numbers = np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
        addresses, counts = self._located(numbers)
        keep = np.flatnonzero(counts)
        keep = keep[self.shuffled(len(keep), epoch, number)]
        numbers, counts = numbers[keep], counts[keep]
        forms = np.zeros((len(numbers), 3), np.int64)
        if how := self._rearranging:
            forms = rearrangements(self._key(epoch), numbers, counts, how.rate, how.suffix_first)
        return Block(addresses[keep], counts, forms)

    def shuffled(self, count: int, epoch: int, number: int) -> np.ndarray:
        """A random order int64 [count] of things of a block; without shuffling as they are."""
        if not self._shuffle:
            return np.arange(count)
        return np.random.default_rng([*self._seed, epoch, number, count]).permutation(count)

    def _located(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(address, tokens) of documents; ValueError where a shard's file has another size than when it was opened."""
        addresses, counts = np.empty(len(numbers), np.int64), np.empty(len(numbers), np.int64)
        shards = np.searchsorted(self._first, numbers, side="right") - 1
        by_shard = np.argsort(shards, kind="stable")
        ends = np.flatnonzero(np.diff(shards[by_shard], append=-1)) + 1
        begin = 0
        for end in ends:
            places, begin = by_shard[begin:end], int(end)
            shard = int(shards[places[0]])
            _check_size(self._shards[shard])
            local = numbers[places] - self._first[shard]
            starts, stops = self._starts(shard, local), self._starts(shard, local + 1)
            if (stops < starts).any():
                raise ValueError(f"{self._shards[shard].prefix}.idx is out of order: it is damaged; tokenize again")
            addresses[places] = self._bins[shard].ctypes.data + starts * self.like.itemsize
            counts[places] = stops - starts
        return addresses, counts

    def name(self, address: int) -> str:
        """The file that has an address, and the place in it in tokens."""
        for array, shard in zip(self._bins, self._shards, strict=True):
            begin = array.ctypes.data
            if begin <= address < begin + array.nbytes:
                return f"{shard.prefix}.bin, document at token {(address - begin) // array.itemsize}"
        raise AssertionError(address)


def _mapped(shard: TokenShard) -> np.ndarray:
    """The tokens of a shard, mapped into memory; an empty file cannot be."""
    path = shard.prefix.with_name(shard.prefix.name + ".bin")
    return np.memmap(path, shard.dtype, "r") if shard.tokens else np.zeros(0, shard.dtype)


def _check_size(shard: TokenShard) -> None:
    path = shard.prefix.with_name(shard.prefix.name + ".bin")
    size, expected = path.stat().st_size, shard.tokens * shard.dtype.itemsize
    if size != expected:
        raise ValueError(
            f"{path} has {size} bytes now and had {expected} when training opened it: it was cut off or written anew; "
            "tokenize again"
        )
