"""dedup_minhash as a task: near copies go, with their twins named; older corpora; bad input; damage."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data import bands
from openseek.data.keep import KeepPolicy
from openseek.data.minhash import MinHash
from tasks.dedup_exact import dedup_exact
from tasks.dedup_minhash import dedup_minhash
from tasks.dedup_substring import dedup_substring
from tasks.where import Where, using

Documents = Callable[..., Path]
VOCABULARY = [f"word{i}" for i in range(3000)] + list("今天气很好数据去重清洗模型训练语料质量")


def prose(seed: int, words: int = 200) -> list[str]:
    return random.Random(seed).choices(VOCABULARY, k=words)


def edited(words: list[str], similarity: float, tag: str) -> list[str]:
    """A copy whose tail of new words leaves about this Jaccard similarity of 5-grams."""
    shared = round(len(words) * 2 * similarity / (1 + similarity))
    return words[:shared] + [f"{tag}{i}" for i in range(len(words) - shared)]


def rows(directory: Path, folder: str = "data") -> list[dict]:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / folder).glob("*.parquet"))]).to_pylist()


def texts(directory: Path) -> list[str]:
    return [row["text"] for row in rows(directory)]


def near_copies() -> list[list[str]]:
    """Two shards: 20 originals; copies at a similarity of about .8, .9 and .3 of most of them, with fillers between."""
    originals = [prose(i) for i in range(20)]
    copies = []
    for i, words in enumerate(originals[:18]):
        copies.append(" ".join(edited(words, (0.8, 0.9, 0.3)[i % 3], f"new{i}x")))
        copies.append(" ".join(prose(1000 + i, 60)))
    return [[" ".join(words) for words in originals], copies]


def test_near_copies_go_and_distant_ones_stay(documents_of: Documents) -> None:
    shards = near_copies()
    out = dedup_minhash(documents_of(shards))
    dropped = {d["row"]: d for d in rows(out, "dropped")}
    near = [2 * i for i in range(18) if i % 3 < 2]
    assert sorted(dropped) == near
    kept = {row["id"]: row["text"] for row in rows(out)}
    for row, record in dropped.items():
        assert record["shard"] == 1
        assert kept[record["partner"]] == shards[0][row // 2]
        assert record["value"] == pytest.approx((0.8, 0.9)[row // 2 % 3], abs=0.04)
        assert record["limit"] == 0.7
    facts = read_manifest(out)["facts"]
    assert (facts["clusters"], facts["largest_cluster"], facts["runs_cut"]) == (12, 2, 0)


def test_the_threshold_decides(documents_of: Documents) -> None:
    """Control: with the threshold elsewhere, other documents go."""
    documents = documents_of(near_copies())
    low = MinHash(threshold=0.25, num_bands=100, rows_per_band=2)
    assert read_manifest(dedup_minhash(documents, config=low))["facts"]["dropped"] == {"minhash": 18}
    assert read_manifest(dedup_minhash(documents, config=MinHash(threshold=0.95)))["facts"]["dropped"] == {}


def test_a_broken_kernel_is_caught(documents_of: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: signatures that are not datasketch's end the task, and without the check recall is lost."""
    from openseek.data import shingles

    honest = shingles.signatures

    def broken(data, offsets, kinds, ngram, a, b, classes, folded):
        result, words = honest(data, offsets, kinds, ngram, a, b, classes, folded)
        result[1::2] += 1
        return result, words

    monkeypatch.setattr(shingles, "signatures", broken)
    documents = documents_of(
        [shard[: len(shard) - 1 if number else None] for number, shard in enumerate(near_copies())]
    )
    with pytest.raises(AssertionError, match="datasketch disagree"):
        dedup_minhash(documents)
    out = dedup_minhash(documents, config=MinHash(check_documents=0, seed=2))
    assert read_manifest(out)["facts"]["dropped"].get("minhash", 0) < 12


def test_short_documents_do_not_collapse(documents_of: Documents) -> None:
    short = ["", "?", "yes", "no", "3+4=?", "3-4=?", "你好", "a b c d", "!!!"]
    out = dedup_minhash(documents_of([short]))
    assert texts(out) == short
    assert read_manifest(out)["facts"]["too_short"] == len(short)


def test_longest_copy_stays_where_asked(documents_of: Documents) -> None:
    words = prose(3)
    documents = documents_of([[" ".join(words[:180]), " ".join(words)]])
    assert len(texts(dedup_minhash(documents))[0].split()) == 180
    longest = dedup_minhash(documents, config=MinHash(keep=KeepPolicy(prefer=("longest",))))
    assert len(texts(longest)[0].split()) == 200


@pytest.mark.parametrize("step", [dedup_exact, dedup_minhash, dedup_substring])
def test_empty_shards(documents_of: Documents, step) -> None:
    assert texts(step(documents_of([[], ["", "only"]]))) == ["", "only"]


def test_workers_do_not_change_a_byte(documents_of: Documents, files_of, root: Where, two_workers: str) -> None:
    shards = near_copies()
    documents = documents_of([*shards, shards[0][5:9], [" ".join(shards[0][:3])]])
    steps = (dedup_exact, dedup_minhash, dedup_substring)
    alone = [files_of(step(documents)) for step in steps]
    with using(replace(root, root=root.root / "parallel", dask=lambda: two_workers)):
        together = [files_of(step(documents)) for step in steps]
    assert together == alone
    assert all(len(files) >= 12 for files in alone)


def test_a_later_crawl_is_compared_with_earlier_ones(documents_of: Documents, files_of) -> None:
    originals, copies = near_copies()
    first = dedup_minhash(documents_of([originals[:10]], name="crawl1"), label="1")
    second = dedup_minhash(documents_of([originals[10:]], name="crawl2"), first, label="2")
    out = dedup_minhash(documents_of([copies, [originals[0], originals[12]]], name="crawl3"), second, label="3")
    alone = {row["text"]: row["id"] for part in (first, second) for row in rows(part)}
    dropped = rows(out, "dropped")
    near = [2 * i for i in range(18) if i % 3 < 2]
    assert [(d["shard"], d["row"]) for d in dropped] == [*((0, row) for row in near), (1, 0), (1, 1)]
    assert [d["partner"] for d in dropped[:12]] == [alone[originals[row // 2]] for row in near]
    assert [(d["partner"], d["value"]) for d in dropped[12:]] == [(alone[originals[i]], 1.0) for i in (0, 12)]
    assert read_manifest(out)["facts"]["older_shards"] == 2
    # All at once gives the same documents as one after the other.
    together = dedup_minhash(documents_of([originals, copies, [originals[0], originals[12]]], name="all"), label="all")
    assert texts(together) == [*originals, *texts(out)]


def test_an_older_corpus_signed_otherwise_is_refused(documents_of: Documents) -> None:
    documents = documents_of([near_copies()[0]])
    older = dedup_minhash(documents, config=MinHash(ngram=4), label="older")
    with pytest.raises(ValueError, match="use the same settings"):
        dedup_minhash(documents, older)
    with pytest.raises(ValueError, match="is no result of dedup_minhash"):
        dedup_minhash(documents, documents)


def test_partitions_do_not_change_a_byte(
    documents_of: Documents, files_of, root: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = documents_of(near_copies())
    one = files_of(dedup_minhash(documents))
    monkeypatch.setattr(bands, "LEAST_RECORDS", 100)
    monkeypatch.setattr(bands, "SLICE_RECORDS", 10)
    assert bands.partition_bits(28 * 56, 2) > 3
    with using(replace(root, root=root.root / "many")):
        assert files_of(dedup_minhash(documents)) == one


@pytest.mark.parametrize("folder", [".signed", ".bands", ".pairs", ".likely", ".sets", ".edges"])
def test_damaged_intermediate_files_are_made_again(
    documents_of: Documents, files_of, root: Where, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of a pass is cut short when the pass has ended; the next pass finds out."""
    from tasks import dedup_minhash as module
    from tasks import near_pairs

    documents = documents_of(near_copies())
    whole = files_of(dedup_minhash(documents))
    honest, damaged = near_pairs.map_files, []

    def damaging(out: Path, name: str, *arguments, **options):
        found = honest(out, name, *arguments, **options)
        if name == folder and not damaged:
            damaged.extend((out / name).glob("*.npy"))
            damaged[0].unlink()
            for path in damaged[1:]:
                path.write_bytes(path.read_bytes()[:-5])
        return found

    monkeypatch.setattr(near_pairs, "map_files", damaging)
    monkeypatch.setattr(module, "map_files", damaging)
    with using(replace(root, root=root.root / "damaged")):
        assert files_of(dedup_minhash(documents)) == whole
    assert damaged


def test_a_full_disk_ends_the_task_and_the_next_run_goes_on(
    documents_of: Documents, files_of, root: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from openseek.data import arrays

    documents = documents_of(near_copies())
    whole = files_of(dedup_minhash(documents))
    honest, calls = arrays.write_arrays, []

    def full(path: Path, *values) -> None:
        calls.append(path)
        if len(calls) == 6:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        honest(path, *values)

    with using(replace(root, root=root.root / "full")):
        monkeypatch.setattr(arrays, "write_arrays", full)
        with pytest.raises(OSError, match="No space left"):
            dedup_minhash(documents)
        monkeypatch.undo()
        assert files_of(dedup_minhash(documents)) == whole


def test_a_hundred_thousand_equal_documents_are_one_cluster_and_an_alarm(documents_of: Documents) -> None:
    text = " ".join(prose(1, 30))
    documents = documents_of([[text] * 50_000, [text] * 50_000])
    out = dedup_minhash(documents)
    facts = read_manifest(out)["facts"]
    assert (facts["rows_out"], facts["largest_cluster"], facts["clusters"]) == (1, 100_000, 1)
    assert any("a cluster holds 100000 documents" in line for line in facts["alarms"])
    assert facts["pairs"]["proposed"] <= 32 * 100_000


def test_documents_that_share_a_header_stay(documents_of: Documents) -> None:
    header = " ".join(prose(0, 60))
    shard = [f"{header} {' '.join(prose(i + 1, 90))}" for i in range(300)]
    facts = read_manifest(dedup_minhash(documents_of([shard])))["facts"]
    assert (facts["rows_out"], facts["clusters"]) == (300, 0)


def test_one_word_repeated_a_million_times(documents_of: Documents) -> None:
    shard = ["word " * 1_000_000, "word " * 900_000, "字" * 100_000, "other text"]
    out = dedup_minhash(documents_of([shard]))
    assert [d["row"] for d in rows(out, "dropped")] == [1]


def test_code_with_another_header_and_layout_is_a_near_copy(documents_of: Documents) -> None:
    lines = [f"    total_{i} = compute(values[{i}], scale) + offset_{i % 5}" for i in range(40)]
    other = "# Copyright of somebody\n" + "\n".join(f"{line.strip()}  # step" for line in lines)
    shard = [{"text": text, "source": "code"} for text in ("\n".join(lines), other)]
    assert read_manifest(dedup_minhash(documents_of([shard])))["facts"]["dropped"] == {"minhash": 1}
    plain = MinHash(code_sources=())
    # Control: read as prose, the comments make them different.
    assert read_manifest(dedup_minhash(documents_of([shard], name="plain"), config=plain))["facts"]["dropped"] == {}
