"""@task: one signature is the Prefect task, the command and the step that runs once.

The law of the signature: `out` first, inputs are directories (`Path`, optional ones `Path | None`), `config` is one
frozen dataclass, the result is facts.
"""

import dataclasses
import inspect
import shutil
import sys
import time
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openseek import artifact
from openseek.artifact import STARTED, Facts, StaleOutput
from tasks import where
from tasks.lease import Lease
from tasks.where import PlannedStep

POLL_SECONDS = 1.0
REPORT = "report.md"
"""A file of this name in an artifact is shown beside the task run in Prefect."""


@dataclasses.dataclass(frozen=True)
class Call:
    """A task with its inputs, config and place: all that decides what it writes and where."""

    task: "Task"
    inputs: dict[str, Path | None]
    config: Any
    label: str | None
    out: Path
    fingerprint: str
    default_out: bool
    input_records: dict[str, dict[str, str] | None]

    @property
    def name(self) -> str:
        """TASK or TASK.LABEL."""
        return f"{self.task.name}.{self.label}" if self.label else self.task.name


class Task:
    """A step of the lifecycle. A call returns the directory of its finished artifact; `fn` is the plain function."""

    def __init__(self, fn: Callable[..., Facts], version: int = 1, bare: Sequence[str] = ()) -> None:
        self.fn, self.version, self.bare = fn, version, bare
        self.name = fn.__name__
        self.__doc__, self.__module__, self.__qualname__ = fn.__doc__, fn.__module__, fn.__name__
        hints = typing.get_type_hints(fn)
        names = list(inspect.signature(fn).parameters)
        if names[0] != "out" or hints["out"] is not Path or names[-1] != "config":
            raise TypeError(f"{self.name}: a task takes `out: Path`, its input directories, then `config`")
        self.config_type: type = hints["config"]
        self.input_names = names[1:-1]
        self.optional = {n for n in self.input_names if type(None) in typing.get_args(hints[n])}

    def __call__(
        self,
        *inputs: Path | None,
        config: Any = None,
        label: str | None = None,
        out: Path | None = None,
        **named: Path | None,
    ) -> Path:
        """Run once: return the finished directory, doing the work only if no equal work is there."""
        call = self.prepare(*inputs, config=config, label=label, out=out, **named)
        here = where.current()
        if here.plan is not None:
            done = _done(call)
            records = call.input_records
            step = PlannedStep(self.name, label, call.out, call.fingerprint, done, records, call.config)
            here.plan.append(step)
            return call.out
        return _under_prefect(call) if _in_flow() else _run(call)[0]

    def prepare(
        self,
        *inputs: Path | None,
        config: Any = None,
        label: str | None = None,
        out: Path | None = None,
        **named: Path | None,
    ) -> Call:
        """Bind and check the inputs and work the fingerprint out; runs nothing."""
        config = self.config_type() if config is None else config
        if not isinstance(config, self.config_type):
            raise TypeError(f"{self.name}: config is a {type(config).__name__}, not a {self.config_type.__name__}")
        if len(inputs) > len(self.input_names):
            raise TypeError(f"{self.name} takes {len(self.input_names)} input directories, got {len(inputs)}")
        bound: dict[str, Path | None] = dict(zip(self.input_names, inputs, strict=False)) | named
        for name in self.input_names:
            if bound.setdefault(name, None) is None and name not in self.optional:
                raise ValueError(
                    f"{self.name}: the input {name!r} is missing: give the directory of a finished artifact"
                )
        ordered = {name: bound[name] for name in self.input_names}
        records = {name: _input_record(path, name in self.bare) for name, path in ordered.items()}
        fingerprints = {name: r["fingerprint"] if r else None for name, r in records.items()}
        fingerprint = artifact.fingerprint(self.name, self.version, fingerprints, config)
        name = f"{self.name}.{label}" if label else self.name
        place = Path(out) if out else where.current().root / f"{name}-{fingerprint[:8]}"
        return Call(self, ordered, config, label, place, fingerprint, out is None, records)


def task(fn: Callable[..., Facts] | None = None, *, version: int = 1, bare: Sequence[str] = ()) -> Any:
    """Make a step of the lifecycle from a function; `version` is raised by hand when its meaning changes.

    bare: inputs that may be folders of other programs instead of artifacts; these count by their files' content.
    """
    return Task(fn, version) if fn is not None else lambda wrapped: Task(wrapped, version, bare)


def _input_record(path: Path | None, bare: bool) -> dict[str, str] | None:
    """{path relative to ROOT, fingerprint} of an input; in a plan an input need not exist yet."""
    if path is None:
        return None
    here = where.current()
    for step in here.plan or ():
        if step.directory == path:
            return {"path": path.name, "fingerprint": step.fingerprint}
    if bare and path.is_dir() and not artifact.is_finished(path) and not (path / STARTED).exists():
        fingerprint = artifact.raw_fingerprint(path)
    else:
        fingerprint = artifact.read_manifest(path)["fingerprint"]
    real, root = path.resolve(), here.root.resolve()
    name = real.relative_to(root) if real.is_relative_to(root) else real
    return {"path": str(name), "fingerprint": fingerprint}


def _done(call: Call) -> bool:
    """Whether the artifact is finished; StaleOutput when the directory holds other work."""
    if artifact.is_finished(call.out):
        held = artifact.read_manifest(call.out)["fingerprint"]
    else:
        started = call.out / STARTED
        held = started.read_text().strip() if started.exists() else call.fingerprint
    if held != call.fingerprint:
        raise StaleOutput(
            f"{call.out} holds {call.name} of fingerprint {held[:8]}, not {call.fingerprint[:8]}: give another --out, "
            f"delete the folder, or accept it with `openseek adopt`"
        )
    return artifact.is_finished(call.out)


def _run(call: Call) -> tuple[Path, bool]:
    """Do the work unless it is done; returns the directory and whether it was there already."""
    waiting = False
    while not _done(call):
        _make_folder(call.out)
        lease = Lease(call.out)
        if not lease.acquire():
            if not waiting:
                print(f"{call.name}: another process works on {call.out} ({_who(lease)}); waiting for it", flush=True)
                waiting = True
            time.sleep(POLL_SECONDS)
            continue
        with lease:
            if not _done(call):
                _work(call, lease)
                _link(call)
                return call.out, False
    _link(call)
    return call.out, True


def _who(lease: Lease) -> str:
    held = lease.holder() or {}
    return f"host {held.get('host', '?')}, process {held.get('pid', '?')}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make {folder}: {error.strerror}; give a --root that you may write to") from error


def _work(call: Call, lease: Lease) -> None:
    artifact.write_text(call.out / STARTED, call.fingerprint + "\n")
    started = time.time()
    facts = call.task.fn(call.out, *call.inputs.values(), config=call.config)
    _conserved(call.name, facts)
    lease.check()
    artifact.write_manifest(
        call.out,
        task=call.task.name,
        label=call.label,
        version=call.task.version,
        fingerprint=call.fingerprint,
        inputs=call.input_records,
        config=call.config,
        facts={**facts, "seconds": round(time.time() - started, 2)},
    )
    # After the manifest: a kill in between leaves scratch beside finished work, never half-swept unfinished work.
    _sweep(call.out)
    (call.out / STARTED).unlink(missing_ok=True)
    if "prefect" in sys.modules and (call.out / REPORT).exists():
        _report_artifact(call)


def _sweep(out: Path) -> None:
    """Delete scratch folders and the half-written files of killed runs."""
    for scratch in out.glob(".*"):
        if scratch.is_dir():
            shutil.rmtree(scratch)
    for leftover in out.rglob(".*.tmp*"):
        leftover.unlink(missing_ok=True)


def _conserved(name: str, facts: Facts) -> None:
    """Rows in = rows out + first-dropped + quarantined, or the task fails."""
    if "rows_in" not in facts:
        return
    accounted = facts.get("rows_out", 0) + sum(facts.get("dropped", {}).values()) + facts.get("quarantined", 0)
    if facts["rows_in"] != accounted:
        raise AssertionError(f"{name}: {facts['rows_in']} rows in, {accounted} accounted for: {facts}")


def _link(call: Call) -> None:
    if call.default_out:
        artifact.point_link(call.out, call.out.parent / call.name)


def _in_flow() -> bool:
    """Whether a Prefect flow run calls us (and not one of its task runs)."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None and TaskRunContext.get() is None


def _under_prefect(call: Call) -> Path:
    """The call as a task run of the flow; a finished artifact shows as the state Cached."""
    from prefect import task as prefect_task
    from prefect.cache_policies import NO_CACHE
    from prefect.states import Completed

    def step() -> Any:
        path, cached = _run(call)
        text = f"{path}: {summary(path)}"
        return Completed(name="Cached" if cached else "Completed", message=text, data=path)

    made: Any = prefect_task
    run = made(step, name=call.name, task_run_name=call.out.name, cache_policy=NO_CACHE, persist_result=False)
    run()
    return call.out


def summary(directory: Path) -> str:
    """One line of a finished artifact's counts."""
    facts = artifact.read_manifest(directory)["facts"]
    shown = {k: v for k, v in facts.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items())


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields `advance(n)`: shows the share done, as a Prefect progress artifact in a flow and as a line on stderr."""
    update = _progress_artifact(title) if "prefect" in sys.modules else None
    state = {"done": 0, "shown": 0.0}

    def advance(count: int) -> None:
        state["done"] += count
        now = time.monotonic()
        if now - state["shown"] < 1.0 and state["done"] < total:
            return
        state["shown"] = now
        print(f"\r{title}: {state['done']}/{total}", end="", file=sys.stderr, flush=True)
        if update is not None:
            update(100.0 * state["done"] / max(total, 1))

    yield advance
    print(file=sys.stderr, flush=True)


def _progress_artifact(title: str) -> Callable[[float], Any] | None:
    """A function that sets the share of a new Prefect progress artifact; None outside a task run."""
    from prefect.artifacts import create_progress_artifact, update_progress_artifact
    from prefect.context import TaskRunContext

    if TaskRunContext.get() is None:
        return None
    made: Any = create_progress_artifact(progress=0.0, description=title)
    return lambda share: update_progress_artifact(artifact_id=made, progress=share)


def _report_artifact(call: Call) -> None:
    """Show the task's report beside its task run."""
    from prefect.artifacts import create_markdown_artifact
    from prefect.context import TaskRunContext

    if TaskRunContext.get() is not None:
        key = call.name.replace("_", "-").replace(".", "-")
        text = (call.out / REPORT).read_text(encoding="utf-8")
        create_markdown_artifact(text, key=f"{key}-report", description=f"{call.name}: {call.out.name}")


def inputs_of(manifest: dict[str, Any], root: Path) -> Sequence[Path]:
    """Directories of an artifact's inputs below `root`, in signature order."""
    return [root / record["path"] for record in manifest["inputs"].values() if record]
