"""Every task is a command and a step of the recipe; mistakes on the command line are named, with their exit codes."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.__main__ import main
from openseek.recipes import RECIPES, Recipe, load_recipe
from tasks.__main__ import TASKS, find

EXPERIMENTS = ("sweep", "ladder")
"""Recipe fields that configure flows of many trainings; `conclude` is their task and takes what came of them."""
OUTSIDE = ("conclude", "convert")
"""Tasks that are no step of the lifecycle: `convert` takes checkpoints to other programs and back."""


def test_every_recipe_field_is_a_step_of_a_task() -> None:
    assert {field.name for field in dataclasses.fields(Recipe)} >= set(EXPERIMENTS)
    for field in dataclasses.fields(Recipe):
        if field.name in EXPERIMENTS:
            continue
        name = next(
            n for n in sorted(TASKS, key=len, reverse=True) if field.name == n or field.name.startswith(f"{n}_")
        )
        assert find(name).config_type is type(getattr(Recipe(), field.name)), field.name


def test_every_task_has_a_recipe_field_and_a_docstring() -> None:
    fields = {field.name for field in dataclasses.fields(Recipe)}
    for name in TASKS:
        assert name in fields or name in OUTSIDE
        assert find(name).__doc__
        assert find(name).name == name


@pytest.mark.parametrize(
    "words, code, message",
    [
        ([], 2, "usage: openseek"),
        (["nothing"], 2, "neither a task nor a command"),
        (["filter", "--documents", "/nowhere"], 1, "/nowhere does not exist"),
        (["ingest", "--set", "sources=[{name: x, path: /nowhere.jsonl}]"], 1, "/nowhere.jsonl"),
        (["dedup_minhash", "--documents", ".", "--set", "num_band=3"], 1, "did you mean 'num_bands'"),
        (["dedup_minhash", "--documents", ".", "--set", "threshold=3"], 1, "threshold is 3"),
        (["plan", "--recipe", "nothing"], 1, "neither a recipe"),
        (["plan", "--set", "pretrain.train_token=3"], 1, "train_token"),
        (["run", "--set", "pretrain"], 1, "FIELD=VALUE"),
        (["diff", "/nowhere", "/nowhere"], 1, "does not exist"),
    ],
)
def test_mistakes_are_named(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*words, *(["--root", str(tmp_path)] if words[:1] in (["plan"], ["filter"]) else [])]) == code
    told = capsys.readouterr()
    assert message in told.out + told.err


def test_an_unknown_option_is_a_wrong_argument() -> None:
    ended = subprocess.run([sys.executable, "-m", "cli", "mix", "--nothing", "1"], capture_output=True, timeout=60)
    assert ended.returncode == 2


def test_a_yaml_recipe_changes_its_base_and_anchors_its_paths(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"text": "hello"}\n')
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: debug\ningest:\n  sources:\n    - {name: mine, path: mine.jsonl}\ntokenize: {vocab_size: 512}\n"
    )
    recipe = load_recipe(str(file), {"tokenize.vocab_size": 300})
    assert recipe.tokenize.vocab_size == 300
    assert recipe.ingest.sources[0].path == str(tmp_path / "mine.jsonl")
    assert recipe.mix == RECIPES["debug"].mix
    file.write_text("base: nothing\n")
    with pytest.raises(ValueError, match="base is 'nothing'"):
        load_recipe(str(file))


def test_a_disk_that_takes_no_more_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "big.jsonl").write_text("".join(f'{{"text": "{hash((n, n))} {n**9}"}}\n' for n in range(20000)))
    words = ["ingest", "--root", str(tmp_path / "root"), "--set", f"sources=[{{name: a, path: {tmp_path}/big.jsonl}}]"]
    # A limit on file sizes stands in for a full disk: the write fails midway in the same place.
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))"
    script = f"{limit}; from cli.__main__ import main; sys.exit(main({words!r}))"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, env=environment)
    assert ended.returncode == 1
    assert "00000.parquet: File too large" in ended.stderr
    assert not list((tmp_path / "root").glob("*/manifest.json"))
