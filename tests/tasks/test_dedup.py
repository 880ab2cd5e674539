import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data.exact import DedupExact
from openseek.data.keep import KeepPolicy
from openseek.data.minhash import MinHash
from openseek.data.substring import Substring
from tasks.dedup import dedup_exact, dedup_minhash, dedup_substring
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


def test_planted_duplicate_goes_and_its_twin_stays(documents_of: Documents) -> None:
    documents = documents_of([["one text", "another", " one\ttext\n"], ["One text", "another", "last"]])
    out = dedup_exact(documents, config=DedupExact())
    assert texts(out) == ["one text", "another", "One text", "last"]
    kept = {row["text"]: row["id"] for row in rows(out)}
    dropped = rows(out, "dropped")
    assert [(d["rule"], d["partner"], d["shard"], d["row"], d["first"]) for d in dropped] == [
        ("exact", kept["one text"], 0, 2, True),
        ("exact", kept["another"], 1, 1, True),
    ]
    facts = read_manifest(out)["facts"]
    assert (facts["rows_in"], facts["rows_out"], facts["dropped"]) == (6, 4, {"exact": 2})


def test_trusted_source_keeps_its_copy(documents_of: Documents) -> None:
    documents = documents_of([[{"text": "same", "source": "web"}], [{"text": "same", "source": "book"}]])
    out = dedup_exact(documents, config=DedupExact(keep=KeepPolicy(sources=("book",))))
    assert [row["source"] for row in rows(out)] == ["book"]


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

    def broken(data, offsets, ngram, a, b, classes, folded):
        result, words = honest(data, offsets, ngram, a, b, classes, folded)
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
    longest = dedup_minhash(documents, config=MinHash(keep=KeepPolicy(prefer="longest")))
    assert len(texts(longest)[0].split()) == 200


def test_planted_passage_is_cut_from_its_second_place(documents_of: Documents) -> None:
    passage = "".join(f"This sentence number {i} 是原文的一句话，repeats. " for i in range(20))
    first, second = (" ".join(prose(i, 60)) for i in (1, 2))
    shards = [[f"{first}\n{passage}\n{first[::-1]}", "other"], [f"{second}\n{passage}\n{second[::-1]}", passage]]
    out = dedup_substring(documents_of(shards))
    assert texts(out) == [shards[0][0], "other", f"{second}\n{second[::-1]}"]
    ids = [row["id"] for row in rows(out)]
    (dropped,) = rows(out, "dropped")
    assert (dropped["rule"], dropped["partner"], dropped["row"]) == ("substring", ids[0], 1)
    assert (dropped["start"], dropped["stop"], dropped["value"]) == (0, len(passage.encode()), 0)
    cuts = rows(out, "cut")
    assert [(c["id"], c["partner"]) for c in cuts] == [(ids[2], ids[0]), (dropped["id"], ids[0])]
    cut = shards[1][0].encode()[cuts[0]["start"] : cuts[0]["stop"]].decode()
    assert cut == passage + "\n"
    facts = read_manifest(out)["facts"]
    assert (facts["bytes_cut"], facts["documents_cut"], facts["spans"]) == (len(cut.encode()), 1, 2)


def test_cuts_keep_whole_sentences(documents_of: Documents) -> None:
    """The repeat begins and ends inside sentences; what is cut does not."""
    middle = "".join(f"Sentence {i} is repeated here. " for i in range(40))
    documents = documents_of(
        [["Begin with common " + middle + "and then end one."], ["Other common " + middle + "and then end two!"]]
    )
    out = dedup_substring(documents, config=Substring(min_remaining=10))
    assert texts(out)[1] == "Other common Sentence 0 is repeated here. and then end two!"


def test_shorter_repeats_stay(documents_of: Documents) -> None:
    passage = "A sentence of text. " * 1 + " ".join(prose(5, 40))
    documents = documents_of([[f"one {passage} one", f"two {passage} two"]])
    out = dedup_substring(documents, config=Substring(min_bytes=len(passage.encode()) + 40))
    assert read_manifest(out)["facts"]["spans"] == 0


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
