"""Presets keep their own kind of material and drop what they are against; the key `preset` starts from one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.data.filters import Filters
from openseek.data.filters.presets import PRESETS
from openseek.data.transform import apply
from openseek.fields import changed
from openseek.recipes import load_recipe
from tasks.command import assignments


def share_kept(name: str, batch: pa.RecordBatch) -> float:
    kept, _ = apply(PRESETS[name].steps(), batch, task="filter")
    return kept.num_rows / batch.num_rows


def texts(path: Path) -> list[str]:
    return pq.read_table(path, columns=["text"])["text"].to_pylist()


def test_a_preset_is_where_other_fields_start() -> None:
    found = changed(Filters(), assignments(["preset=web_en", "length.min_characters=50"]))
    assert found.fineweb == PRESETS["web_en"].fineweb != Filters().fineweb
    assert found.length.min_characters == 50
    assert changed(Filters(), {"length": {"min_characters": 50}, "preset": "web_en"}) == found
    with pytest.raises(ValueError, match="preset is 'web_fr': use one of web_en, web_zh, web, books"):
        changed(Filters(), {"preset": "web_fr"})


def test_a_recipe_takes_a_preset(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: debug\nfilter: {preset: web_zh, length: {min_characters: 60}}\n")
    recipe = load_recipe(str(tmp_path / "mine.yaml"))
    assert recipe.filter.language.keep == ("zh",)
    assert recipe.filter.length.min_characters == 60
    assert load_recipe("debug", {"filter.preset": "code"}).filter == PRESETS["code"]


def test_presets_keep_their_own_material(documents, samples: Path) -> None:
    code = documents(texts(samples / "code" / "stack.parquet"), source="anything")
    english = documents(texts(samples / "en_edu" / "fineweb-edu-docs.parquet"))
    chinese = documents(texts(samples / "zh_edu" / "fineweb-edu-chinese-4_5.parquet"), lang="zh", script="Hans")
    assert share_kept("code", code) > 0.8
    assert share_kept("own", english) == share_kept("own", code) == 1.0
    assert share_kept("books", english) > 0.7
    assert share_kept("wiki", english) > 0.8
    assert share_kept("web_zh", chinese) > 0.5
    assert share_kept("web_zh", english) == share_kept("web_en", chinese) == 0.0
    assert share_kept("web", chinese) == share_kept("web_zh", chinese)


@pytest.mark.parametrize("name", PRESETS)
def test_nasty_texts_pass_through_every_preset(documents, name: str) -> None:
    nasty = [
        "",
        "\n\n\n",
        "שלום עולם " * 20,
        "e\u0301" * 200,
        "👩‍👩‍👧" * 50,
        "\x00" * 10,
        "a" * 100_000,
        "$" * 500,
        "{" * 500,
    ]
    kept, dropped = apply(PRESETS[name].steps(), documents(nasty, source="math"), task="filter")
    assert kept.num_rows + sum(dropped["first"].to_pylist()) == len(nasty)
    assert "" not in kept["text"].to_pylist()
