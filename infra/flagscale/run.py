"""FlagScale's `run.py --config-path P --config-name N action=run|stop|dryrun [KEY=VALUE ...]`, as `openseek flagscale`.

Options of `openseek flagscale` itself (--root, --where, --parallel, --checkpoint, ...) are handed on.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ACTIONS = ("run", "stop", "dryrun")
OTHERS = {
    "test": "`make test` runs the tests",
    "query": "`openseek runs` lists what is there, and EXP_DIR/logs/openseek.log tells how far it is",
    "auto_tune": "`openseek sweep` looks for the best settings",
}


def words(arguments: Sequence[str]) -> list[str]:
    """The words of `openseek` for those of FlagScale; exits with status 2 for what cannot be handed on."""
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--config-path", "-cp", required=True)
    parser.add_argument("--config-name", "-cn", required=True)
    for option in ("--root", "--where", "--parallel", "--checkpoint"):
        parser.add_argument(option)
    for option in ("--allow-unknown", "--background"):
        parser.add_argument(option, action="store_true")
    given = parser.parse_intermixed_args(arguments)
    actions = [each.partition("=")[2] for each in given.overrides if each.startswith(("action=", "+action="))]
    if actions and actions[-1] not in ACTIONS:
        parser.error(f"action={actions[-1]}: {OTHERS.get(actions[-1], 'use ' + ', '.join(ACTIONS))}")
    found = ["flagscale", "--config-path", given.config_path, "--config-name", given.config_name]
    found += ["--action", actions[-1]] if actions else []
    for option in ("root", "where", "parallel", "checkpoint"):
        found += [f"--{option}", getattr(given, option)] if getattr(given, option) else []
    found += [f"--{option}" for option in ("allow-unknown", "background") if getattr(given, option.replace("-", "_"))]
    return [*found, *(each for each in given.overrides if not each.startswith(("action=", "+action=")))]


def environment() -> dict[str, str]:
    """The environment with the repository on Python's path."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}


def main() -> None:
    """Become `openseek flagscale`; with --print-command as the first word only show it."""
    shown = sys.argv[1:2] == ["--print-command"]
    command = words(sys.argv[2:] if shown else sys.argv[1:])
    if shown:
        print(shlex.join(["openseek", *command]))
        return
    os.execve(sys.executable, [sys.executable, "-m", "cli", *command], environment())


if __name__ == "__main__":
    main()
