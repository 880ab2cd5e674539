import json
from collections.abc import Callable
from pathlib import Path

import pytest

from openseek.artifact import read_manifest
from openseek.data.mixture import Mix
from openseek.data.token_shards import TokenShard
from openseek.data.tokenizer import Tokenize
from tasks.mix import mix
from tasks.tokens import tokenize
from tasks.where import Where

Documents = Callable[..., Path]
ROWS = [{"text": f"text number {i}", "source": ("web", "zh.edu")[i % 2]} for i in range(40)]


def test_mix_writes_the_mixture(documents_of: Documents, root: Where) -> None:
    tokens = tokenize(documents_of([ROWS]), config=Tokenize(vocab_size=300, heldout_fraction=0.2))
    out = mix(root.root / "tokenize", config=Mix({"zh.edu": 1, "web": 3}, train_tokens=10_000))
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
