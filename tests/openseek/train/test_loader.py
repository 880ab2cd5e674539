"""Batches: a pure function of (seed, step), the same over any number of ranks, in the mixture's proportions."""

import json

import numpy as np
import pytest
import torch

from openseek.parallel.dims import Ranks
from openseek.train.loader import Loader, Stream, heldout_batches, interleave


def ranks(rank: int = 0, world: int = 1) -> Ranks:
    return Ranks(rank, world, torch.device("cpu"), None)


def loader(mixture, rank: int = 0, world: int = 1, **changes) -> Loader:
    arguments = {"sequence_length": 16, "global_batch_size": 8, "micro_batch_size": 2, "num_steps": 20, "seed": 3}
    return Loader(mixture, ranks=ranks(rank, world), **(arguments | changes))


def test_two_ranks_see_what_one_sees_and_another_seed_something_else(make_mixture):
    mixture = make_mixture()
    for step in (0, 7):
        whole = torch.cat([batch["ids"] for batch in loader(mixture)(step)])
        halves = [torch.cat([batch["ids"] for batch in loader(mixture, rank, 2)(step)]) for rank in (0, 1)]
        assert torch.equal(whole, torch.cat(halves))
        assert whole.shape == (8, 17)
        assert not torch.equal(halves[0], halves[1])
        other = torch.cat([batch["ids"] for batch in loader(mixture, seed=4)(step)])
        assert not torch.equal(whole, other)


def test_an_epoch_reads_every_token_once_and_the_next_in_another_order(make_mixture):
    mixture = make_mixture()
    tokens = mixture.parent / "tokenize-1"
    stream = Stream([tokens / "data/a-00000", tokens / "data/a-00001"], [1])
    first, documents = stream.window(0, stream.tokens)
    second, _ = stream.window(stream.tokens, stream.tokens)
    assert sorted(first) == sorted(second)
    assert not np.array_equal(first, second)
    assert len(set(documents)) == 40
    straddling, numbers = stream.window(stream.tokens - 5, 10)
    assert np.array_equal(straddling, np.concatenate([first[-5:], second[:5]]))
    assert (np.diff(numbers) >= 0).all()
    assert numbers[4] != numbers[5]
    # every document is whole: it ends with the end-of-document token 0 and has no other
    ends = np.flatnonzero(np.diff(documents, append=-1))
    assert (first[ends] == 0).all()
    assert (first == 0).sum() == 40


def test_consecutive_windows_share_one_token(make_mixture):
    mixture = make_mixture()
    stream = Stream([mixture.parent / "tokenize-1" / "data/b-00000"], [1])
    assert stream.window(0, 17)[0][-1] == stream.window(16, 17)[0][0]


def test_sources_come_in_proportion_and_the_order_does_not_depend_on_the_length():
    source, number = interleave([0.7, 0.0, 0.2, 0.1], 1000)
    assert np.bincount(source, minlength=4).tolist() == [700, 0, 200, 100]
    counts = np.cumsum(source == 2)
    assert np.abs(counts - 0.2 * np.arange(1, 1001)).max() < 2
    for index in (0, 2, 3):
        assert number[source == index].tolist() == list(range((source == index).sum()))
    shorter = interleave([0.7, 0.0, 0.2, 0.1], 313)
    assert np.array_equal(shorter[0], source[:313])
    with pytest.raises(ValueError, match="positive sum"):
        interleave([0.0, 0.0], 5)


def test_heldout_windows_are_each_seen_once(make_mixture):
    mixture = make_mixture()
    sizes = {"sequence_length": 16, "num_sequences": 5, "batch_size": 2}
    alone = heldout_batches(mixture, ranks=ranks(), **sizes)
    both = [heldout_batches(mixture, ranks=ranks(rank, 2), **sizes) for rank in (0, 1)]
    rows = {tuple(row.tolist()) for batch in alone for row in batch["ids"]}
    assert len(rows) == 5
    assert {tuple(row.tolist()) for part in both for batch in part for row in batch["ids"]} == rows
    assert len(both[0]) == len(both[1])


def test_what_cannot_be_read_or_divided_is_named(make_mixture, tmp_path):
    mixture = make_mixture()
    with pytest.raises(ValueError, match="multiple of 6"):
        loader(mixture, micro_batch_size=3, world=2)
    with pytest.raises(ValueError, match="mixture.json is missing"):
        loader(tmp_path)
    content = json.loads((mixture / "mixture.json").read_text())
    (mixture / "mixture.json").write_text(json.dumps(content | {"heldout": {"prefixes": [], "tokens": 0}}))
    with pytest.raises(ValueError, match="raise heldout_fraction"):
        heldout_batches(mixture, sequence_length=8, num_sequences=1, batch_size=1, ranks=ranks())
    (mixture / "mixture.json").write_text(json.dumps(content | {"tokens": "../gone"}))
    with pytest.raises(ValueError, match="which are gone"):
        loader(mixture)
