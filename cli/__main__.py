"""The console script `openseek`: a task or a command by its name, imported when it is called."""

import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from tasks.__main__ import TASKS, find

COMMANDS = {
    "run": "take a recipe through the whole lifecycle, doing only what is not done",
    "plan": "show every step of a recipe, what is done, and why the rest is not",
    "runs": "list the artifacts below a root",
    "why": "tell the life of one document: where it came from, what kept or dropped it",
    "thresholds": "tell what other thresholds of `filter` would keep and drop, from its statistics alone",
    "diff": "compare two artifacts: config, inputs, commit, packages, the first task that differs",
    "adopt": "accept a finished artifact for the fingerprint that a recipe asks for, on record",
    "sources": "list the catalogue of public sources; what each needs, and whether it can be read from here",
    "sweep": "look for the best mixture or fields of a recipe by proxy trainings, and check it",
    "ablate": "compare two recipes at equal tokens, or a recipe without single stages, over several seeds",
    "ladder": "train a recipe in growing sizes and fit the loss against compute",
    "compare": "set two trainings or evaluations side by side: mixture, losses, verdict",
    "flagscale": "run, stop or show an experiment of FlagScale's, from its two YAML files and token files",
    "average": "average checkpoints of one shape into a new one",
    "check-config": "recompute what a config and its publication claim, and flag every disagreement and known trap",
    "publish": "copy a finished release to the folder or bucket where it is published",
    "bench": "measure one subject beside its peers and write docs/benchmarks/NAME.json",
    "generate": "continue texts or answer conversations with a checkpoint",
    "up": "start the Prefect server, a worker and the MLflow UI on loopback",
    "down": "stop what `openseek up` started",
}
"""Name of each command -> what it does; its function is cli.NAME.NAME, with _ for -."""

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code: 0 done, 1 failed, 2 wrong arguments, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    name, rest = words[0], words[1:]
    if name not in TASKS and name not in COMMANDS:
        print(f"openseek: {name!r} is neither a task nor a command; `openseek --help` lists them", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _task(name, rest) if name in TASKS else _command(name, rest)
    except KeyboardInterrupt:
        print("\nopenseek: interrupted; finished work stays, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        print(f"openseek: {name}: {_message(error)}", file=sys.stderr)
        return 1


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        remedy = {
            28: ": free some space or give a --root on another disk",
            13: ": change its permissions or give another --root",
        }
        return f"{error.filename or 'input/output'}: {error.strerror}{remedy.get(error.errno or 0, '')}"
    return str(error)


def _overview() -> str:
    lines = ["usage: openseek NAME [options]      `openseek NAME --help` tells the options", "", "commands:"]
    lines += [f"  {name:<16} {text}" for name, text in COMMANDS.items()]
    lines += ["", "tasks, each one step of the lifecycle:"]
    for name in TASKS:
        lines.append(f"  {name:<16} {(find(name).__doc__ or '').strip().splitlines()[0]}")
    return "\n".join(lines)


def _task(name: str, arguments: list[str]) -> int:
    from flows.place import at
    from tasks.command import run
    from tasks.task import summary

    finished = run(find(name), arguments, at)
    print(f"{finished}: {summary(finished)}")
    return 0


def _command(name: str, arguments: list[str]) -> int:
    import tyro

    module = name.replace("-", "_")
    function = getattr(importlib.import_module(f"cli.{module}"), module)
    result = tyro.cli(function, prog=f"openseek {name}", args=arguments)
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
