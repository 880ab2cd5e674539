import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from openseek.artifact import read_manifest
from openseek.data.token_shards import TokenShard
from openseek.data.tokenizer import Tokenize, chosen
from tasks.tokens import tokenize
from tasks.where import Where, using

Documents = Callable[..., Path]
CONFIG = Tokenize(vocab_size=400, heldout_fraction=0.2)


def corpus(seed: int = 0, count: int = 40) -> list[dict[str, str]]:
    rng = random.Random(seed)
    words = ["the", "model", "reads", "text", "and", "numbers", "12", "345", "数据", "模型", "训练", "🎉", "code(x)"]
    return [
        {"text": " ".join(rng.choices(words, k=rng.randint(0, 60))), "source": rng.choice(["web", "zh.edu"])}
        for _ in range(count)
    ]


def summary(out: Path) -> dict:
    return json.loads((out / "tokens.json").read_text())


def texts_in(out: Path, prefixes: list[str]) -> list[str]:
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    texts = []
    for prefix in prefixes:
        shard = TokenShard(out / prefix)
        for i in range(len(shard)):
            ids = shard.document(i).tolist()
            assert ids[-1] == 0
            assert 0 not in ids[:-1]
            texts.append(tokenizer.decode(ids[:-1], skip_special_tokens=False))
    return texts


def all_tokens(out: Path, prefixes: list[str]) -> np.ndarray:
    shards = [TokenShard(out / prefix) for prefix in prefixes]
    return np.concatenate([shard.document(i) for shard in shards for i in range(len(shard))])


def test_every_document_is_in_one_shard(documents_of: Documents) -> None:
    shards = [corpus(0), [], corpus(1)]
    out = tokenize(documents_of(shards), config=CONFIG)
    rows = [row for shard in shards for row in shard]
    about = summary(out)
    trained = [text for entry in about["sources"].values() for text in texts_in(out, entry["prefixes"])]
    held = texts_in(out, about["heldout"]["prefixes"])
    assert sorted(trained + held) == sorted(row["text"] for row in rows)
    assert sorted(about["sources"]) == ["web", "zh.edu"]
    assert about["sources"]["web"]["prefixes"] == ["data/web-00000", "data/web-00002"]
    assert 5 < len(held) < 30
    facts = read_manifest(out)["facts"]
    assert (facts["rows_in"], facts["rows_out"]) == (80, 80)
    assert facts["tokens"] == sum(entry["tokens"] for entry in about["sources"].values())
    assert (about["eod"], about["dtype"]) == (0, "uint16")
    assert about["vocab_size"] == facts["vocab_size"] <= 400


def test_unigram_entropy_is_that_of_the_shards(documents_of: Documents) -> None:
    out = tokenize(documents_of([corpus(0)]), config=CONFIG)
    about = summary(out)
    train = all_tokens(out, [p for entry in about["sources"].values() for p in entry["prefixes"]])
    held = all_tokens(out, about["heldout"]["prefixes"])
    counts = np.bincount(train, minlength=about["vocab_size"]) + 1
    assert about["unigram_entropy_nats"] == pytest.approx(-np.log(counts[held] / counts.sum()).mean())


def test_held_out_documents_are_chosen_by_id_and_train_no_tokenizer(documents_of: Documents) -> None:
    rows = [{"id": f"{i:032x}", "text": f"document {i}"} for i in range(100)]
    held = chosen([row["id"] for row in rows], 0.2, 0)
    for i in np.flatnonzero(held):
        rows[i]["text"] = "zzzzyyyy " * 50
    out = tokenize(documents_of([rows]), config=CONFIG)
    assert texts_in(out, ["data/heldout-00000"]) == ["zzzzyyyy " * 50] * int(held.sum())
    assert "zz" not in Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab()


def test_synthetic_documents_are_never_held_out(documents_of: Documents) -> None:
    documents, made = (
        documents_of([corpus(0)]),
        documents_of([[{"text": "made up", "source": "synthetic-x"}] * 30], "made"),
    )
    about = summary(tokenize(documents, made, config=CONFIG))
    assert about["sources"]["synthetic-x"]["prefixes"] == ["data/synthetic-x-00001"]
    assert about["sources"]["synthetic-x"]["documents"] == 30


def test_children_of_held_out_documents_are_dropped(documents_of: Documents) -> None:
    ids = [f"{i:032x}" for i in range(60)]
    held = {ids[i] for i in np.flatnonzero(chosen(ids, 0.2, 0))}
    children = [{"text": f"made from {i}", "source": "synthetic-x", "meta": json.dumps({"parent": i})} for i in ids]
    out = tokenize(documents_of([corpus(0)]), documents_of([children], "made"), config=CONFIG)
    assert texts_in(out, ["data/synthetic-x-00001"]) == [
        c["text"] for c, i in zip(children, ids, strict=True) if i not in held
    ]
    dropped = pq.read_table(out / "dropped" / "00001.parquet").to_pylist()
    assert {d["partner"] for d in dropped} == held
    facts = read_manifest(out)["facts"]
    assert facts["dropped"] == {"parent_held_out": len(held)}
    assert facts["rows_out"] == 100 - len(held)


def test_a_given_tokenizer_is_used(documents_of: Documents) -> None:
    documents = documents_of([corpus(0)])
    given = tokenize(documents, config=CONFIG) / "tokenizer.json"
    again = tokenize(documents, config=replace(CONFIG, tokenizer=str(given), vocab_size=300))
    assert (again / "tokenizer.json").read_bytes() == given.read_bytes()


def test_sources_that_cannot_name_a_file_are_refused(documents_of: Documents) -> None:
    with pytest.raises(ValueError, match="source name 'heldout'"):
        tokenize(documents_of([[{"text": "x", "source": "heldout"}] * 20]), config=Tokenize(heldout_fraction=0))


def test_nothing_to_train_on_is_said(documents_of: Documents) -> None:
    with pytest.raises(ValueError, match="no documents to train a tokenizer on"):
        tokenize(documents_of([[]]), config=CONFIG)


def test_workers_and_interruptions_do_not_change_a_byte(
    documents_of: Documents, files_of, root: Where, two_workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = documents_of([corpus(i, 20) for i in range(4)])
    alone = files_of(tokenize(documents, config=CONFIG))
    assert len(alone) >= 2 + 4 + 4 * 6 - 4
    with using(replace(root, root=root.root / "parallel", dask=lambda: two_workers)):
        assert files_of(tokenize(documents, config=CONFIG)) == alone
    with using(replace(root, root=root.root / "broken")):
        from tasks import tokens

        honest, calls = tokens._encode, []

        def dying(part, target, *, out, fraction):
            calls.append(part.number)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return honest(part, target, out=out, fraction=fraction)

        monkeypatch.setattr(tokens, "_encode", dying)
        with pytest.raises(KeyboardInterrupt):
            tokenize(documents, config=CONFIG)
        assert files_of(tokenize(documents, config=CONFIG)) == alone
    assert calls == [0, 1, 2, 2, 3]
