"""The windows of one source, endless and by number: documents packed by best fit, or one after the other.

Window k is a pure function of (seed, k): the numbers of tokens of an epoch's blocks are known
(`openseek.train.documents`), so the epoch and block of a window, and its place there, follow without reading what comes
before.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from openseek.train.documents import Block, Documents, Epoch
from openseek.train.packing_kernels import Pieces, cut, pack
from openseek.train.window_kernels import fill

KEPT = 2
"""Epochs, and blocks, that stay in memory: the current one and the one before."""

Packing = Literal["best_fit", "concatenate"]


class Stream:
    """Windows of `size` tokens, block by block, in random order within each.

    best_fit: a block of T tokens gives ceil(T / size) windows and every token is in exactly one of them, once an epoch;
    a document is whole where it fits (`pack`). concatenate: ceil((T - 1) / (size - 1)) windows, of which neighbours
    share one token, so that every token but a block's first is a target (`cut`). One window of a block has padding.

    marks: ids of fill-in-the-middle, if the documents are rearranged. vocab_size: token ids must be below it.
    """

    def __init__(
        self,
        documents: Documents,
        size: int,
        packing: Packing,
        vocab_size: int,
        marks: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        self._documents, self.size, self._packing, self._limit = documents, size, packing, vocab_size
        self._marks = np.array(marks, np.int64)
        self._ends: list[int] = []
        self._orders: dict[int, tuple[Epoch, np.ndarray]] = {}
        self._blocks: dict[tuple[int, int], tuple[Block, Pieces, int]] = {}

    def fill(self, numbers: np.ndarray, rows: np.ndarray, ids: np.ndarray, documents: np.ndarray) -> None:
        """Write windows `numbers` [M] to `rows` [M] of ids int64 and documents int32 [B, size].

        A window's documents are numbered from 0; places after the last one keep what was there. ValueError names a
        file that was cut off, or has tokens that the vocabulary lacks.
        """
        for epoch, number, which, within in self._find(numbers):
            block, pieces, _ = self.block(epoch, number)
            like, marks, into = self._documents.like, self._marks, rows[which]
            where = (block.addresses, block.counts, block.forms)
            bad = fill(like, where, marks, self._limit, pieces, within, into, ids, documents)
            if bad >= 0:
                raise ValueError(
                    f"{self._documents.name(int(block.addresses[bad]))}, has a token id outside of the vocabulary of "
                    f"{self._limit}: the shard is damaged or of another tokenizer; tokenize again"
                )

    def epoch(self, number: int) -> tuple[Epoch, np.ndarray]:
        """(order, windows before each block int64 [B + 1]) of an epoch."""
        if number not in self._orders:
            while len(self._orders) >= KEPT:
                del self._orders[next(iter(self._orders))]
            order = self._documents.epoch(number)
            counts = -(-order.tokens // self.size)
            if self._packing == "concatenate":
                counts = np.where(order.tokens > 1, -(-(order.tokens - 1) // (self.size - 1)), order.tokens)
            self._orders[number] = (order, np.concatenate([[0], np.cumsum(counts)]))
        return self._orders[number]

    def block(self, epoch: int, number: int) -> tuple[Block, Pieces, int]:
        """(documents, pieces of its windows, cuts that best fit made for want of room) of a block."""
        key = (epoch, number)
        if key not in self._blocks:
            while len(self._blocks) >= KEPT:
                del self._blocks[next(iter(self._blocks))]
            order, begins = self.epoch(epoch)
            block = self._documents.block(epoch, number, order)
            places = self._documents.shuffled(int(begins[number + 1] - begins[number]), epoch, number)
            if self._packing == "best_fit":
                pieces, cuts = pack(block.lengths, self.size, places)
            else:
                pieces, cuts = cut(block.lengths, self.size, places), 0
            self._blocks[key] = (block, pieces, cuts)
        return self._blocks[key]

    def windows(self, epoch: int = 0) -> int:
        """Windows of an epoch; epochs differ by a few where a source has several blocks."""
        return int(self.epoch(epoch)[1][-1])

    def efficiency(self) -> float:
        """Share of the places of the first epoch's windows that hold a token, shared ones counted once."""
        tokens, step = self.epoch(0)[0].tokens.sum(), self.size - (self._packing == "concatenate")
        return min(1.0, float(tokens / (self.windows() * step)))

    def _find(self, numbers: np.ndarray) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
        """(epoch, block, which of `numbers` lie there, their places in the block) of each block that holds some."""
        while not self._ends or self._ends[-1] <= numbers.max():
            self._ends.append((self._ends[-1] if self._ends else 0) + self.windows(len(self._ends)))
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
