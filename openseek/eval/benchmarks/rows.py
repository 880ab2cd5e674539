"""Reads a benchmark's JSONL into questions; every fault names file, line and remedy."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

from openseek.artifact import raw_files
from openseek.eval.benchmarks.definition import Definition, Question


def _lines(path: Path) -> list[bytes]:
    import zstandard

    data = path.read_bytes()
    try:
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        elif path.suffix == ".zst":
            stream = zstandard.ZstdDecompressor().decompressobj()
            data = stream.decompress(data)
            if not stream.eof:
                raise EOFError("the stream ends early")
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise ValueError(f"{path} cannot be decompressed ({error}): copy it again, it is damaged") from error
    return data.split(b"\n")


def read_questions(pattern: str, definition: Definition) -> list[Question]:
    """All questions of the files that `pattern` matches, in order. Raises ValueError for a bad row or none at all."""
    questions: list[Question] = []
    for path in raw_files(pattern)[1]:
        for number, line in enumerate(_lines(path), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
                if not isinstance(row, dict):
                    raise ValueError("it is no JSON object")
                questions.append(definition.question(row))
            except (ValueError, KeyError) as error:
                raise ValueError(f"{path}:{number} is no row of this benchmark: {error}; repair or drop it") from error
    if not questions:
        raise ValueError(f"{pattern!r} holds no question: give a JSONL file (.gz, .zst) with one row a line")
    return questions
