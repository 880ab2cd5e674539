from pathlib import Path

import numpy as np
import pytest

from openseek.data.token_shards import TokenShard, TokenShardWriter, dtype_for

EXAMPLE_IDX = bytes.fromhex(
    "4d4d49444944580000 0100000000000000 04 0300000000000000 0300000000000000"
    "03000000 02000000 04000000"
    "0000000000000000 0c00000000000000 1400000000000000"
    "0000000000000000 0100000000000000 0300000000000000"
)


def write(prefix: Path, documents: list[list[int]], dtype: type = np.uint16) -> Path:
    with TokenShardWriter(prefix, dtype) as writer:
        for ids in documents:
            writer.add_document(ids)
    return prefix


def test_bytes_are_those_of_the_worked_example(tmp_path: Path) -> None:
    """Sequences [5,6,7], [8,9], [1,2,3,4] as int32, the last two in one document."""
    with TokenShardWriter(tmp_path / "x_text_document", np.int32) as writer:
        writer.add_document([5, 6, 7])
        writer.add_document([8, 9], [1, 2, 3, 4])
        assert writer.tokens == 9
    assert (tmp_path / "x_text_document.idx").read_bytes() == EXAMPLE_IDX
    assert (tmp_path / "x_text_document.bin").read_bytes() == np.array([5, 6, 7, 8, 9, 1, 2, 3, 4], "<i4").tobytes()
    assert len(EXAMPLE_IDX) == 94
    shard = TokenShard(tmp_path / "x_text_document")
    assert len(shard) == 3
    assert shard.document(0).tolist() == [5, 6, 7]
    assert shard.document(1).tolist() == [8, 9, 1, 2, 3, 4]
    assert shard.get(2, 1, 2).tolist() == [2, 3]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_round_trip(tmp_path: Path, dtype: type) -> None:
    rng = np.random.default_rng(0)
    documents = [rng.integers(0, 60000, n).tolist() for n in (5, 0, 1, 300)]
    shard = TokenShard(write(tmp_path / "web.v1-00000", documents, dtype))
    assert (shard.dtype, shard.tokens, shard.lengths.tolist()) == (np.dtype(dtype), 306, [5, 0, 1, 300])
    assert [shard.get(i).tolist() for i in range(4)] == documents
    assert [shard.document(i).tolist() for i in range(4)] == documents
    assert sorted(p.name for p in tmp_path.iterdir()) == ["web.v1-00000.bin", "web.v1-00000.idx"]


def test_empty_shard(tmp_path: Path) -> None:
    shard = TokenShard(write(tmp_path / "none", []))
    assert (len(shard), shard.tokens, shard.documents.tolist()) == (0, 0, [0])


def test_reading_past_a_sequence_is_refused(tmp_path: Path) -> None:
    shard = TokenShard(write(tmp_path / "a", [[1, 2, 3], [4]]))
    with pytest.raises(ValueError, match="has 3 tokens, asked for 1:4"):
        shard.get(0, 1, 3)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with TokenShardWriter(tmp_path / "a", np.uint16) as writer:
            writer.add_document([1])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "change", "message"),
    [
        (".bin", lambda b: b[:-2], r"a\.bin has 4 bytes, its index says 6"),
        (".idx", lambda b: b[:-8], r"a\.idx has .* it is cut off"),
        (".idx", lambda b: b"PK" + b[2:], "no Megatron index"),
        (".idx", lambda b: b[:9] + b"\x02" + b[10:], "version 2"),
        (".idx", lambda b: b[:17] + b"\x63" + b[18:], "dtype code 99"),
        (".idx", lambda b: b"", "no Megatron index"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, suffix: str, change, message: str) -> None:
    write(tmp_path / "a", [[1, 2, 3]])
    path = tmp_path / f"a{suffix}"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        TokenShard(tmp_path / "a")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"b\.idx is missing"):
        TokenShard(tmp_path / "b")


def test_dtype_rule() -> None:
    assert dtype_for(65499) == np.uint16
    assert dtype_for(65500) == np.int32
    with pytest.raises(ValueError, match="cannot hold"):
        TokenShardWriter("x", np.complex64)


def test_many_documents_at_once_are_those_one_by_one(tmp_path: Path) -> None:
    documents = [[1, 2, 3], [], [4], [5, 6]]
    write(tmp_path / "single", documents)
    with TokenShardWriter(tmp_path / "bulk", np.uint16) as writer:
        for some in (documents[:1], documents[1:], []):
            writer.add_documents(np.array([i for ids in some for i in ids]), np.array([len(ids) for ids in some], int))
        assert (writer.documents, writer.tokens) == (4, 6)
    for suffix in (".bin", ".idx"):
        assert (tmp_path / f"bulk{suffix}").read_bytes() == (tmp_path / f"single{suffix}").read_bytes()


def test_documents_that_the_index_cannot_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openseek.data.token_shards.MOST_TOKENS", 10)
    with (
        pytest.raises(ValueError, match="a document of 11 tokens is longer than the index can say"),
        TokenShardWriter(tmp_path / "x", np.uint16) as writer,
    ):
        writer.add_documents(np.arange(14), np.array([3, 11]))
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(ValueError, match="lengths add up to 3, but there are 4 ids"),
        TokenShardWriter(tmp_path / "x", np.uint16) as writer,
    ):
        writer.add_documents(np.arange(4), np.array([3]))


@pytest.mark.parametrize("place", [34, 34 + 4 * 2 + 8, 34 + 12 * 2, 34 + 12 * 2 + 16])
def test_an_index_that_contradicts_itself_is_refused(tmp_path: Path, place: int) -> None:
    write(tmp_path / "x", [[1, 2, 3], [4]])
    data = bytearray((tmp_path / "x.idx").read_bytes())
    data[place] ^= 0x40
    (tmp_path / "x.idx").write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"x\.(idx contradicts itself|bin has)"):
        TokenShard(tmp_path / "x")
