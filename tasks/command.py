"""A task as a command: its inputs, its config and where to put the result, from one signature."""

import dataclasses
import gc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

from openseek.fields import changed, read_yaml
from tasks.task import Task
from tasks.where import current

Place = Callable[[Path, Path | None], AbstractContextManager[Any]]


def run(task: Task, arguments: Sequence[str], place: Place | None = None) -> Path:
    """Parse a task's command line and run it; returns the finished directory.

    `place(root, where file)` puts the machines in force; without it the task runs in this process.
    """
    words = list(arguments)
    # A short life of many small objects: collecting among them takes a tenth of the time and finds nothing.
    gc.disable()
    try:
        parsed = _parse(task, words)
    finally:
        gc.enable()
    inputs = [getattr(parsed, name) for name in task.input_names]
    place = place or (lambda root, where: nullcontext())
    with place(parsed.root, parsed.where):
        return task(*inputs, config=parsed.config, label=parsed.label, out=parsed.out)


def _parse(task: Task, words: list[str]) -> Any:
    import tyro

    label = _value(words, "--label")
    recipe = _value(words, "--recipe")
    config = changed(_default(task, recipe, label), assignments(_values(words, "--set")))
    options = _options(task, config)
    # A config inside a config that may be None is no subcommand: --set and recipes give it.
    flags = (tyro.conf.AvoidSubcommands,)
    return tyro.cli(options, prog=f"openseek {task.name}", description=task.__doc__, args=words, config=flags)


def assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """{"a.b": value} from the words "a.b=value"; values are read as YAML."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair!r}: write it as FIELD=VALUE, such as num_bands=20")
        try:
            values[name] = read_yaml(value)
        except ValueError as error:
            raise ValueError(f"--set {name}={value}: {error}") from error
    return values


def _values(words: list[str], flag: str) -> list[str]:
    """The words behind a flag that takes several."""
    found: list[str] = []
    for i, word in enumerate(words):
        if word == flag:
            rest = words[i + 1 :]
            found += rest[: next((n for n, w in enumerate(rest) if w.startswith("--")), len(rest))]
    return found


def _value(words: list[str], flag: str) -> str | None:
    """The value of a flag that must be known before the rest can be parsed."""
    for i, word in enumerate(words):
        if word == flag and i + 1 < len(words):
            return words[i + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _default(task: Task, recipe: str | None, label: str | None) -> Any:
    """The config of the recipe's step, or the task's own defaults."""
    if recipe is None:
        return task.config_type()
    from openseek.recipes import load_recipe

    step = f"{task.name}_{label}" if label else task.name
    loaded = load_recipe(recipe)
    if not hasattr(loaded, step):
        raise ValueError(f"recipe {recipe!r} has no step {step!r}: leave --label out or give another one")
    return getattr(loaded, step)


def _options(task: Task, config: Any) -> type:
    """A dataclass whose fields are the command's options."""
    from tyro.conf import arg

    def described(kind: Any, text: str) -> Any:
        return Annotated[kind, arg(help=text)]

    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name in task.input_names:
        text = "Directory of a finished artifact" + (", or any folder." if name in task.bare else ".")
        if name not in task.optional:
            fields.append((name, described(Path, text)))
    for name in task.input_names:
        if name in task.optional:
            fields.append((name, described(Path | None, "Directory of a finished artifact (optional)."), None))
    fields += [
        ("config", task.config_type, dataclasses.field(default=config)),
        ("root", described(Path, "Folder that holds the artifacts."), current().root),
        ("set", described(tuple[str, ...], "Config fields as FIELD=VALUE (YAML), such as whole lists."), ()),
        ("out", described(Path | None, "Directory to write instead of ROOT/NAME-<fingerprint>."), None),
        ("label", described(str | None, "Step name, where a recipe runs the task more than once (NAME.LABEL)."), None),
        ("recipe", described(str | None, "Recipe (name or YAML file) whose step gives the defaults."), None),
        ("where", described(Path | None, "YAML file with dask, executor and tracking_uri."), None),
    ]
    return dataclasses.make_dataclass("Options", fields, frozen=True)
