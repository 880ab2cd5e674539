"""synthesize: ask a model for new documents made from picked ones; each answer is kept or dropped with a reason.

First every call is brought to an outcome in a journal, then the outcomes are judged shard by shard. A killed run finds
its answers in the journal and asks only for the rest.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts
from openseek.synthesis.config import LOCAL_CONTEXT_TOKENS, Synthesize
from openseek.synthesis.recipes import RECIPES
from tasks.shards import input_shards, map_shards
from tasks.task import progress, task

if TYPE_CHECKING:
    from openseek.data.document import ShardOutput
    from openseek.synthesis.completion import Completion, Request
    from openseek.synthesis.journal import Journal
    from openseek.synthesis.recipe import Recipe

ROWS_PER_SHARD = 512
SOURCE = "synthetic-"
Chunk = list[tuple[Path, int]]
"""(document shard, row) of the documents behind one output shard, in input order."""


@task
def synthesize(out: Path, documents: Path, config: Synthesize = Synthesize()) -> Facts:
    """Make documents from picked ones with a model: rows in are answers asked for, rows out those accepted."""
    from openseek.synthesis.journal import Journal

    chunks, eligible = _pick(documents, config)
    asked = sum(map(len, chunks)) * len(config.recipes) * config.samples
    path = out / ".journal" / "answers.sqlite"
    with Journal(path) as journal:
        _ask_model(journal, chunks, config, asked)
        _check_failures(journal, config, asked)
        waste = journal.waste()
    facts = map_shards(out, chunks, partial(_judge_chunk, config=config, journal_path=path), title="synthesize: check")
    ledger = {"wasted_calls": waste.calls, "wasted_tokens": waste.prompt_tokens + waste.completion_tokens}
    return {**_by_recipe(facts), **ledger, "documents": sum(map(len, chunks)), "eligible": eligible}


def _pick(documents: Path, config: Synthesize) -> tuple[list[Chunk], int]:
    """The documents to ask about, in input order and in chunks of one output shard each; and how many were eligible."""
    import pyarrow.parquet as pq
    import xxhash

    shards = input_shards(documents)
    seen: Counter[str] = Counter()
    counts = {"eligible": 0}

    def candidates() -> Iterator[tuple[str, int, int]]:
        for number, shard in enumerate(shards):
            table = pq.read_table(shard, columns=["id", "text", "source", "lang"])
            lengths = [len(text) for text in table["text"].to_pylist()]
            seen.update(table["lang"].to_pylist())
            rows = zip(
                table["id"].to_pylist(), table["source"].to_pylist(), table["lang"].to_pylist(), lengths, strict=True
            )
            for row, (name, source, lang, chars) in enumerate(rows):
                if (
                    lang == config.lang
                    and config.min_chars <= chars <= config.max_chars
                    and not source.startswith(SOURCE)
                ):
                    counts["eligible"] += 1
                    yield xxhash.xxh3_128_hexdigest(f"{config.seed}\0{name}".encode()), number, row

    picked = sorted(pick[1:] for pick in heapq.nsmallest(config.num_documents, candidates()))
    if not picked:
        raise ValueError(
            f"synthesize: none of the {seen.total()} documents of {documents} is in {config.lang!r} with "
            f"{config.min_chars} to {config.max_chars} characters (languages there: {dict(seen.most_common(5))}): "
            f"change lang, min_chars or max_chars"
        )
    rows = [(shards[number], row) for number, row in picked]
    size = max(1, ROWS_PER_SHARD // (len(config.recipes) * config.samples))
    return [rows[i : i + size] for i in range(0, len(rows), size)], counts["eligible"]


@dataclass(frozen=True)
class _Item:
    """One answer to ask for."""

    parent: dict[str, Any]
    passage: str
    recipe: Recipe
    request: Request


def _items(chunk: Chunk, config: Synthesize) -> Iterator[_Item]:
    """What is asked about the documents of a chunk, in order: document, recipe, sample."""
    import pyarrow.parquet as pq
    import xxhash

    from openseek.synthesis.completion import Request
    from openseek.synthesis.recipe import passage_of

    model = model_name(config)
    for shard, rows in groupby(chunk, key=lambda place: place[0]):
        columns = ["id", "text", "source", "url", "script", "licence", "date"]
        for parent in pq.read_table(shard, columns=columns).take([row for _, row in rows]).to_pylist():
            passage = passage_of(parent["text"], config.passage_chars)
            for recipe in (RECIPES[name] for name in config.recipes):
                chat = tuple((m["role"], m["content"]) for m in recipe.messages(passage))
                for index in range(config.samples):
                    name = f"{config.seed}\0{parent['id']}\0{recipe.name}\0{index}"
                    seed = xxhash.xxh3_64_intdigest(name.encode()) & 0x7FFFFFFF
                    yield _Item(
                        parent,
                        passage,
                        recipe,
                        Request(
                            model=model,
                            revision=config.revision,
                            messages=chat,
                            max_tokens=config.max_tokens,
                            temperature=config.temperature,
                            top_p=config.top_p,
                            frequency_penalty=config.frequency_penalty,
                            seed=seed,
                            index=index,
                        ),
                    )


def model_name(config: Synthesize) -> str:
    """The model's name in calls and documents: the configured one, or that of the local server's file."""
    from openseek.synthesis.local_server import bundled_model

    if config.base_url:
        return config.model
    return (Path(config.model_file) if config.model_file else bundled_model()).stem


def _ask_model(journal: Journal, chunks: Sequence[Chunk], config: Synthesize, asked: int) -> None:
    """Bring every call to an outcome in the journal; starts the local server only if a call is still to be made."""
    import asyncio

    from openseek.synthesis.client import Client, Endpoint, EndpointError, key_from
    from openseek.synthesis.local_server import bundled_model, local_server

    def requests() -> Iterator[Request]:
        return (item.request for chunk in chunks for item in _items(chunk, config))

    if all(journal.outcome(request.key()) is not None for request in requests()):
        return
    endpoint = Endpoint(
        base_url=config.base_url,
        key=key_from(config.api_key_env),
        concurrency=config.concurrency,
        max_attempts=config.max_attempts,
        timeout_seconds=config.timeout_seconds,
        backoff_seconds=config.backoff_seconds,
    )
    with ExitStack() as stack:
        server = None
        if not config.base_url:
            file = Path(config.model_file) if config.model_file else bundled_model()
            server = stack.enter_context(
                local_server(file, threads=config.threads, context_tokens=LOCAL_CONTEXT_TOKENS)
            )
            # One slot: more calls in flight would only wait there, against their own time limit.
            endpoint = replace(endpoint, base_url=server.base_url, concurrency=1)
        advance = stack.enter_context(progress("synthesize", asked))
        try:
            asyncio.run(Client(endpoint, journal).ask_all(requests(), advance))
        except EndpointError as error:
            journal.reopen_failed()
            if server is not None and server.process.poll() is not None:
                raise server.ended() from error
            raise


def _check_failures(journal: Journal, config: Synthesize, asked: int) -> None:
    """ValueError when too many calls failed; they are tried again by the next run."""
    failed = journal.failures()
    if len(failed) > config.max_failed_fraction * asked:
        reasons = Counter(failure.error for failure in failed).most_common(1)
        journal.reopen_failed()
        raise ValueError(
            f"synthesize: {len(failed)} of {asked} calls failed, more than max_failed_fraction "
            f"({config.max_failed_fraction}) allows; most often: {reasons[0][0]}. "
            f"Run again to try these once more (answers so far are kept), or raise the limit"
        )


def _judge_chunk(chunk: Chunk, *, config: Synthesize, journal_path: Path) -> Iterator[ShardOutput]:
    """Turn the journal's outcomes for a chunk into documents, dropped rows and quarantined calls."""
    import pyarrow as pa

    from openseek.data.document import DOCUMENT, ShardOutput, dropped_table, quarantine_table, synthetic_id
    from openseek.synthesis.checks import verdict
    from openseek.synthesis.completion import Failure
    from openseek.synthesis.journal import Journal

    kept: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    failed: list[tuple[str, int, str, bytes]] = []
    facts: Counter[str] = Counter(prompt_tokens=0, completion_tokens=0)
    facts.update({f"{r}.{what}": 0 for r in config.recipes for what in ("requested", "accepted", "rejected", "failed")})
    row = -1
    with Journal(journal_path, readonly=True) as journal:
        for row, item in enumerate(_items(chunk, config)):
            name, index, parent = item.recipe.name, item.request.index, item.parent["id"]
            facts[f"{name}.requested"] += 1
            outcome = journal.outcome(item.request.key())
            assert outcome is not None, f"no outcome for {name} of {parent}"
            if isinstance(outcome, Failure):
                facts[f"{name}.failed"] += 1
                failed.append((f"{name}/{parent}/{index}", row, outcome.error, outcome.body.encode()))
                continue
            for tokens in ("prompt_tokens", "completion_tokens"):
                facts[tokens] += getattr(outcome, tokens)
                facts[f"{name}.{tokens}"] += getattr(outcome, tokens)
            text, rejects = verdict(item.recipe, item.passage, outcome)
            identity = synthetic_id(parent, name, index)
            facts[f"{name}.{'rejected' if rejects else 'accepted'}"] += 1
            if not rejects:
                kept.append(_document(identity, text, item, outcome))
            for number, reject in enumerate(rejects):
                # The answer is nowhere else once the journal is gone: its beginning shows why it went.
                found = {"rule": reject.rule, "value": reject.value, "limit": reject.limit, "first": number == 0}
                place = {"id": identity, "task": "synthesize", "partner": parent, "row": row}
                dropped.append({**place, **found, "detail": f"{name}: {outcome.text[:200]}"})
    yield ShardOutput(
        kept=pa.Table.from_pylist(kept, schema=DOCUMENT),
        rows_in=row + 1,
        dropped=dropped_table(dropped),
        quarantine=quarantine_table(failed),
        facts=dict(facts),
    )


def _document(identity: str, text: str, item: _Item, answer: Completion) -> dict[str, Any]:
    """An accepted answer as a document; what it was made from lends its address, script, licence and date."""
    lent = {name: item.parent[name] for name in ("url", "script", "licence", "date")}
    meta = {
        "parent": item.parent["id"],
        "parent_source": item.parent["source"],
        "passage_chars": len(item.passage),
        "model": item.request.model,
        "revision": item.request.revision,
        "recipe": item.recipe.name,
        "prompt_version": item.recipe.version,
        "index": item.request.index,
        "seed": item.request.seed,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
    }
    source = SOURCE + item.recipe.name
    meta_json = json.dumps(meta, sort_keys=True, ensure_ascii=False)
    return {"id": identity, "text": text, "source": source, "lang": item.recipe.lang, "meta": meta_json, **lent}


def _by_recipe(facts: Facts) -> Facts:
    """Facts named RECIPE.FACT gathered under `recipes`."""
    flat = {name: value for name, value in facts.items() if "." not in name}
    recipes: dict[str, dict[str, int]] = {}
    for name in sorted(facts.keys() - flat.keys()):
        recipe, fact = name.split(".")
        recipes.setdefault(recipe, {})[fact] = facts[name]
    return {**flat, "recipes": recipes}
