"""From a tokens.json and a config to entries and stages."""

from typing import Any

import pytest

from openseek.data.mixture import Mix, Quality, Stage
from openseek.data.mixture_plan import Plan, planned
from openseek.data.mixture_sources import held_sources

TOKENS = {"web": 800, "code": 150, "math": 50, "none": 0}


def summary(tokens: dict[str, int] = TOKENS, **more: dict[str, Any]) -> dict[str, Any]:
    sources = {n: {"prefixes": [f"data/{n}-00000"], "documents": 1, "tokens": count} for n, count in tokens.items()}
    for name, extra in more.items():
        sources[name] |= extra
    return {"sources": sources}


def plan(config: Mix, about: dict[str, Any] | None = None) -> Plan:
    return planned(held_sources(about or summary(), config.sources), config)


def weights(config: Mix, about: dict[str, Any] | None = None) -> dict[str, float]:
    return {entry["source"]: round(entry["weight"], 6) for entry in plan(config, about).entries}


def test_without_weights_shares_are_those_of_the_tokens() -> None:
    natural = plan(Mix())
    assert weights(Mix()) == {"code": 0.15, "math": 0.05, "web": 0.8}
    assert all(entry["epochs"] == 1 for entry in natural.entries)
    assert natural.stages == [{"name": "all", "share": 1.0, "weights": pytest.approx([0.15, 0.05, 0.8])}]
    assert natural.notes == ["none has no weight: its 0 tokens are not used"]


def test_given_weights_make_epochs() -> None:
    config = Mix({"code": 3, "math": 1, "web": 0}, relative=True, train_tokens=400)
    assert weights(config) == {"code": 0.75, "math": 0.25}
    assert [entry["epochs"] for entry in plan(config).entries] == [2, 2]
    assert [entry["prefixes"] for entry in plan(config).entries] == [["data/code-00000"], ["data/math-00000"]]
    assert "web has no weight: its 800 tokens are not used" in plan(config).notes


def test_rounded_weights_are_normalised_and_that_is_said() -> None:
    found = plan(Mix({"web": 90, "code": 9.99}))
    assert sum(entry["weight"] for entry in found.entries) == pytest.approx(1)
    assert "the weights of the mixture sum to 99.99: normalised" in found.notes
    assert not any("normalised" in note for note in plan(Mix({"web": 90, "code": 10})).notes)


def test_unimax_evens_out_until_a_source_is_used_up() -> None:
    assert weights(Mix(method="unimax")) == {"code": 0.333333, "math": 0.333333, "web": 0.333333}
    config = Mix(method="unimax", train_tokens=1000, max_epochs=2, source_max_epochs={"code": 3})
    assert weights(config) == {"code": 0.45, "math": 0.1, "web": 0.45}
    with pytest.raises(ValueError, match="600 fewer than the 1,600 that training needs"):
        plan(Mix(method="unimax", train_tokens=1600, max_epochs=1), summary({"a": 500, "b": 500}))


def test_a_source_beyond_its_cap_is_refused_or_shared_out() -> None:
    config = Mix({"web": 0.4, "code": 0.4, "math": 0.2}, train_tokens=1000, max_epochs=2)
    with pytest.raises(ValueError, match="repeat 'math' 4.00 times, more than max_epochs 2: lower its weight"):
        plan(config)
    shared = plan(Mix(config.weights, train_tokens=1000, max_epochs=2, on_cap="redistribute"))
    assert {entry["source"]: entry["epochs"] for entry in shared.entries} == {"code": 2, "math": 2, "web": 0.75}
    assert shared.asked == pytest.approx({"web": 0.4, "code": 0.4, "math": 0.2})
    assert "math is capped at 2 epochs: weight 0.2000 became 0.1000" in shared.notes
    with pytest.raises(ValueError, match="under their caps the sources of the mixture are 400 tokens, 600 fewer"):
        plan(Mix({"code": 0.5, "math": 0.5}, train_tokens=1000, max_epochs=2, on_cap="redistribute"))


STAGES = (Stage("main", 0.9), Stage("anneal", 0.1, {"math": 0.6, "code": 0.4}))


def test_stages_have_their_own_weights_and_make_up_the_whole() -> None:
    found = plan(Mix({"web": 0.9, "math": 0.1}, train_tokens=1000, stages=STAGES))
    assert [entry["source"] for entry in found.entries] == ["code", "math", "web"]
    assert [stage["name"] for stage in found.stages] == ["main", "anneal"]
    assert found.stages[0]["weights"] == pytest.approx([0, 0.1, 0.9])
    assert found.stages[1]["weights"] == pytest.approx([0.4, 0.6, 0])
    assert [entry["weight"] for entry in found.entries] == pytest.approx([0.04, 0.15, 0.81])
    assert found.entries[1]["epochs"] == pytest.approx(150 / 50)


def test_caps_count_all_stages_together() -> None:
    # In neither stage alone would math be repeated more than twice.
    config = {"weights": {"web": 0.9, "math": 0.1}, "train_tokens": 1000, "max_epochs": 2.0, "stages": STAGES}
    with pytest.raises(ValueError, match="repeat 'math' 3.00 times"):
        plan(Mix(**config))
    found = plan(Mix(**config, on_cap="redistribute"))
    assert found.entries[1]["epochs"] == pytest.approx(2, rel=1e-5)
    for stage in found.stages:
        assert sum(stage["weights"]) == pytest.approx(1)
    alone = (Stage("main", 0.9), Stage("anneal", 0.1, {"math": 1}))
    with pytest.raises(ValueError, match="sources of stage 'anneal' are 50 tokens, 50 fewer than the 100"):
        plan(
            Mix({"web": 1}, train_tokens=1000, source_max_epochs={"math": 1}, stages=alone, on_cap="redistribute"),
        )


def test_a_stage_without_weights_takes_the_method() -> None:
    found = plan(Mix(train_tokens=1000, stages=STAGES))
    assert found.stages[0]["weights"] == pytest.approx([0.15, 0.05, 0.8])


def test_sources_are_grouped_by_pattern() -> None:
    about = summary({"nemotron_high": 300, "nemotron_low": 100, "stack": 100})
    config = Mix({"english": 0.8, "stack": 0.2}, sources={"english": ("nemotron_*",)}, train_tokens=500)
    found = plan(config, about)
    assert found.entries[0] == {
        **{"source": "english", "weight": 0.8, "tokens": 400, "epochs": 1.0},
        "prefixes": ["data/nemotron_high-00000", "data/nemotron_low-00000"],
    }
    assert "no token source matches the patterns of chinese" in plan(Mix(sources={"chinese": ("zh*",)}), about).notes
    with pytest.raises(ValueError, match="gives the token source 'stack' to 'a' and to 'b'"):
        plan(Mix(sources={"a": ("st*",), "b": ("stack",)}), about)
    with pytest.raises(ValueError, match="has 'stack', which is also a token source outside it"):
        plan(Mix(sources={"stack": ("nemotron_*",)}), about)


def test_sources_that_are_not_there_are_refused_or_left_out() -> None:
    config = Mix({"web": 0.6, "code": 0.2, "wiki": 0.1, "none": 0.1}, on_missing="leave_out")
    assert weights(config) == {"code": 0.25, "web": 0.75}
    assert "left out of the mixture, with 20.00% of the weight: none, wiki" in plan(config).notes
    with pytest.raises(ValueError, match="names wiki, but the token shards have: code, math, none, web; give its"):
        plan(Mix({"wiki": 1}))
    with pytest.raises(ValueError, match="gives 'none' a weight, but it has no tokens"):
        plan(Mix({"none": 1}))
    with pytest.raises(ValueError, match="none of the weighted sources of the mixture is there: wiki"):
        plan(Mix({"wiki": 1}, on_missing="leave_out"))
    with pytest.raises(ValueError, match="hold no tokens"):
        plan(Mix(), summary({"none": 0}))


def bucketed(**counts: int) -> dict[str, Any]:
    made = {name: {"prefixes": [f"data/code#{name}-00000"], "documents": 1, "tokens": n} for name, n in counts.items()}
    return summary({"code": sum(counts.values()), "web": 1000}, code={"buckets": made})


def test_better_buckets_are_repeated_more_often() -> None:
    about = bucketed(low=100, medium=100, high=100)
    quality = Quality(enabled=True, ratios={"low": 0, "medium": 1, "high": 3}, max_epochs=7)
    found = plan(Mix({"code": 0.4, "web": 0.6}, train_tokens=1000, quality=quality), about)
    assert [(e["source"], e.get("bucket"), e["epochs"]) for e in found.entries] == [
        ("code#medium", "medium", 1.0),
        ("code#high", "high", 3.0),
        ("web", None, 0.6),
    ]
    assert found.entries[1]["prefixes"] == ["data/code#high-00000"]
    assert found.stages[0]["weights"] == pytest.approx([0.1, 0.3, 0.6])
    assert found.notes == ["code is drawn from by quality: its licences and languages are those of all its buckets"]
    # Without quality the source is one entry.
    assert weights(Mix({"code": 0.4, "web": 0.6}), about) == {"code": 0.4, "web": 0.6}


def test_a_bucket_at_its_cap_leaves_the_rest_to_the_others() -> None:
    about = bucketed(low=100, medium=100, high=100)
    quality = Quality(enabled=True, ratios={"low": 1, "medium": 1, "high": 4}, max_epochs=2)
    found = plan(Mix({"code": 0.4, "web": 0.6}, train_tokens=1000, quality=quality), about)
    assert [entry["epochs"] for entry in found.entries[:3]] == pytest.approx([1, 1, 2])
    with pytest.raises(ValueError, match="repeat 'code' 3.00 times, more than max_epochs 2"):
        plan(Mix({"code": 0.9, "web": 0.1}, train_tokens=1000, quality=quality), about)


def test_a_bucket_is_not_repeated_beyond_the_cap_of_its_source() -> None:
    about = bucketed(low=100, high=100)
    quality = Quality(enabled=True, ratios={"low": 0, "high": 1}, max_epochs=0)
    config = {"weights": {"code": 0.4, "web": 0.6}, "train_tokens": 1000, "quality": quality}
    assert plan(Mix(**config, max_epochs=4), about).entries[0]["epochs"] == 4
    with pytest.raises(ValueError, match="repeat 'code' 2.00 times, more than max_epochs 1.5"):
        plan(Mix(**config, max_epochs=3), about)


def test_quality_without_buckets_is_told() -> None:
    with pytest.raises(ValueError, match="no weighted source has quality buckets"):
        plan(Mix(quality=Quality(enabled=True)))
    with pytest.raises(ValueError, match="names 'web', which has no quality buckets"):
        plan(Mix(quality=Quality(enabled=True, sources=("web",))), bucketed(low=1, high=1))


def test_documents_without_a_bucket_are_not_lost_in_silence() -> None:
    about = bucketed(low=100, high=100)
    about["sources"]["code"]["tokens"] += 7
    with pytest.raises(ValueError, match="7 tokens of 'code' are in no quality bucket"):
        plan(Mix({"code": 1}, quality=Quality(enabled=True)), about)
