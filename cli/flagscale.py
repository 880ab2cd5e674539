"""`openseek flagscale`: FlagScale's experiment files, as they are, run, stopped or shown here."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from tasks.where import using

if TYPE_CHECKING:
    from openseek.recipes.flagscale import Imported
    from tasks.where import Where

REPOSITORY = Path(__file__).resolve().parents[1]
ACTIONS = ("run", "stop", "dryrun")
STOP_SECONDS = 60.0


def flagscale(
    overrides: tyro.conf.Positional[tuple[str, ...]] = (),
    *,
    config_path: Path,
    config_name: str,
    action: Literal["run", "stop", "dryrun", "write", ""] = "",
    root: Path | None = None,
    where: Path | None = None,
    parallel: Literal["as_written", "as_dp"] = "as_written",
    allow_unknown: bool = False,
    checkpoint: Path | None = None,
    background: bool = False,
    recipe: str = "",
) -> int:
    """Pretrain as an experiment file of FlagScale's says, on its Megatron token files.

    Relative paths of the files begin at the folder that the command is started in.

    Args:
        overrides: KEY=VALUE as Hydra reads them, such as train.model.train_samples=2048.
        config_path: Folder of the experiment file.
        config_name: Name of the experiment file.
        action: run; stop (end what runs); dryrun (show recipe, keys, sizes, what is missing); write (the recipe of
            --recipe as such files); empty: what the file says, else run.
        root: Folder that holds the artifacts; by default the experiment's exp_dir.
        where: YAML file with dask, executor and tracking_uri.
        parallel: as_dp spreads the ranks of tensor, pipeline, context and expert parallelism over data.
        allow_unknown: List unknown keys among the ignored ones; without it they are an error.
        checkpoint: Artifact of a checkpoint to start from, without its optimizer's state; empty: random weights.
        background: Return at once; the run's output goes to EXP_DIR/logs/openseek.log.
        recipe: Recipe (name or YAML file) that --action write writes.
    """
    if action == "write":
        return _write(recipe, config_path, config_name)
    from openseek.recipes.flagscale import read_flagscale

    found = read_flagscale(config_path, config_name, overrides, parallel=parallel, allow_unknown=allow_unknown)
    chosen = action or found.action
    if chosen not in ACTIONS:
        raise ValueError(f"action={chosen}: use {', '.join(ACTIONS)}")
    logs, place = Path(found.directory) / "logs", root or Path(found.directory)
    if chosen == "stop":
        return _stop(logs)
    found = _anchored(found)
    if chosen == "dryrun":
        _show(found, place, where)
        return 0
    _check(found)
    if background:
        words = [*overrides, "--config-path", str(config_path), "--config-name", config_name, "--action", "run"]
        words += ["--root", str(place), "--parallel", parallel, *(["--where", str(where)] if where else [])]
        words += ["--checkpoint", str(checkpoint)] if checkpoint else []
        return _start([*words, *(["--allow-unknown"] if allow_unknown else [])], logs, place, where)
    with _recorded(logs, os.getpid(), place, where) as key:
        _run(found, place, where, key, checkpoint)
    return 0


def _write(recipe: str, folder: Path, name: str) -> int:
    from openseek.recipes import load_recipe
    from openseek.recipes.flagscale import write_flagscale

    if not recipe:
        raise ValueError("--action write needs --recipe: the name of a recipe, or its YAML file")
    print(f"written: {write_flagscale(load_recipe(recipe), folder, name)} and its task file in {folder / 'train'}")
    return 0


def _anchored(found: Imported) -> Imported:
    from openseek.recipes.recipe import anchored

    return dataclasses.replace(found, recipe=anchored(found.recipe, Path.cwd()))


def _check(found: Imported) -> None:
    """ValueError where the run cannot be as written, before anything starts."""
    if found.held_back:
        raise ValueError(
            f"{', '.join(found.held_back)}: this version spreads over data only. Set them to 1, or give "
            f"--parallel as_dp to spread all {found.launch.world_size} ranks over data"
        )
    found.recipe.import_tokens.resolved()


def _run(found: Imported, root: Path, file: Path | None, key: str, checkpoint: Path | None) -> None:
    from flows.place import at
    from tasks.import_tokens import import_tokens
    from tasks.mix import mix
    from tasks.task import summary
    from tasks.train import pretrain

    recipe = found.recipe
    with at(root, file, flow_run_id=key) as here, using(_spread(here, found)):
        tokens = import_tokens(config=recipe.import_tokens)
        mixture = mix(tokens, config=recipe.mix)
        trained = pretrain(mixture, checkpoint, config=recipe.pretrain)
    for folder in (tokens, mixture, trained):
        print(f"{folder}: {summary(folder)}")
    print(f"checkpoint: {trained / 'checkpoint'}")


def _spread(here: Where, found: Imported) -> Where:
    """The place with the experiment's nodes; ValueError where its executor has one host only."""
    nodes, executor = found.launch.nnodes, here.executor
    if nodes == 1:
        return here
    if executor.kind != "slurm":
        raise ValueError(
            f"experiment.runner.nnodes={nodes}, and the executor of the where file is {executor.kind}, which is "
            "this host alone: give --where with executor.kind slurm, or set experiment.runner.nnodes=1"
        )
    executor = dataclasses.replace(executor, nodes=nodes if executor.nodes == 1 else executor.nodes)
    return dataclasses.replace(here, executor=executor)


def _show(found: Imported, root: Path, file: Path | None) -> None:
    """Print the recipe's steps, every key, sizes, and what is missing here."""
    import yaml

    from flows.place import read_place
    from openseek.fields import differing
    from openseek.recipes import Recipe

    recipe, launch = found.recipe, found.launch
    print(f"# {found.name}: the recipe, as far as it differs from the defaults")
    print(yaml.safe_dump(differing(recipe, Recipe()), sort_keys=False, allow_unicode=True, width=110))
    for title, keys in (("used", found.used), ("ignored", found.ignored)):
        print(f"{title}: {len(keys)} keys")
        print("".join(f"  {key}: {told}\n" for key, told in keys.items()))
    sizes = ", ".join(f"{axis} {getattr(launch, axis)}" for axis in ("tp", "pp", "cp", "ep", "dp"))
    print(f"launch: {launch.nnodes} nodes of {launch.nproc_per_node} ranks as written: {sizes}")
    print(f"here:   dp {recipe.pretrain.fit.parallel.dp}, executor {read_place(file, root).executor.kind}, root {root}")
    for line in _sizes(found):
        print(line)
    missing = [*recipe.import_tokens.missing(), *_lacking(found)]
    print(f"missing on this machine: {len(missing) or 'nothing'}")
    for each in missing:
        print(f"  {each}")


def _sizes(found: Imported) -> Iterator[str]:
    from openseek.model.size import flops_per_token, num_parameters, training_bytes

    config = found.recipe.pretrain
    shape, dp = config.model, config.fit.parallel.dp
    without = "" if shape.vocab_size else " without embedding and head, whose rows the tokenizer tells"
    yield f"parameters: {num_parameters(shape):,}, active {num_parameters(shape, active=True):,}{without}"
    flops = flops_per_token(shape, config.sequence_length) * config.train_tokens
    yield f"training: {config.steps().num_steps:,} steps, {config.train_tokens:,} tokens, {flops:.3g} FLOPs"
    yield f"state of a rank, without activations: {training_bytes(shape, dp).total / 2**30:,.1f} GiB"


def _lacking(found: Imported) -> Iterator[str]:
    """What a run needs beside its files."""
    if not found.recipe.import_tokens.files:
        yield "token files: the file names none (data.data_path)"
    if not found.recipe.import_tokens.tokenizer:
        yield "a tokenizer: the file names none (data.tokenizer.tokenizer_path)"
    yield from (f"{each}: this version spreads over data only (--parallel as_dp)" for each in found.held_back)
    devices = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if devices < found.launch.nproc_per_node:
        asked = found.launch.nproc_per_node
        yield f"GPUs: {asked} a node are asked for, this host has {devices} (a CPU trains in float32)"


def _record(logs: Path) -> Path:
    return logs / "openseek.json"


def _living(logs: Path) -> dict[str, Any] | None:
    """The record of the run that is under way; ValueError where that is on another host."""
    from infra.processes import Process

    if not _record(logs).is_file():
        return None
    record = json.loads(_record(logs).read_text(encoding="utf-8"))
    if record["host"] != socket.gethostname():
        raise ValueError(
            f"{_record(logs)} tells of a run that was started on {record['host']}: stop it there, or delete the record"
        )
    return record if Process(record["pid"], record["started"]).alive() else None


def _note(logs: Path, pid: int, root: Path, where: Path | None) -> str:
    """Record a run; the name that its jobs have."""
    from infra.processes import process
    from openseek.artifact import write_json

    running = process(pid)
    if running is None:
        raise ValueError(f"the run ended at once: {logs / 'openseek.log'} tells why")
    key = f"flagscale-{running.pid}-{running.started}"
    record = {"host": socket.gethostname(), "pid": pid, "started": running.started, "key": key}
    logs.mkdir(parents=True, exist_ok=True)
    write_json(_record(logs), {**record, "root": str(root.resolve()), "where": str(where.resolve()) if where else None})
    return key


@contextmanager
def _recorded(logs: Path, pid: int, root: Path, where: Path | None) -> Iterator[str]:
    """Keep this run on record for the block; ValueError where another one is under way."""
    running = _living(logs)
    if running and running["pid"] != pid:
        raise ValueError(f"process {running['pid']} runs this experiment already: wait for it, or give --action stop")
    key = _note(logs, pid, root, where)
    try:
        yield key
    finally:
        _record(logs).unlink(missing_ok=True)


def _start(words: list[str], logs: Path, root: Path, where: Path | None) -> int:
    """The same command in a process of its own."""
    if running := _living(logs):
        raise ValueError(f"process {running['pid']} runs this experiment already: wait for it, or give --action stop")
    logs.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    with (logs / "openseek.log").open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "cli", "flagscale", *words],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _note(logs, child.pid, root, where)
    child.returncode = 0  # it outlives this process, which is no reason for Popen to warn
    print(f"process {child.pid} runs; its output: {logs / 'openseek.log'}; end it with --action stop")
    return 0


def _stop(logs: Path) -> int:
    """End the recorded run and the jobs that it started."""
    from flows.place import at
    from infra.processes import Process, end
    from tasks.launch import cancel

    running = _living(logs)
    if not _record(logs).is_file():
        print(f"nothing is on record in {_record(logs)}: nothing was running")
        return 0
    record = running or json.loads(_record(logs).read_text(encoding="utf-8"))
    if running:
        end([Process(record["pid"], record["started"])], STOP_SECONDS)
        print(f"ended process {record['pid']}; the same run goes on from its newest resume state")
    with at(Path(record["root"]), Path(record["where"]) if record["where"] else None):
        for told in cancel(record["key"]):
            print(f"ended {told}")
    _record(logs).unlink(missing_ok=True)
    return 0
