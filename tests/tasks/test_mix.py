import json
from collections.abc import Callable
from pathlib import Path

import pytest

from openseek.artifact import read_manifest
from openseek.data.mixture import Mix, Stage
from openseek.data.token_shards import TokenShard
from openseek.data.tokenizer import Tokenize
from tasks.mix import mix
from tasks.tokens import tokenize
from tasks.where import Where

Documents = Callable[..., Path]
ROWS = [{"text": f"text number {i}", "source": ("web", "zh.edu")[i % 2]} for i in range(40)]


def test_mix_writes_the_mixture(documents_of: Documents, root: Where) -> None:
    tokens = tokenize(documents_of([ROWS]), config=Tokenize(vocab_size=300, heldout_fraction=0.2))
    config = Mix({"zh.edu": 1, "web": 3}, relative=True, train_tokens=10_000)
    out = mix(root.root / "tokenize", config=config)
    mixture = json.loads((out / "mixture.json").read_text())
    about = json.loads((tokens / "tokens.json").read_text())
    assert (out / mixture["tokens"]).resolve() == tokens.resolve()
    assert mixture["tokens"] == f"../{tokens.name}"
    assert [(e["source"], e["weight"]) for e in mixture["entries"]] == [("web", 0.75), ("zh.edu", 0.25)]
    assert mixture["entries"][0]["epochs"] == pytest.approx(7500 / about["sources"]["web"]["tokens"], abs=1e-5)
    for entry in mixture["entries"]:
        assert all(len(TokenShard(out / mixture["tokens"] / p)) for p in entry["prefixes"])
    for key in ("heldout", "unigram_entropy_nats", "vocab_size", "eod"):
        assert mixture[key] == about[key]
    with pytest.raises(ValueError, match="names wiki"):
        mix(tokens, config=Mix({"wiki": 1}))


def test_other_folders_are_refused(documents_of: Documents) -> None:
    with pytest.raises(ValueError, match=r"tokens\.json is missing: give the folder of a finished `tokenize`"):
        mix(documents_of([ROWS]))


def test_a_changed_weight_is_another_mixture(documents_of: Documents) -> None:
    tokens = tokenize(documents_of([ROWS]), config=Tokenize(vocab_size=300))
    first, second = mix(tokens), mix(tokens, config=Mix({"web": 1}))
    assert first != second
    assert read_manifest(second)["facts"]["weights"] == {"web": 1.0}


def test_stages_and_the_bill_of_materials_are_written(documents_of: Documents, root: Where) -> None:
    rows = [{**row, "licence": ("by", "nc")[i % 2]} for i, row in enumerate(ROWS)]
    tokens = tokenize(documents_of([rows]), config=Tokenize(vocab_size=300, heldout_fraction=0.2))
    stages = (Stage("main", 0.8), Stage("anneal", 0.2, {"zh.edu": 1}))
    out = mix(tokens, config=Mix({"zh.edu": 0.5, "web": 0.5}, train_tokens=1000, stages=stages))
    mixture = json.loads((out / "mixture.json").read_text())
    assert [(s["name"], s["share"], s["weights"]) for s in mixture["stages"]] == [
        ("main", 0.8, [0.5, 0.5]),
        ("anneal", 0.2, [0.0, 1.0]),
    ]
    overall = [sum(s["share"] * s["weights"][i] for s in mixture["stages"]) for i in range(2)]
    assert [entry["weight"] for entry in mixture["entries"]] == pytest.approx(overall)
    bill = mixture["bill_of_materials"]
    assert [row["seen_tokens"] for row in bill["sources"]] == [400, 600]
    page = (out / "bill_of_materials.md").read_text()
    assert all(f"| {source} |" in page for source in ("web", "zh.edu"))
    facts = read_manifest(out)["facts"]
    assert facts["stages"] == {"main": 0.8, "anneal": 0.2}
    assert sum(facts["licence_share"].values()) == pytest.approx(1)
    assert facts["warnings"] == bill["warnings"]


def test_tokens_of_an_older_tokenize_make_a_bill_that_says_what_is_unknown(documents_of: Documents) -> None:
    tokens = tokenize(documents_of([ROWS]), config=Tokenize(vocab_size=300))
    about = json.loads((tokens / "tokens.json").read_text())
    for entry in about["sources"].values():
        for key in [key for key in entry if key not in ("prefixes", "documents", "tokens")]:
            del entry[key]
    (tokens / "tokens.json").write_text(json.dumps(about))
    bill = json.loads((mix(tokens) / "mixture.json").read_text())["bill_of_materials"]
    assert bill["warnings"] == ["100.00% of the tokens are of unknown licence: web, zh.edu"]
    assert {row["held_bytes"] for row in bill["sources"]} == {None}
