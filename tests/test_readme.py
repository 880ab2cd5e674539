"""The two READMEs give the same commands and files, and each of them exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cli.__main__ import COMMANDS
from tasks.__main__ import TASKS

REPOSITORY = Path(__file__).resolve().parents[1]
ENGLISH, CHINESE = REPOSITORY / "README.md", REPOSITORY / "README_zh.md"


def fenced(readme: Path, language: str) -> list[str]:
    """The lines of all fenced blocks of a language, comments and empty lines left out."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [re.sub(r"(^|\s)#.*", "", line).rstrip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def commands(name: str) -> list[list[str]]:
    """The words of every fenced command line that calls `name`, settings before it left out."""
    lines = [shlex.split(line) for line in fenced(ENGLISH, "sh")]
    lines = [[word for i, word in enumerate(line) if i or "=" not in word] for line in lines]
    return [line[1:] for line in lines if line and line[0] == name]


@pytest.mark.parametrize("language", ["sh", "yaml", "mermaid"])
def test_both_languages_show_the_same(language: str) -> None:
    assert fenced(ENGLISH, language)
    assert fenced(ENGLISH, language) == fenced(CHINESE, language)


def test_both_languages_have_the_same_parts() -> None:
    """Headings, tables, links and code words in the same number: nothing is told in one language only."""

    def shape(readme: Path) -> tuple[int, int, set[str]]:
        text = readme.read_text(encoding="utf-8")
        links = {link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("README")}
        return len(re.findall(r"^## ", text, re.MULTILINE)), len(re.findall(r"^\|", text, re.MULTILINE)), links

    assert shape(ENGLISH) == shape(CHINESE)


def test_links_lead_somewhere() -> None:
    for readme in (ENGLISH, CHINESE):
        for link in re.findall(r"\]\(([^)]+)\)", readme.read_text(encoding="utf-8")):
            assert (REPOSITORY / link).exists(), f"{readme.name}: {link}"


def test_every_command_named_exists() -> None:
    text = ENGLISH.read_text(encoding="utf-8")
    named = set(
        re.findall(r"\bopenseek ([a-z][a-z_-]*)\b", "\n".join(re.findall(r"`[^`]+`", text) + fenced(ENGLISH, "sh")))
    )
    assert {"run", "plan", "up", "down"} <= named
    assert named <= {*COMMANDS, *TASKS}


def test_every_option_named_exists() -> None:
    """Each option of each `openseek` line stands in that command's help."""
    helps: dict[str, str] = {}
    for name, *words in commands("openseek"):
        if name.startswith("-"):
            continue
        if name not in helps:
            done = subprocess.run(
                [sys.executable, "-m", "cli", name, "--help"],
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                check=True,
            )
            helps[name] = done.stdout
        for word in words:
            if word.startswith("--"):
                assert word in helps[name], f"openseek {name} has no {word}"


def test_make_targets_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for words in commands("make"):
        assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE), words


def test_scripts_exist() -> None:
    for shell in ("bash", "python"):
        assert commands(shell)
        assert all((REPOSITORY / words[0]).exists() for words in commands(shell))


def test_deployments_named_exist() -> None:
    import yaml

    deployments = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    names = {deployment["name"] for deployment in deployments}
    text = ENGLISH.read_text(encoding="utf-8")
    assert names <= {"full-pipeline", "build", "run", "sweep"}
    assert all(f"/{name}`" in text for name in names)


def test_the_recipe_and_the_place_shown_are_valid(tmp_path: Path) -> None:
    """The YAML blocks go through the real readers."""
    from flows.place import read_place
    from openseek.recipes import load_recipe

    blocks = re.findall(r"^```yaml\n(.*?)^```$", ENGLISH.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    recipe = tmp_path / "my.yaml"
    recipe.write_text(next(block for block in blocks if block.startswith("base:")), encoding="utf-8")
    sources = load_recipe(str(recipe)).ingest.sources
    assert [source.name for source in sources] == ["notes", "pages"]
    assert sources[0].path == str(tmp_path / "data/notes/*.jsonl.gz")
    where = tmp_path / "where.yaml"
    where.write_text(next(block for block in blocks if block.startswith("dask:")), encoding="utf-8")
    place = read_place(where, tmp_path)
    assert (place.dask.kind, place.executor.kind, place.executor.nodes) == ("slurm", "slurm", 2)


def test_every_set_field_exists() -> None:
    """`--set FIELD=VALUE` in the READMEs changes a field that the recipe has."""
    from openseek.recipes import load_recipe
    from tasks.command import assignments

    for words in commands("openseek"):
        if "--set" in words:
            load_recipe("debug", assignments([words[words.index("--set") + 1]]))
