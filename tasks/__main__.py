"""TASKS, the one table of the steps, and `python -m tasks NAME`, which runs one in this process."""

import importlib
import sys

from tasks.task import Task

TASKS = {
    "ingest": "tasks.ingest",
    "filter": "tasks.filter",
    "dedup_exact": "tasks.dedup_exact",
    "dedup_minhash": "tasks.dedup_minhash",
    "dedup_substring": "tasks.dedup_substring",
    "dedup_lines": "tasks.dedup_lines",
    "classify": "tasks.classify",
    "select": "tasks.classify",
    "decontaminate": "tasks.decontaminate",
    "synthesize": "tasks.synthesize",
    "tokenize": "tasks.tokens",
    "mix": "tasks.mix",
    "import_tokens": "tasks.import_tokens",
    "pretrain": "tasks.train",
    "evaluate": "tasks.evaluate",
    "sft": "tasks.train",
    "rl": "tasks.train",
    "export": "tasks.convert",
    "convert": "tasks.convert",
    "release": "tasks.release",
    "conclude": "tasks.conclude",
}
"""Name of each task -> the module that declares it, imported when it is asked for."""


def find(name: str) -> Task:
    """The task of that name; ValueError lists the names otherwise."""
    if name not in TASKS:
        raise ValueError(f"{name!r} is no task; the tasks are {', '.join(TASKS)}")
    return getattr(importlib.import_module(TASKS[name]), name)


if __name__ == "__main__":
    from tasks.command import run

    if len(sys.argv) < 2:
        sys.exit(f"usage: python -m tasks NAME [options]\nNAME: {', '.join(TASKS)}")
    print(run(find(sys.argv[1]), sys.argv[2:]))
