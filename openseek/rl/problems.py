"""Problems with verifiable answers: reading them from an artifact, and keeping some out of training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Prompt:
    """A problem with its reference answer. `id` decides its random numbers."""

    id: str
    text: str
    ids: tuple[int, ...]
    """The problem as a user's message, up to where the assistant's answer starts."""
    answer: str


@dataclass(frozen=True)
class Problems:
    """What an artifact of problems holds."""

    prompts: list[Prompt]
    dropped: list[dict[str, Any]]
    """Rows left out, as dicts of the DROPPED schema."""
    rows_in: int


def read_problems(artifact: Path, tokenizer: Tokenizer, longest: int) -> Problems:
    """The problems of an `ingest.rl` artifact whose prompts have at most `longest` tokens.

    Rules that drop a row: no_answer, duplicate (of an earlier text), overlong.
    """
    import pyarrow.parquet as pq

    from openseek.data import chat

    prompts: dict[str, Prompt] = {}
    dropped: list[dict[str, Any]] = []
    read = 0
    for shard, path in enumerate(sorted((artifact / "data").glob("*.parquet"))):
        for number, row in enumerate(pq.read_table(path, columns=["id", "text", "meta"]).to_pylist()):
            read += 1
            drop = {"id": row["id"], "task": "rl", "first": True, "shard": shard, "row": number}
            text, answer = row["text"].strip(), json.loads(row["meta"] or "{}").get("answer")
            if not isinstance(answer, str) or not answer.strip():
                dropped.append({**drop, "rule": "no_answer", "detail": f"answer is {answer!r}"})
                continue
            if text in prompts:
                dropped.append({**drop, "rule": "duplicate", "partner": prompts[text].id})
                continue
            ids = chat.prompt_ids(tokenizer, [{"role": "user", "content": text}])
            if len(ids) > longest:
                dropped.append({**drop, "rule": "overlong", "value": float(len(ids)), "limit": float(longest)})
                continue
            prompts[text] = Prompt(row["id"], text, tuple(ids), answer.strip())
    return Problems(list(prompts.values()), dropped, read)


def split_heldout(prompts: list[Prompt], fraction: float) -> tuple[list[Prompt], list[Prompt]]:
    """(training, held out), by a hash of the text: a problem keeps its side when others come or go."""
    sides: tuple[list[Prompt], list[Prompt]] = ([], [])
    for prompt in prompts:
        share = int.from_bytes(hashlib.blake2b(prompt.text.encode(), digest_size=8).digest(), "big") / 2**64
        sides[share < fraction].append(prompt)
    return sides
