"""Batches: a pure function of (seed, step), the same over any number of ranks and workers, in the mixture's stages."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from openseek.parallel.dims import Ranks
from openseek.train.fill_in_the_middle import FillInTheMiddle
from openseek.train.loader import Loader, heldout_batches, heldout_sources


def ranks(rank: int = 0, world: int = 1) -> Ranks:
    return Ranks(rank, world, torch.device("cpu"), None)


def loader(mixture: Path, rank: int = 0, world: int = 1, **changes) -> Loader:
    arguments: dict[str, Any] = {
        "sequence_length": 16,
        "global_batch_size": 8,
        "micro_batch_size": 2,
        "num_steps": 20,
        "seed": 3,
    }
    return Loader(mixture, ranks=ranks(rank, world), **(arguments | changes))


def change(mixture: Path, **values) -> None:
    """Other values in mixture.json."""
    path = mixture / "mixture.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def step_of(loaders: list[Loader], step: int) -> torch.Tensor:
    """(ids, documents) [2, global batch, T] that the ranks see in a step, one after the other."""
    parts = [torch.stack([b["ids"], b["documents"]]) for each in loaders for b in each(step)]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
def test_any_world_size_sees_the_same_samples_and_another_seed_something_else(make_mixture, packing):
    mixture = make_mixture()
    for step in (0, 7, 19):
        whole = step_of([loader(mixture, packing=packing)], step)
        assert whole.shape == (2, 8, 17)
        for world in (2, 4):
            parts = [loader(mixture, rank, world, packing=packing) for rank in range(world)]
            assert torch.equal(step_of(parts, step), whole)
            assert not torch.equal(parts[0](step)[0]["ids"], parts[1](step)[0]["ids"])
        assert not torch.equal(step_of([loader(mixture, packing=packing, seed=4)], step), whole)


def read(mixture: Path, worlds: list[int], kind: type[Loader] = Loader) -> Counter[int]:
    """Tokens of one epoch of a mixture of one source, when the world size changes from step to step."""
    seen: Counter[int] = Counter()
    arguments: dict[str, Any] = {
        "sequence_length": 16,
        "global_batch_size": 4,
        "micro_batch_size": 1,
        "num_steps": 10_000,
        "seed": 3,
    }
    first = loader(mixture, **arguments)
    windows = first._streams[0].windows()
    assert windows % 4 == 0
    for step in range(windows // 4):
        world = worlds[step % len(worlds)]
        for rank in range(world):
            # made anew each step: a resumed run has no other memory than the step
            for batch in kind(mixture, ranks=ranks(rank, world), **arguments)(step):
                seen.update(batch["ids"][batch["documents"] >= 0].tolist())
    return seen


class OwnPart(Loader):
    """A deliberate bug: each rank goes through the samples by itself, from its own offset."""

    def __call__(self, step: int) -> list[dict[str, torch.Tensor]]:
        per_rank = self.sizes.size(step) // self.ranks.world_size
        ids, documents = self.samples(step * per_rank + self.ranks.rank * 1000, per_rank)
        return [{"ids": ids, "documents": documents}]


@pytest.fixture
def one_source(make_mixture) -> tuple[Path, Counter[int]]:
    """A mixture of one source, whose windows are a multiple of four, and its tokens."""
    mixture = make_mixture()
    content = json.loads((mixture / "mixture.json").read_text())
    change(mixture, entries=[{**content["entries"][0], "weight": 1.0}])
    tokens = mixture.parent / "tokenize-1"
    ids = [np.fromfile(tokens / f"{prefix}.bin", "<u2") for prefix in content["entries"][0]["prefixes"]]
    return mixture, Counter(np.concatenate(ids).tolist())


def test_a_changing_world_size_neither_repeats_nor_skips_a_token(one_source):
    mixture, every = one_source
    assert read(mixture, [1]) == every
    assert read(mixture, [1, 4, 2, 2, 1, 4]) == every
    assert read(mixture, [1, 4, 2, 2, 1, 4], OwnPart) != every


def test_workers_of_a_data_loader_give_the_same_samples(make_mixture):
    samples = loader(make_mixture())
    assert len(samples) == 160
    with pytest.raises(IndexError, match="sample 160 of 160"):
        samples[160]
    wanted = list(range(21, 160, 3))
    workers = torch.utils.data.DataLoader(
        samples, batch_size=2, sampler=wanted, num_workers=2, multiprocessing_context="fork"
    )
    seen = torch.cat([batch["ids"] for batch in workers])
    assert torch.equal(seen, torch.stack([samples.samples(k, 1)[0][0] for k in wanted]))
    assert torch.equal(samples.samples(21, 100)[0][::3], seen[:34])


def test_stages_and_weights_decide_the_sources(make_mixture):
    mixture = make_mixture()
    stages = [
        {"name": "first", "share": 0.75, "weights": [1.0, 0.0]},
        {"name": "then", "share": 0.25, "weights": [0.5, 0.5]},
    ]
    change(mixture, stages=stages)
    staged = loader(mixture, num_steps=40)
    assert staged._order.totals.tolist() == [280, 40]
    alone = loader(mixture, num_steps=40)
    change(mixture, stages=[{"name": "all", "share": 1.0, "weights": [1.0, 0.0]}])
    only = loader(mixture, num_steps=40)
    assert torch.equal(staged.samples(0, 240)[0], only.samples(0, 240)[0])
    assert torch.equal(staged.samples(230, 30)[0], alone.samples(230, 30)[0])
    source, number = staged._order(240, 80)
    follows = only.samples(int(number[source == 0][0]), 40)[0]
    assert torch.equal(staged.samples(240, 80)[0][source == 0], follows)
    assert only.facts()["epochs"].keys() == {"a"}
    assert 0.9 < only.facts()["packing_efficiency"] <= 1


def test_fill_in_the_middle_takes_its_tokens_by_name(make_mixture):
    mixture = make_mixture()
    how = FillInTheMiddle(rate=0.9, sources=("a",))
    change(mixture, vocab_size=63)
    (mixture.parent / "tokenize-1" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"has no token <\|fim_prefix\|>, <\|fim_suffix\|>, <\|fim_middle\|>: name"):
        loader(mixture, fill_in_the_middle=how)
    change(mixture, special_tokens={"<|fim_prefix|>": 60, "<|fim_suffix|>": 61, "<|fim_middle|>": 62})
    with pytest.raises(ValueError, match="sources names c, but the mixture has a, b"):
        loader(mixture, fill_in_the_middle=dataclasses.replace(how, sources=("c",)))
    every = loader(mixture, fill_in_the_middle=how, sequence_length=40)
    ids, _ = every.samples(0, 100)
    source, _ = every._order(0, 100)
    assert (ids[source == 0] == 60).sum() > 20
    assert (ids[source == 1] < 60).all()
    plain = loader(mixture, sequence_length=40).samples(0, 100)[0]
    assert torch.equal(plain[source == 1], ids[source == 1])
    again = loader(mixture, 1, 2, fill_in_the_middle=how, sequence_length=40)(3)
    assert torch.equal(torch.cat([b["ids"] for b in again]), ids[28:32])


def test_heldout_windows_are_each_seen_once_and_lie_over_all_documents(make_mixture):
    mixture = make_mixture()
    sizes: dict[str, Any] = {"sequence_length": 16, "num_sequences": 5, "batch_size": 2}
    alone = heldout_batches(mixture, ranks=ranks(), **sizes)
    both = [heldout_batches(mixture, ranks=ranks(rank, 2), **sizes) for rank in (0, 1)]
    rows = {tuple(row.tolist()) for batch in alone for row in batch["ids"]}
    assert len(rows) == 5
    assert {tuple(row.tolist()) for part in both for batch in part for row in batch["ids"]} == rows
    assert len(both[0]) == len(both[1])
    flat = np.fromfile(mixture.parent / "tokenize-1/data/heldout-00000.bin", "<u2")
    total = -(-(len(flat) - 1) // 16)
    sizes["num_sequences"] = 10_000
    every = heldout_batches(mixture, ranks=ranks(), **sizes)
    ids, documents = (torch.cat([batch[name] for batch in every]) for name in ("ids", "documents"))
    assert np.array_equal(ids[:, 1:][documents[:, 1:] >= 0], flat[1:])
    starts = [ids.tolist().index(list(row)) for row in rows]
    assert sorted(starts) == [i * total // 5 for i in range(5)]


def test_heldout_documents_of_one_source(make_mixture):
    mixture = make_mixture()
    content = json.loads((mixture / "mixture.json").read_text())
    assert heldout_sources(mixture) == {}
    source = {"prefixes": ["data/b-00000"], "documents": 15, "tokens": 200, "bytes": 700}
    nothing = {"prefixes": [], "documents": 0, "tokens": 0, "bytes": 0}
    change(mixture, heldout={**content["heldout"], "sources": {"b": source, "a": nothing}})
    assert heldout_sources(mixture) == {"b": 3.5}
    batches = heldout_batches(mixture, sequence_length=16, num_sequences=1, batch_size=1, ranks=ranks(), source="b")
    flat = np.fromfile(mixture.parent / "tokenize-1/data/b-00000.bin", "<u2")
    assert np.array_equal(batches[0]["ids"][0], flat[:17])


def test_what_cannot_be_read_or_divided_is_named(make_mixture, tmp_path):
    mixture = make_mixture()
    with pytest.raises(ValueError, match="multiple of 6"):
        loader(mixture, micro_batch_size=3, world=2)
    with pytest.raises(ValueError, match=r"mixture\.json is missing"):
        loader(tmp_path)
    with pytest.raises(ValueError, match=r"has \d+ tokens in all, fewer than the 100001 of one window"):
        loader(mixture, sequence_length=100_000)
    content = json.loads((mixture / "mixture.json").read_text())
    change(mixture, heldout={"prefixes": [], "tokens": 0})
    with pytest.raises(ValueError, match="raise heldout_fraction"):
        heldout_batches(mixture, sequence_length=8, num_sequences=1, batch_size=1, ranks=ranks())
    for prefix in content["entries"][0]["prefixes"]:
        (mixture.parent / "tokenize-1" / f"{prefix}.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"source 'a' of the mixture: .*a-00000\.bin has 0 bytes, its index says"):
        loader(mixture)
    change(mixture, entries=[{**content["entries"][0], "prefixes": []}])
    with pytest.raises(ValueError, match=r"source 'a' of the mixture: the token shards \(none\) hold no tokens"):
        loader(mixture)
    change(mixture, tokens="../gone")
    with pytest.raises(ValueError, match="which are gone"):
        loader(mixture)
