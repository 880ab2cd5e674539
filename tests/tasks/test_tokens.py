import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from cli.why import why
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
    assert texts_in(out, ["data/heldout.web-00000"]) == ["zzzzyyyy " * 50] * int(held.sum())
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
    folder = given.parents[1] / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(given.read_bytes())
    (folder / "special_tokens_map.json").write_text('{"eos_token": "<eos>"}')
    other = tokenize(documents, config=replace(CONFIG, tokenizer=str(folder), end_of_document="<eos>"))
    assert read_manifest(other)["facts"]["special_tokens_added"] == ["<eos>"]
    assert summary(other)["eod"] == summary(again)["vocab_size"] == summary(other)["vocab_size"] - 1


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

        honest, calls = tokens.encode_part, []

        def dying(part, target, *, context):
            calls.append(part.number)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return honest(part, target, context=context)

        monkeypatch.setattr(tokens, "encode_part", dying)
        with pytest.raises(KeyboardInterrupt):
            tokenize(documents, config=CONFIG)
        assert files_of(tokenize(documents, config=CONFIG)) == alone
    assert calls == [0, 1, 2, 2, 3]


def write_groups(documents: Path, rows: int) -> None:
    """Write the shards anew in row groups of so many rows."""
    for shard in (documents / "data").glob("*.parquet"):
        pq.write_table(pq.read_table(shard), shard, row_group_size=rows)


def test_a_shard_of_many_row_groups_is_split_over_workers(
    documents_of: Documents, files_of, root: Where, two_workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.token_sample.PART_BYTES", 1)
    documents = documents_of([corpus(0, 50), []])
    write_groups(documents, 20)
    out = tokenize(documents, config=CONFIG)
    about, alone = summary(out), files_of(out)
    parts = {prefix.rpartition("-")[2] for entry in about["sources"].values() for prefix in entry["prefixes"]}
    assert parts == {"00000", "00001", "00002"}
    assert read_manifest(out)["facts"]["rows_out"] == 50
    rows = {
        (row["shard"], row["row"]): row["id"]
        for path in (out / "data").glob("*.documents.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    given = pq.read_table(documents / "data" / "00000.parquet")["id"].to_pylist()
    assert rows == {("ingest/data/00000.parquet", row): name for row, name in enumerate(given)}
    with using(replace(root, root=root.root / "parallel", dask=lambda: two_workers)):
        assert files_of(tokenize(documents, config=CONFIG)) == alone


def test_tables_count_documents_tokens_and_bytes(documents_of: Documents) -> None:
    rows = [
        {
            "text": f"text 数 {i} " * 9,
            "source": ("web", "zh.edu")[i % 2],
            "lang": ("en", "zh", "de")[i % 3],
            "licence": "by",
        }
        for i in range(90)
    ]
    out = tokenize(documents_of([rows[:50], rows[50:]]), config=CONFIG)
    about = summary(out)
    total = dict.fromkeys(("documents", "tokens", "bytes"), 0)
    for name, entry in [*about["sources"].items(), ("heldout", about["heldout"])]:
        tables = [pq.read_table(f"{out / prefix}.documents.parquet") for prefix in entry["prefixes"]]
        assert entry["documents"] == sum(table.num_rows for table in tables)
        for column in ("tokens", "bytes"):
            assert entry[column] == sum(sum(table[column].to_pylist()) for table in tables)
        for key in total:
            total[key] += entry[key]
        if name != "heldout":
            for key in ("languages", "licences"):
                assert sum(counted["tokens"] for counted in entry[key].values()) == entry["tokens"]
            assert sorted(entry["languages"]) == ["de", "en", "zh"]
    assert total["documents"] == 90
    assert total["bytes"] == sum(len(row["text"].encode()) for row in rows)
    held = about["heldout"]
    assert sorted(p for entry in held["sources"].values() for p in entry["prefixes"]) == sorted(held["prefixes"])
    assert {name: entry["prefixes"][0] for name, entry in held["sources"].items()} == {
        name: f"data/heldout.{name}-00000" for name in ("web", "zh.edu")
    }
    facts = read_manifest(out)["facts"]
    assert facts["tokens_by_sources"] == {name: entry["tokens"] for name, entry in about["sources"].items()}
    assert sum(facts["tokens_by_languages"].values()) == facts["tokens"] == facts["tokens_by_licences"]["by"]
    fit = json.loads((out / "fertility.json").read_text())
    assert set(fit["languages"]) == {"en", "zh", "de"}
    assert fit["strata"]["web/en"]["bytes_per_token"] > 1
    assert 0 <= fit["unused_vocabulary"] < 1


def test_each_token_leads_to_its_document(
    documents_of: Documents, root: Where, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tokenize(documents_of([corpus(0)]), config=CONFIG)
    prefix = out / "data" / "web-00000"
    shard, table = TokenShard(prefix), pq.read_table(f"{prefix}.documents.parquet").to_pylist()
    for i, row in enumerate(table):
        assert (row["tokens"], row["first_token"]) == (shard.lengths[i], shard.pointers[i] // 2)
    assert why(token=f"{prefix}:{table[2]['first_token'] + 1}", root=root.root) == 0
    told = capsys.readouterr().out
    assert f"is token 1 of {table[2]['tokens']} of document {table[2]['id']}" in told
    assert "kept (web, en" in told
    assert f"tokenized ({table[2]['tokens']} tokens from {table[2]['first_token']} on, of web)" in told
    with pytest.raises(ValueError, match="is not PREFIX:POSITION"):
        why(token=str(prefix), root=root.root)
    with pytest.raises(ValueError, match="give a document's id"):
        why(root=root.root)


def test_an_engine_that_differs_late_is_overruled(
    documents_of: Documents, files_of, root: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openseek.data import encoders

    class Sometimes(encoders.CompiledBPE):
        def encode(self, texts):
            found = super().encode(texts)
            wrong = np.repeat(["zebra" in text for text in texts.to_pylist()], found.lengths)
            return encoders.Encoded(np.where(wrong, 5, found.ids), found.lengths)

    rows = [*corpus(0, 200), {"text": "a zebra", "source": "web"}, *corpus(1, 20)]
    documents = documents_of([corpus(2, 20), rows])
    config = replace(CONFIG, check_fraction=1.0, heldout_fraction=0.0)
    right = tokenize(documents, config=config)
    assert read_manifest(right)["facts"]["checked_documents"] == 241
    monkeypatch.setitem(encoders.ENGINES, "compiled", Sometimes)
    with using(replace(root, root=root.root / "again")):
        out = tokenize(documents, config=config)
    facts = read_manifest(out)["facts"]
    assert (facts["engine"], facts["parts_encoded_again"]) == ("compiled", 1)
    assert len(facts["documents_with_other_ids"]) == 1
    assert files_of(out) == files_of(right)


def test_quality_buckets(documents_of: Documents) -> None:
    documents = documents_of([[{"text": f"text {i}", "source": ("web", "zh")[i % 2]} for i in range(40)]])
    shard = documents / "data" / "00000.parquet"
    scores = pa.array([None if i == 7 else i / 40 for i in range(40)], pa.float32())
    pq.write_table(pq.read_table(shard).append_column("score_quality", scores), shard)
    config = replace(CONFIG, quality_column="score_quality", quality_bounds=(0.25, 0.5), heldout_fraction=0.0)
    out = tokenize(documents, config=config)
    entry = summary(out)["sources"]["zh"]
    assert {name: bucket["documents"] for name, bucket in entry["buckets"].items()} == {
        "q0": 4, "q1": 5, "q2": 10, "unscored": 1,
    }  # fmt: skip
    assert entry["buckets"]["q1"]["prefixes"] == ["data/zh@q1-00000"]
    assert texts_in(out, entry["buckets"]["q0"]["prefixes"]) == [f"text {i}" for i in (1, 3, 5, 9)]
    assert sorted(entry["prefixes"]) == sorted(p for bucket in entry["buckets"].values() for p in bucket["prefixes"])
    assert entry["tokens"] == sum(bucket["tokens"] for bucket in entry["buckets"].values())
    with pytest.raises(ValueError, match="no column 'score_x'"):
        tokenize(documents, config=replace(config, quality_column="score_x"))


def test_a_stratified_sample_gives_small_languages_their_share(documents_of: Documents) -> None:
    english = [{"text": "the cat sat on the mat " * 40} for _ in range(200)]
    chinese = [{"text": "数据模型训练 " * 40, "source": "zh", "lang": "zh"} for _ in range(200)]
    documents = documents_of([[*english, *chinese[:40]]])
    config = replace(CONFIG, sample_bytes=20_000, heldout_fraction=0.0)
    taken = {}
    for by, shares in (("", {}), ("source", {}), ("source", {"web": 1.0, "zh": 3.0})):
        out = tokenize(documents, config=replace(config, stratify_by=by, sample_shares=shares))
        taken[by, len(shares)] = read_manifest(out)["facts"]["sample_shares_taken"]
    equal, given = taken["source", 0], taken["source", 2]
    assert equal["zh"] == pytest.approx(5 * equal["web"], rel=1e-3)
    assert given["zh"] == pytest.approx(15 * given["web"], rel=1e-3)
    assert list(taken["", 0]) == ["all"]
    with pytest.raises(ValueError, match="sample_shares names nosuch; there are: web, zh"):
        tokenize(documents, config=replace(config, stratify_by="source", sample_shares={"nosuch": 1.0}))


def test_an_unknown_end_of_document_is_refused(documents_of: Documents) -> None:
    with pytest.raises(ValueError, match="end_of_document '<eos>' is no special token"):
        tokenize(documents_of([corpus(0)]), config=replace(CONFIG, end_of_document="<eos>"))
    out = tokenize(
        documents_of([corpus(0)], "other"),
        config=replace(CONFIG, end_of_document="<eos>", extra_special_tokens=("<eos>",)),
    )
    assert summary(out)["eod"] == 4
