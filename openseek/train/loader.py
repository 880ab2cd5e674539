"""Batches from a mixture: a pure function of (seed, step), the same whatever the number of ranks or workers.

Which source global sample k takes, and its how manieth window that is, follows from the mixture's stages and weights
(`openseek.train.sample_order`); what stands in that window from the seed (`openseek.train.streams`). So nothing has to
be replayed: any sample is made alone, a run resumes at the step it broke off at, and R ranks take the samples of a
step in R equal parts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openseek.parallel.dims import Ranks
from openseek.train.batch_ramp import BatchRamp, BatchSizes
from openseek.train.documents import Documents, Rearranging
from openseek.train.fill_in_the_middle import FillInTheMiddle
from openseek.train.sample_order import SampleOrder, read_stages
from openseek.train.streams import Packing, Stream

PADDING = -1
"""Document number of the places of a window that hold no token."""


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


class Loader(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Training batches of a mixture. `loader(step)` gives this rank's micro-batches of that optimizer step.

    It is a map-style data set of all global samples too, for the workers of a DataLoader that are started by fork.
    """

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
        packing: Packing = "best_fit",
        fill_in_the_middle: FillInTheMiddle = FillInTheMiddle(),
        batch_ramp: BatchRamp = BatchRamp(),
    ) -> None:
        content, folder = read_mixture(mixture)
        self.sequence_length, self.ranks = sequence_length, ranks
        per_rank, rest = divmod(global_batch_size, ranks.world_size)
        self.micro_batch_size = min(micro_batch_size, per_rank)
        if rest or per_rank % self.micro_batch_size:
            raise ValueError(
                f"global_batch_size={global_batch_size} does not divide into {ranks.world_size} ranks with "
                f"micro-batches of {micro_batch_size}: make it a multiple of {ranks.world_size * micro_batch_size}"
            )
        batch_ramp.check(global_batch_size, ranks.world_size * self.micro_batch_size)
        self.sizes = BatchSizes(global_batch_size, sequence_length, batch_ramp)
        self._pad = int(content["eod"])
        self._order = SampleOrder(read_stages(content), self.sizes.samples_before(num_steps))
        self.sources = [entry["source"] for entry in content["entries"]]
        fill_in_the_middle.check(self.sources)
        marks = fill_in_the_middle.token_ids(content, folder) if fill_in_the_middle.rate else (0, 0, 0)
        self._streams: dict[int, Stream] = {}
        tokens = 0
        for index, entry in enumerate(content["entries"]):
            if not self._order.totals[index]:
                continue
            how = Rearranging(fill_in_the_middle.rate, fill_in_the_middle.suffix_first, marks)
            rearranging = how if fill_in_the_middle.covers(entry["source"]) else None
            documents = _open(entry, folder, [seed, index], sequence_length + 1, rearranging)
            tokens += documents.tokens
            self._streams[index] = Stream(documents, sequence_length + 1, packing, content["vocab_size"], marks)
        if tokens < sequence_length + 1:
            raise ValueError(
                f"{mixture} has {tokens} tokens in all, fewer than the {sequence_length + 1} of one window: lower "
                "sequence_length or give it more documents"
            )

    def __call__(self, step: int) -> list[dict[str, torch.Tensor]]:
        """Micro-batches {"ids" int64, "documents" int32}, each [micro_batch_size, sequence_length + 1].

        "documents" numbers the documents of a window; PADDING where there is none.
        """
        per_rank = self.sizes.size(step) // self.ranks.world_size
        first = self.sizes.samples_before(step) + self.ranks.rank * per_rank
        ids, documents = self.samples(first, per_rank)
        parts = zip(ids.split(self.micro_batch_size), documents.split(self.micro_batch_size), strict=True)
        return [{"ids": some, "documents": theirs} for some, theirs in parts]

    def samples(self, first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(ids, documents) [count, sequence_length + 1] of global samples first, first + 1, ..."""
        source, number = self._order(first, count)
        ids, documents = _blank(count, self.sequence_length + 1, self._pad)
        for index in np.unique(source):
            rows = np.flatnonzero(source == index)
            self._streams[int(index)].fill(number[rows], rows, ids, documents)
        return torch.from_numpy(ids), torch.from_numpy(documents)

    def __len__(self) -> int:
        return self._order.num_samples

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Global sample `index`: {"ids", "documents"}, each [sequence_length + 1]."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        ids, documents = self.samples(index, 1)
        return {"ids": ids[0], "documents": documents[0]}

    def facts(self) -> dict[str, Any]:
        """packing_efficiency, the share of places that hold a token, and epochs of each source, both of the whole run.

        They are reckoned with the first epoch's number of windows.
        """
        totals = {index: float(self._order.totals[index]) for index in self._streams}
        filled = sum(totals[index] * stream.efficiency() for index, stream in self._streams.items())
        epochs = {self.sources[i]: round(totals[i] / stream.windows(), 4) for i, stream in self._streams.items()}
        return {"packing_efficiency": round(filled / sum(totals.values()), 5), "epochs": epochs}


def _open(entry: dict[str, Any], folder: Path, seed: list[int], size: int, how: Rearranging | None) -> Documents:
    """The documents of a mixture's entry; an error names its source."""
    try:
        return Documents([folder / prefix for prefix in entry["prefixes"]], seed, size, how)
    except ValueError as error:
        raise ValueError(f"source {entry['source']!r} of the mixture: {error}") from error


def _blank(count: int, length: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((count, length), pad, np.int64), np.full((count, length), PADDING, np.int32)


def heldout_batches(
    mixture: Path,
    *,
    sequence_length: int,
    num_sequences: int,
    batch_size: int,
    ranks: Ranks,
    source: str | None = None,
) -> list[dict[str, torch.Tensor]]:
    """This rank's share of `num_sequences` windows of the held-out documents, or of one source's.

    The windows lie evenly over the documents, one after the other in the order of the shards; fewer where there are not
    so many, and no token is a target twice. Every rank gets the same number of batches; the last ones may be empty
    ([0, L + 1]).
    """
    content, folder = read_mixture(mixture)
    held = content["heldout"] if source is None else content["heldout"]["sources"][source]
    if not held.get("prefixes") or not held.get("tokens"):
        raise ValueError(
            f"{mixture} has no held-out documents: raise heldout_fraction of tokenize, or set heldout_sequences=0"
        )
    documents = Documents([folder / prefix for prefix in held["prefixes"]], [0], sequence_length, shuffle=False)
    length = max(1, min(sequence_length, documents.tokens - 1))
    stream = Stream(documents, length + 1, "concatenate", content["vocab_size"])
    total = stream.windows()
    count = min(num_sequences, total)
    windows = np.arange(count) * total // count
    mine = windows[ranks.rank :: ranks.world_size]
    ids, numbers = _blank(len(mine), length + 1, int(content["eod"]))
    if len(mine):
        stream.fill(mine, np.arange(len(mine)), ids, numbers)
    most = -(-count // ranks.world_size)
    return [
        {
            "ids": torch.from_numpy(ids[start : start + batch_size]),
            "documents": torch.from_numpy(numbers[start : start + batch_size]),
        }
        for start in range(0, most, batch_size)
    ]


def heldout_sources(mixture: Path, least_tokens: int = 2) -> dict[str, float]:
    """Bytes of text a held-out token stands for, of each source that has held-out documents of `least_tokens` tokens.

    Empty for a mixture that does not list them.
    """
    sources = read_mixture(mixture)[0]["heldout"].get("sources") or {}
    return {
        name: held["bytes"] / held["tokens"] for name, held in sorted(sources.items()) if held["tokens"] >= least_tokens
    }
