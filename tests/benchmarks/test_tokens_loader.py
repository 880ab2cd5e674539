"""The loaders that are compared read the same tokens."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tokens_loader import BATCH, MEGATRON, SEQUENCE, lengths, plain, told, write
from openseek.data.token_shards import TokenShard


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    write(tmp_path / "shard", 300, 50_000)
    return tmp_path / "shard"


def test_lengths_are_skewed_and_the_shard_has_them(prefix):
    shard = TokenShard(prefix)
    assert np.array_equal(shard.lengths, lengths(300))
    assert shard.lengths.mean() > 1.5 * np.median(shard.lengths)
    assert all(shard.get(i)[-1] == 0 and shard.get(i)[:-1].min() > 3 for i in range(20))


def test_the_plain_loader_reads_as_many_batches_as_it_is_asked_for(prefix):
    assert plain(prefix, 3) == 3 * BATCH * SEQUENCE


def test_megatron_reads_the_shard_and_what_is_not_installed_is_absent(prefix):
    arguments = {"prefix": str(prefix), "sequence": SEQUENCE, "batch": BATCH, "batches": 3, "turns": 1}
    assert told("import no_such_module_at_all", arguments) is None
    with pytest.raises(RuntimeError, match="a loader failed"):
        told("raise ValueError('reason')", arguments)
    if not importlib.util.find_spec("megatron"):
        pytest.skip("megatron-core is not installed")
    found = told(MEGATRON, {**arguments, "vocabulary": 50_000})
    assert found
    assert found["tokens"] == 3 * BATCH * SEQUENCE
    assert found["seconds"] > 0
