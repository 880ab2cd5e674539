"""Decisions and values of datatrove's filters on bundled documents, kept in golden.json.gz by make_golden.py."""

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.data_filters import decide, texts_of
from benchmarks.reference_rules import LIMITS, breaks, measure
from openseek.recipes.recipe import SAMPLES

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def golden() -> tuple[list[str], list[dict[str, Any]]]:
    """The texts that datatrove judged, and its judgements."""
    spec = importlib.util.spec_from_file_location("make_golden", HERE / "make_golden.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kept = json.loads(gzip.decompress((HERE / "golden.json.gz").read_bytes()))
    assert kept["rules"] == list(LIMITS)
    files = {name: list(texts_of(SAMPLES / name)) for name in module.FILES}
    texts = [module.VARIANTS[d["variant"]](files[d["file"]][d["row"]]) for d in kept["documents"]]
    return texts, kept["documents"]


def equal_shares(broken: dict[str, np.ndarray], documents: list[dict[str, Any]]) -> dict[str, float]:
    return {
        rule: float(np.mean([rule in d["broken"] for d in documents] == np.asarray(broken[rule]))) for rule in LIMITS
    }


def test_decisions_and_values_are_datatroves(golden: Any) -> None:
    texts, documents = golden
    found = decide(texts)
    shares = equal_shares({rule: found[rule].broken for rule in LIMITS}, documents)
    assert {rule: share for rule, share in shares.items() if share < 0.99} == {}
    for number, rule in enumerate(LIMITS):
        values = np.array([d["values"][number] for d in documents])
        near = np.isclose(found[rule].value, values, rtol=1e-3, atol=1e-6)
        assert near.mean() >= 0.98, rule


def test_both_sides_of_the_rules_are_there(golden: Any) -> None:
    _, documents = golden
    sides = {rule: sum(rule in d["broken"] for d in documents) for rule in LIMITS}
    never = {rule for rule, count in sides.items() if count in (0, len(documents))}
    assert never <= {"gopher_max_words"}, "no bundled document is so long"


def test_other_words_would_be_seen(golden: Any) -> None:
    """Control: the same rules on words between white space decide otherwise on more than 1 %."""
    texts, documents = golden
    values = [measure(text, text.split(), lambda line: line.count("."), "#".__eq__, ".".__eq__) for text in texts]
    broken = {rule: np.array([breaks(rule, v[rule]) for v in values]) for rule in LIMITS}
    shares = equal_shares(broken, documents)
    assert min(shares.values()) < 0.97
    assert sum(share < 0.99 for share in shares.values()) >= 5
