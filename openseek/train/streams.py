"""The windows of one source, endless and by number: documents packed by best fit, or one after the other.

Window k is a pure function of (seed, k): the numbers of tokens of an epoch's blocks are known
(`openseek.train.documents`), so the epoch and block of a window, and its place there, follow without reading what comes
before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from openseek.train.documents import Block, Documents, Epoch
from openseek.train.packing_kernels import Pieces, pack
from openseek.train.window_kernels import fill_concatenated, fill_packed

KEPT = 2
"""Epochs, and blocks, that stay in memory: the current one and the one before."""


class Stream(Protocol):
    """Windows of a source."""

    def fill(self, numbers: np.ndarray, rows: np.ndarray, ids: np.ndarray, documents: np.ndarray) -> None:
        """Write windows `numbers` [M] to `rows` [M] of ids int64 and documents int32 [B, T].

        A row's documents are numbered from 0; places after the last document keep what was there.
        """
        ...


class _Places:
    """Where the units of a stream lie: `size` tokens are one, and the last one of a block may have fewer."""

    def __init__(self, documents: Documents, size: int) -> None:
        self.documents, self.size = documents, size
        self._ends: list[int] = []
        self._orders: dict[int, tuple[Epoch, np.ndarray]] = {}

    def epoch(self, number: int) -> tuple[Epoch, np.ndarray]:
        """(order, units before each block int64 [B + 1]) of an epoch."""
        if number not in self._orders:
            while len(self._orders) >= KEPT:
                del self._orders[next(iter(self._orders))]
            order = self.documents.epoch(number)
            self._orders[number] = (order, np.concatenate([[0], np.cumsum(-(-order.tokens // self.size))]))
        return self._orders[number]

    def find(self, numbers: np.ndarray) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
        """(epoch, block, which of `numbers` lie there, their places in the block) of each block that holds some."""
        while not self._ends or self._ends[-1] <= numbers.max():
            before = self._ends[-1] if self._ends else 0
            self._ends.append(before + int(self.epoch(len(self._ends))[1][-1]))
        found = []
        epochs = np.searchsorted(self._ends, numbers, side="right")
        for epoch in np.unique(epochs):
            here = np.flatnonzero(epochs == epoch)
            within = numbers[here] - (self._ends[epoch - 1] if epoch else 0)
            begins = self.epoch(int(epoch))[1]
            blocks = np.searchsorted(begins, within, side="right") - 1
            for block in np.unique(blocks):
                there = blocks == block
                found.append((int(epoch), int(block), here[there], within[there] - begins[block]))
        return found

    def first_epoch(self) -> int:
        """Units of the first epoch."""
        return int(self.epoch(0)[1][-1])


class PackedStream:
    """Sequences that documents are packed into, block by block, in random order.

    A block of T tokens gives ceil(T / length) sequences: every token is in exactly one of them, once an epoch, and only
    the last to be filled has padding. A document goes whole into one sequence where it fits; see `pack`.
    """

    def __init__(self, documents: Documents, length: int, marks: tuple[int, int, int], vocab_size: int) -> None:
        """length: tokens of a sequence. marks: ids of fill-in-the-middle. vocab_size: ids must be below it."""
        self._documents, self._length, self._limit = documents, length, vocab_size
        self._marks = np.array(marks, np.int64)
        self._places = _Places(documents, length)
        self._blocks: dict[tuple[int, int], tuple[Block, Pieces, int]] = {}

    def fill(self, numbers: np.ndarray, rows: np.ndarray, ids: np.ndarray, documents: np.ndarray) -> None:
        """See Stream."""
        for epoch, number, which, within in self._places.find(numbers):
            block, pieces, _ = self.packed(epoch, number)
            like, marks, into = self._documents.like, self._marks, rows[which]
            bad = fill_packed(
                like,
                block.addresses,
                block.counts,
                block.forms,
                marks,
                self._limit,
                pieces,
                within,
                into,
                ids,
                documents,
            )
            _check(bad, block, self._documents, self._limit)

    def packed(self, epoch: int, number: int) -> tuple[Block, Pieces, int]:
        """(documents, pieces, needless cuts) of a block; see `pack`."""
        key = (epoch, number)
        if key not in self._blocks:
            while len(self._blocks) >= KEPT:
                del self._blocks[next(iter(self._blocks))]
            order, begins = self._places.epoch(epoch)
            block = self._documents.block(epoch, number, order)
            count = int(begins[number + 1] - begins[number])
            places = self._documents.shuffled(count, epoch, number)
            self._blocks[key] = (block, *pack(block.lengths, self._length, places))
        return self._blocks[key]

    def efficiency(self) -> float:
        """Share of the places of the first epoch's sequences that hold a token."""
        order, begins = self._places.epoch(0)
        return float(order.tokens.sum() / (begins[-1] * self._length))

    @property
    def windows(self) -> float:
        """Sequences of the first epoch."""
        return float(self._places.first_epoch())


class ConcatenatedStream:
    """Windows of length + 1 tokens cut from the documents one after the other; neighbours share one token."""

    def __init__(self, documents: Documents, length: int, marks: tuple[int, int, int], vocab_size: int) -> None:
        """length: targets of a window, whose number of tokens is `ids.shape[1]` of fill. Others as in PackedStream."""
        self._documents, self._length, self._limit = documents, length, vocab_size
        self._marks = np.array(marks, np.int64)
        self._places = _Places(documents, 1)
        self._blocks: dict[tuple[int, int], tuple[Block, np.ndarray]] = {}

    def fill(self, numbers: np.ndarray, rows: np.ndarray, ids: np.ndarray, documents: np.ndarray) -> None:
        """See Stream."""
        starts, columns, next_document = numbers * self._length, np.zeros_like(rows), np.zeros_like(rows)
        left = np.arange(len(rows))
        while len(left):
            for epoch, number, which, within in self._places.find(starts[left] + columns[left]):
                block, ends = self._block(epoch, number)
                these = left[which]
                column, document = columns[these], next_document[these]
                bad = fill_concatenated(
                    self._documents.like,
                    block.addresses,
                    block.counts,
                    block.forms,
                    self._marks,
                    self._limit,
                    ends,
                    within,
                    rows[these],
                    column,
                    document,
                    ids,
                    documents,
                )
                _check(bad, block, self._documents, self._limit)
                columns[these], next_document[these] = column, document
            left = left[columns[left] < ids.shape[1]]

    def _block(self, epoch: int, number: int) -> tuple[Block, np.ndarray]:
        key = (epoch, number)
        if key not in self._blocks:
            while len(self._blocks) >= KEPT:
                del self._blocks[next(iter(self._blocks))]
            block = self._documents.block(epoch, number, self._places.epoch(epoch)[0])
            self._blocks[key] = (block, np.cumsum(block.lengths))
        return self._blocks[key]

    def efficiency(self) -> float:
        """Concatenated windows have no padding."""
        return 1.0

    @property
    def windows(self) -> float:
        """Windows that an epoch of tokens gives."""
        return self._places.first_epoch() / self._length


def _check(bad: int, block: Block, documents: Documents, vocab_size: int) -> None:
    """ValueError for document `bad` of a block, unless negative, whose ids are too high."""
    if bad >= 0:
        raise ValueError(
            f"{documents.name(int(block.addresses[bad]))}, has a token id outside of the vocabulary of {vocab_size}: "
            "the shard is damaged or of another tokenizer; tokenize again"
        )
