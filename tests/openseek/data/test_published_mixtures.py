"""The published mixtures recompute: sums, kinds, groups, and the weights of OpenSeek's own files where those are."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from openseek.data.mixture_plan import planned
from openseek.data.mixture_sources import held_sources
from openseek.data.published_mixtures import BY_SOURCE, COT, PRESETS, PUBLISHED, TERCILE
from openseek.fields import changed

CONFIGS = Path(__file__).resolve().parents[4] / "shared" / "corpora" / "openseek_configs"
FILES = {
    "small_v1": "OpenSeek-Small-v1/train/train_deepseek_v3_3b_1330B.yaml",
    "baseline_100b": "OpenSeek-Small-v1-Baseline/train/train_deepseek_v3_1_4b.yaml",
}
KINDS = {
    # English web original and synthetic, Chinese web, code, math, papers, books wiki and Q&A, CoT.
    "pt_1t": (28.89, 26.11, 25.00, 16.99, 1.00, 2.00),
    "small_v1": (18.42, 45.77, 9.65, 3.43, 0.83, 0.63, 2.46, 18.77),
    "baseline_100b": (4.98, 6.55, 6.10, 3.12, 5.14, 8.28, 1.31, 64.51),
}


@pytest.mark.parametrize(
    ("name", "entries", "files", "total", "train_tokens"),
    [
        ("pt_1t", 26, 26, 99.99, 1_000_001_765_376),
        ("small_v1", 38, 38, 99.96, 1_338_821_836_800),
        ("baseline_100b", 79, 84, 100.00, 100_663_296_000),
    ],
)
def test_sums_and_kinds_are_those_published(
    name: str, entries: int, files: int, total: float, train_tokens: int
) -> None:
    mixture = PUBLISHED[name]
    assert (len(mixture.entries), mixture.num_files) == (entries, files)
    assert round(mixture.total, 2) == total
    assert mixture.train_tokens == train_tokens
    assert tuple(round(weight, 2) for weight in mixture.by_kind().values()) == KINDS[name]


def test_kinds_of_pt_1t_and_the_share_of_chains_of_thought() -> None:
    kinds = {kind: round(weight, 2) for kind, weight in PUBLISHED["pt_1t"].by_kind().items()}
    assert round(kinds["English web (original)"] + kinds["English web (synthetic)"], 2) == 55.0
    assert (kinds["Chinese web"], kinds["code"], kinds["math"], kinds["papers"]) == (25.0, 16.99, 1.0, 2.0)
    assert round(PUBLISHED["small_v1"].by_kind()[COT], 2) == 18.77
    assert round(PUBLISHED["baseline_100b"].by_kind()[COT], 1) == 64.5
    arxiv = [e.weight for e in BY_SOURCE["baseline_100b_by_source"].entries if e.name.endswith("arxiv")]
    assert [round(weight, 2) for weight in arxiv] == [0.64, 25.07, 22.11]


@pytest.mark.parametrize("name", FILES)
def test_weights_are_those_of_the_published_files(name: str) -> None:
    path = CONFIGS / FILES[name]
    if not path.exists():
        pytest.skip(f"{path} is not there: it needs the corpora beside the repository")
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))["data"]["data_path"]
    found: dict[str, list[float]] = {}
    for weight, prefix in zip(listed[::2], listed[1::2], strict=True):
        source = prefix.partition("}/")[2].removesuffix("_text_document").partition("/")[0]
        found.setdefault(source, []).append(weight)
    assert {entry.name: list(entry.weights) for entry in PUBLISHED[name].entries} == found
    # The samples of the same file times its sequence length.
    model = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]
    assert PUBLISHED[name].train_tokens == model["train_samples"] * model["seq_length"]


def test_files_of_one_source_come_together_and_nothing_is_lost() -> None:
    for name, merged in BY_SOURCE.items():
        whole = PUBLISHED[name.removesuffix("_by_source")]
        assert merged.total == pytest.approx(whole.total)
        assert merged.num_files == whole.num_files
        assert merged.by_kind() == pytest.approx(whole.by_kind())
        assert not any(TERCILE.search(entry.name) for entry in merged.entries)
    weights = {entry.name: round(entry.weight, 2) for entry in BY_SOURCE["baseline_100b_by_source"].entries}
    assert len(weights) == 29
    # The groups that the facts of the project list.
    assert (weights["pes2o"], weights["zh_cc_high"], weights["zh_cc_medium"]) == (7.64, 3.17, 2.94)
    assert (weights["nemotron_cc_medium_actual"], weights["nemotron_cc_low_wrap_medium"]) == (2.74, 1.10)
    small = {entry.name: round(entry.weight, 2) for entry in BY_SOURCE["small_v1_by_source"].entries}
    assert (small["nemotron_cc_medium_actual"], small["nemotron_cc_high_diverse_qa_pairs"]) == (14.44, 14.41)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_mixes_the_sources_of_a_user_by_any_of_their_names(name: str) -> None:
    config = PRESETS[name]
    for pick in (0, -1):
        names = [patterns[pick].replace("[234]_[345]", "4_5") for patterns in config.sources.values()]
        sources: Any = {name: {"prefixes": [name], "documents": 1, "tokens": 1000} for name in names}
        plan = planned(held_sources({"sources": sources}, config.sources), config)
        assert len(plan.entries) == len(config.weights)
        assert plan.asked == pytest.approx({n: w / sum(config.weights.values()) for n, w in config.weights.items()})


def test_a_preset_is_a_start_that_other_fields_change() -> None:
    from openseek.data.mixture import Mix

    mix = changed(Mix(), {"preset": "pt_1t", "train_tokens": 10**9, "on_missing": "leave_out"})
    assert mix.weights == PRESETS["pt_1t"].weights
    assert mix.train_tokens == 10**9
    with pytest.raises(ValueError, match="preset is 'pt_2t': use one of pt_1t, small_v1"):
        changed(Mix(), {"preset": "pt_2t"})
