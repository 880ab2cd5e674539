"""Runs, metrics and files reach an MLflow store in SQLite; nothing is imported or kept without one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openseek import tracking


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one SQLite store that the tests of this file share: making its tables takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def uri(store: Path) -> str:
    return f"sqlite:///{store}/mlflow.db"


def client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def test_without_a_uri_nothing_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from openseek import tracking\n"
        "with tracking.run(None, 'x', params={'a': 1}) as run:\n"
        "    run.metrics({'loss': 1.0}); run.forward(Path('none')); run.artifact(Path('none')); assert run.id is None\n"
        "assert not {'mlflow', 'matplotlib', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_parent_children_params_and_artifacts(uri: str, store: Path, tmp_path: Path) -> None:
    params = {"model": {"hidden_size": 64, "layers": [1, 2]}, "long": "x" * 9000, "none": None}
    with tracking.run(uri, "lifecycle", params=params, tags={"recipe": "debug"}) as parent:
        (tmp_path / "manifest.json").write_text("{}")
        parent.artifact(tmp_path / "manifest.json", "manifests")
        with tracking.run(uri, "pretrain", parent=parent.id) as child:
            child.metrics({"loss": 2.5, "nested": {"a": 1}, "word": "no number", "flag": True}, step=3)
    kept = client(uri).get_run(parent.id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params["model.hidden_size"] == "64"
    assert kept.data.params["model.layers"] == "[1, 2]"
    assert len(kept.data.params["long"]) == tracking.PARAM_LENGTH
    assert kept.data.tags["recipe"] == "debug"
    assert Path(kept.info.artifact_uri, "manifests", "manifest.json").is_file()
    assert Path(kept.info.artifact_uri).is_relative_to(store / "mlartifacts")
    experiment = client(uri).get_experiment_by_name(tracking.EXPERIMENT).experiment_id
    found = client(uri).search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.id}'")
    assert [run.info.run_id for run in found] == [child.id]
    assert found[0].data.metrics == {"loss": 2.5, "nested.a": 1.0}


def test_forward_reads_whole_lines_once_and_skips_repeated_steps(uri: str, tmp_path: Path) -> None:
    lines = tmp_path / "rank00000.jsonl"
    with tracking.run(uri, "forward") as run:
        assert run.forward(lines) == 0
        lines.write_text('{"step": 0, "loss": 3.0}\n{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
        assert run.forward(lines) == 2
        assert run.forward(lines) == 0
        with lines.open("a") as file:
            file.write('ss": 1.5}\n{"step": 2, "heldout_loss": 1.7}\n')
            # A training that resumed from step 1 writes it again.
            file.write('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.5}\n{"step": 3, "loss": 1.0}\n')
        assert run.forward(lines) == 5
        # Written anew, shorter than what was read.
        lines.write_text('{"step": 3, "loss": 1.0}\n{"step": 4, "loss": 0.5}\n')
        assert run.forward(lines) == 2
    history = client(uri).get_metric_history(run.id, "loss")
    assert [(each.step, each.value) for each in history] == [(0, 3.0), (1, 2.0), (2, 1.5), (3, 1.0), (4, 0.5)]
    assert [each.step for each in client(uri).get_metric_history(run.id, "heldout_loss")] == [2]
    kept = Path(client(uri).get_run(run.id).info.artifact_uri)
    assert (kept / "metrics" / "rank00000.jsonl").is_file()
    assert (kept / "plots" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_forward_sends_more_than_one_batch(uri: str, tmp_path: Path) -> None:
    lines = tmp_path / "many.jsonl"
    steps = tracking.METRICS_A_BATCH + 5
    lines.write_text("".join(json.dumps({"step": step, "lr": 0.1}) + "\n" for step in range(steps)))
    with tracking.run(uri, "many") as run:
        assert run.forward(lines) == steps
    assert len(client(uri).get_metric_history(run.id, "lr")) == steps


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_an_error_ends_the_run(uri: str, error: type[BaseException], status: str) -> None:
    with pytest.raises(error), tracking.run(uri, "ends") as run:
        raise error
    assert client(uri).get_run(run.id).info.status == status


def test_a_key_continues_its_run_and_close_ends_it(uri: str) -> None:
    with pytest.raises(RuntimeError), tracking.run(uri, "first", params={"a": 1}, key="flow-1") as first:
        raise RuntimeError
    with tracking.run(uri, "again", params={"a": 2}, key="flow-1") as again:
        assert again.id == first.id
        kept = client(uri)
        child = kept.create_run(kept.get_run(first.id).info.experiment_id, tags={"mlflow.parentRunId": first.id})
        assert set(tracking.close(uri, "flow-1")) == {first.id, child.info.run_id}
        assert kept.get_run(child.info.run_id).info.status == "KILLED"
    assert tracking.close(uri, "flow-1") == []
    assert tracking.close(uri, "never") == []
    assert tracking.close(None, "flow-1") == []


def test_secrets_are_never_written(uri: str, store: Path) -> None:
    params = {
        "synthesize": {"api_key": "sk-confided", "url": "https://me:pw-confided@host/v1", "max_tokens": 5},
        "source": {"auth_token": "t-confided", "empty_password": ""},
    }
    with tracking.run(uri, "secret", params=params, tags={"from": "https://me:pw-confided@host"}) as run:
        pass
    kept = client(uri).get_run(run.id).data
    assert kept.params["synthesize.api_key"] == "***"
    assert kept.params["synthesize.url"] == "https://host/v1"
    assert kept.params["synthesize.max_tokens"] == "5"
    assert b"confided" not in (store / "mlflow.db").read_bytes()


def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    refused = pytest.raises(ValueError, match=r"http://127\.0\.0\.1:9 does not answer.*openseek up")
    with refused, tracking.run("http://me:pw@127.0.0.1:9", "x"):
        pass


def test_curves_draw_losses_and_rewards(tmp_path: Path) -> None:
    lines = tmp_path / "m.jsonl"
    lines.write_text(
        "".join(json.dumps({"step": s, "loss": 1 / (s + 1), "reward_mean": s, "lr": 1}) + "\n" for s in range(5))
    )
    assert [picture.name for picture in tracking.curves(lines, tmp_path)] == ["loss.png", "reward.png"]
    lines.write_text('{"step": 0, "loss": NaN}\n')
    assert tracking.curves(lines, tmp_path) == []


def test_metrics_written_anew_and_lines_cut_by_a_kill_are_no_error(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    path = tmp_path / "rank00000.jsonl"
    path.write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "lo\n')
    with tracking.run(uri, "killed") as run:
        assert run.forward(path) == 1
        # Other lengths: the place read up to lies within a line now.
        path.write_text("".join(f'{{"step": {step}, "loss": {step}.25, "lr": 0.001}}\n' for step in range(1, 6)))
        assert run.forward(path) == 5
        assert run.forward(path) == 0
    assert tracking.curves(path, tmp_path)
