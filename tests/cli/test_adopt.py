"""`openseek adopt` takes a finished artifact over for a changed config, copies nothing away and keeps the record."""

import io
from pathlib import Path

import pytest

from cli.adopt import adopt
from cli.run import plan_table, planned
from openseek.artifact import read_manifest
from openseek.recipes import load_recipe
from tasks.__main__ import find
from tasks.where import Where


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "a.jsonl").write_text('{"text": "hello"}\n{"text": "world"}\n')
    file = tmp_path / "small.yaml"
    file.write_text("base: debug\ningest:\n  sources: [{name: a, path: a.jsonl}]\n")
    return str(file)


def test_an_artifact_serves_a_changed_config_on_record(
    root: Where, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = find("ingest")(config=load_recipe(recipe).ingest)
    change = ("ingest.max_record_bytes=1000000",)
    changed = load_recipe(recipe, {"ingest.max_record_bytes": 1000000})
    step = planned(changed, root.root)[0]
    assert not step.done
    assert adopt(made, "ingest", "no record is that large", recipe, root.root, change) == 0
    assert planned(changed, root.root)[0].done
    assert find("ingest")(config=changed.ingest) == step.directory
    manifest = read_manifest(step.directory)
    assert manifest["adopted"] == {
        "from": read_manifest(made)["fingerprint"],
        "directory": made.name,
        "why": "no record is that large",
    }
    for file in manifest["files"]:
        assert (step.directory / file["path"]).read_bytes() == (made / file["path"]).read_bytes()
    with pytest.raises(ValueError, match="finished already"):
        adopt(made, "ingest", "again", recipe, root.root, change)


def test_what_cannot_be_adopted_is_named(root: Where, recipe: str) -> None:
    made = find("ingest")(config=load_recipe(recipe).ingest)
    with pytest.raises(ValueError, match="no step"):
        adopt(made, "nothing", "why", recipe, root.root)
    with pytest.raises(ValueError, match="made by ingest, not by filter"):
        adopt(made, "filter", "why", recipe, root.root)


def test_a_plan_tells_why_a_step_is_not_done(root: Where, recipe: str) -> None:
    from rich.console import Console

    find("ingest")(config=load_recipe(recipe).ingest)
    changed = load_recipe(recipe, {"ingest.max_record_bytes": 1000000})
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(plan_table(planned(changed, root.root), root.root))
    told = console.export_text()
    assert "max_record_bytes: 16777216 -> 1000000" in told
    assert "never run here" in told
