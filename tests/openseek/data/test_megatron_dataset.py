"""Our token shards beside the reader and the writer of megatron-core."""

import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from openseek.data.token_shards import TokenShard, TokenShardWriter

DOCUMENTS = [[5, 6, 7], [8, 9], [], [1, 2, 3, 4], [0], [65_000 % 60_000] * 300]


@pytest.fixture(scope="module")
def megatron() -> ModuleType:
    with warnings.catch_warnings():
        # It says which optional packages it does without.
        warnings.simplefilter("ignore")
        from megatron.core.datasets import indexed_dataset
    return indexed_dataset


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_megatron_reads_ours(tmp_path: Path, megatron: ModuleType, dtype: type) -> None:
    lengths = np.array([len(ids) for ids in DOCUMENTS])
    with TokenShardWriter(tmp_path / "x", dtype) as writer:
        writer.add_documents(np.array(sum(DOCUMENTS, []), dtype), lengths)
        writer.add_document([7, 7], [8])
    theirs = megatron.IndexedDataset(str(tmp_path / "x"))
    assert theirs.index.dtype == dtype
    assert theirs.document_indices.tolist() == [*range(len(DOCUMENTS) + 1), len(DOCUMENTS) + 2]
    assert [theirs[i].tolist() for i in range(len(theirs))] == [*DOCUMENTS, [7, 7], [8]]
    ours = TokenShard(tmp_path / "x")
    assert ours.document(len(DOCUMENTS)).tolist() == [7, 7, 8]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_ours_reads_megatrons(tmp_path: Path, megatron: ModuleType, dtype: type) -> None:
    builder = megatron.IndexedDatasetBuilder(str(tmp_path / "x.bin"), dtype=dtype)
    for ids in DOCUMENTS:
        builder.add_document(np.array(ids, np.int64), [len(ids)])
    builder.finalize(str(tmp_path / "x.idx"))
    ours = TokenShard(tmp_path / "x")
    assert ours.dtype == dtype
    assert [ours.document(i).tolist() for i in range(len(DOCUMENTS))] == DOCUMENTS
    with TokenShardWriter(tmp_path / "y", dtype) as writer:
        for ids in DOCUMENTS:
            writer.add_document(ids)
    for suffix in (".bin", ".idx"):
        assert (tmp_path / f"y{suffix}").read_bytes() == (tmp_path / f"x{suffix}").read_bytes()
