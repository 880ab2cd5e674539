"""dedup_substring as a task: passages are cut from their second place; modes; bad input."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data import bands
from openseek.data.substring import Substring
from tasks.dedup_substring import dedup_substring
from tasks.where import Where, using

Documents = Callable[..., Path]
VOCABULARY = [f"word{i}" for i in range(3000)] + list("今天气很好数据去重清洗模型训练语料质量")


def prose(seed: int, words: int = 200) -> list[str]:
    return random.Random(seed).choices(VOCABULARY, k=words)


def rows(directory: Path, folder: str = "data") -> list[dict]:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / folder).glob("*.parquet"))]).to_pylist()


def texts(directory: Path) -> list[str]:
    return [row["text"] for row in rows(directory)]


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


def shared_passages(seed: int) -> list[list[str]]:
    rng = random.Random(seed)
    passages = [" ".join(prose(i, 60)) for i in range(5)]
    return [
        ["\n".join(rng.choices(passages, k=2) + [" ".join(prose(rng.randrange(10**6), 30))]) for _ in range(8)]
        for _ in range(3)
    ]


@pytest.mark.parametrize("fields", [{}, {"keep": "none"}, {"unit": "words"}, {"within_document": True}])
def test_the_suffix_array_gives_the_same_bytes(documents_of: Documents, files_of, root: Where, fields: dict) -> None:
    documents = documents_of(shared_passages(1))
    config = Substring(min_bytes=200, min_words=30, min_cut=20, min_remaining=50, boundary="character", **fields)
    one = dedup_substring(documents, config=config)
    assert read_manifest(one)["facts"]["spans"] > 10
    with using(replace(root, root=root.root / "oracle")):
        other = dedup_substring(documents, config=replace(config, engine="suffix_array"))
    cut = [[(r["id"], r["start"], r["stop"]) for r in rows(out, "cut")] for out in (one, other)]
    assert cut[0] == cut[1]
    assert texts(one) == texts(other)


def test_partitions_do_not_change_a_byte(
    documents_of: Documents, files_of, root: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, config = documents_of(shared_passages(2)), Substring(min_bytes=200, min_cut=20, min_remaining=50)
    one = files_of(dedup_substring(documents, config=config))
    monkeypatch.setattr(bands, "LEAST_RECORDS", 20)
    monkeypatch.setattr(bands, "SLICE_RECORDS", 1)
    with using(replace(root, root=root.root / "many")):
        assert files_of(dedup_substring(documents, config=config)) == one


@pytest.mark.parametrize("folder", [".texts", ".anchors", ".spans"])
def test_damaged_intermediate_files_are_made_again(
    documents_of: Documents, files_of, root: Where, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import dedup_substring as module

    documents, config = documents_of(shared_passages(3)), Substring(min_bytes=200, min_cut=20, min_remaining=50)
    whole = files_of(dedup_substring(documents, config=config))
    honest, damaged = module.map_files, []

    def damaging(out: Path, name: str, *arguments, **options):
        found = honest(out, name, *arguments, **options)
        if name == folder and not damaged:
            damaged.extend(each for each in (out / name).iterdir() if each.suffix in (".npy", ".bin"))
            damaged[0].unlink()
            for path in damaged[1:]:
                path.write_bytes(path.read_bytes()[:-5])
        return found

    monkeypatch.setattr(module, "map_files", damaging)
    with using(replace(root, root=root.root / "damaged")):
        assert files_of(dedup_substring(documents, config=config)) == whole
    assert damaged


def test_a_repeated_token_is_a_passage_of_the_other_document(documents_of: Documents) -> None:
    shard = ["word " * 200_000, "word " * 100_000 + "and an end of its own. " * 9, "", "short"]
    out = dedup_substring(documents_of([shard]))
    assert [d["row"] for d in rows(out, "dropped")] == []
    assert texts(out)[0] == shard[0]
    assert texts(out)[2:] == ["", "short"]
