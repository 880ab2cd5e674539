"""tokenize: documents (and synthetic ones) -> one tokenizer, token shards by source, some documents held out."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts, raw_files, rename_into_place, write_json
from openseek.data.tokenizer import Tokenize
from tasks.shards import input_shards, map_files
from tasks.task import task
from tasks.token_parts import HELDOUT, PARENT_RULE, Context, encode_part
from tasks.token_sample import Census, Part, census, fractions, gate_texts, parts_of, training_texts

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

COUNTS = ".counts"
PLURALS = {"lang": "languages", "licence": "licences", "domain": "domains"}
MOST_IN_FACTS = 50


@task(version=2)
def tokenize(out: Path, documents: Path, synthetic: Path | None = None, config: Tokenize = Tokenize()) -> Facts:
    """Train a BPE tokenizer (or take a given one) and write Megatron token shards by source."""
    from openseek.data.encoders import first_equal
    from openseek.data.token_shards import dtype_for
    from openseek.data.tokenizer import load, vocabulary_size

    parts = parts_of(input_shards(documents), input_shards(synthetic) if synthetic else [])
    found = census(parts, config)
    about = _make_tokenizer(out / "tokenizer.json", parts, found, config)
    tokenizer = load(out / "tokenizer.json", config.special_tokens)
    vocab_size, eod = vocabulary_size(tokenizer), tokenizer.token_to_id(config.end_of_document)
    assert eod is not None
    gate = gate_texts(parts, found)
    engine, refused = first_equal(tokenizer, _all(gate), config.engines)
    for name, why in refused.items():
        print(f"tokenize: {name} is not used: {why}", flush=True)
    for folder in ("data", "dropped"):
        (out / folder).mkdir(exist_ok=True)
    call = partial(encode_part, context=Context(out, config, engine, vocab_size, eod))
    results = map_files(out, COUNTS, parts, call, suffix=".npy", title="tokenize")
    sources, heldout = _tables(results)
    entropy, unused = _frequencies(out, len(parts))
    summary = {
        "vocab_size": vocab_size,
        "eod": eod,
        "dtype": dtype_for(vocab_size).name,
        "sources": dict(sorted(sources.items())),
        "heldout": heldout,
        "unigram_entropy_nats": entropy,
    }
    write_json(out / "tokens.json", summary)
    fit = {"unused_vocabulary": unused, **_fertility(tokenizer, gate, vocab_size)}
    write_json(out / "fertility.json", fit)
    written = [*sources.values(), heldout]
    encoded = {
        "engine": engine,
        "engines_refused": refused,
        "checked_documents": sum(r["checked"] for r in results),
        "parts_encoded_again": sum(r.get("encoded_again", 0) for r in results),
        "documents_with_other_ids": [i for r in results for i in r.get("documents_with_other_ids", [])],
    }
    return {
        "rows_in": sum(r["rows"] for r in results),
        "rows_out": sum(entry["documents"] for entry in written),
        "dropped": {PARENT_RULE: orphans} if (orphans := sum(r["dropped"] for r in results)) else {},
        "tokens": sum(entry["tokens"] for entry in sources.values()),
        "heldout_tokens": heldout["tokens"],
        "heldout_documents": heldout["documents"],
        "bytes_per_token": round(sum(e["bytes"] for e in written) / max(1, sum(e["tokens"] for e in written)), 4),
        "vocab_size": vocab_size,
        "unigram_entropy_nats": entropy,
        **_counts(sources),
        **encoded,
        **about,
        "unused_vocabulary": unused,
        "fertility": {name: row["bytes_per_token"] for name, row in list(fit["strata"].items())[:MOST_IN_FACTS]},
    }


def _make_tokenizer(path: Path, parts: list[Part], found: Census, config: Tokenize) -> dict[str, Any]:
    """Write tokenizer.json: the given one, or one trained on a sample of documents; what there is to say about it."""
    from openseek.data.tokenizer import train
    from openseek.data.tokenizer_files import read_tokenizer

    shares = {} if config.tokenizer else fractions(found.text_bytes, config)
    about: dict[str, Any] = {} if config.tokenizer else {"sample_shares_taken": _rounded(shares)}
    if config.tokenizer:
        tokenizer, added = read_tokenizer(raw_files(config.tokenizer)[1], config)
        if added:
            print(f"tokenize: the tokenizer lacks {', '.join(added)}: added at the end", flush=True)
        about["special_tokens_added"] = added
    elif path.exists():
        return about
    elif not found.rows:
        raise ValueError("tokenize: there are no documents to train a tokenizer on: look at the tasks before it")
    else:
        print("tokenize: training the tokenizer", flush=True)
        tokenizer = train(training_texts(parts, shares, config), config)
    if tokenizer.token_to_id(config.end_of_document) is None:
        raise ValueError(
            f"tokenize.end_of_document {config.end_of_document!r} is no special token: "
            f"list it in tokenize.extra_special_tokens, or take one of {', '.join(config.special_tokens)}"
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    tokenizer.save(str(temporary))
    rename_into_place(temporary, path)
    return about


def _rounded(shares: dict[str, float]) -> dict[str, float]:
    return {name or "all": round(share, 6) for name, share in list(sorted(shares.items()))[:MOST_IN_FACTS]}


def _all(gate: dict[tuple[str, str], pa.Array]) -> pa.Array:
    import pyarrow as pa

    return pa.concat_arrays(list(gate.values())) if gate else pa.array([], pa.large_string())


def _tables(results: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(sources, heldout) of tokens.json from what the parts wrote."""
    sources: dict[str, Any] = {}
    heldout: dict[str, Any] = {"prefixes": [], "documents": 0, "tokens": 0, "bytes": 0, "sources": {}}
    for result in results:
        for name, written in result["written"].items():
            source = written["source"]
            if name == f"{HELDOUT}.{source}":
                _add(heldout, written)
                _add(heldout["sources"].setdefault(source, {"prefixes": []}), written)
                continue
            entry = sources.setdefault(source, {"prefixes": [], "buckets": {}, **{p: {} for p in PLURALS.values()}})
            _add(entry, written)
            if "@" in name[len(source) :]:
                bucket = entry["buckets"].setdefault(name[len(source) + 1 :], {"prefixes": []})
                _add(bucket, written)
            for column, plural in PLURALS.items():
                for value, counted in written[column].items():
                    if column != "domain" or value:
                        _add_counts(entry[plural].setdefault(value, {}), counted)
    return sources, {**heldout, "sources": dict(sorted(heldout["sources"].items()))}


def _add(entry: dict[str, Any], written: dict[str, Any]) -> None:
    entry["prefixes"].append(written["prefix"])
    _add_counts(entry, {key: written[key] for key in ("documents", "tokens", "bytes")})


def _add_counts(entry: dict[str, Any], counted: dict[str, int]) -> None:
    for key, value in counted.items():
        entry[key] = entry.get(key, 0) + value


def _counts(sources: dict[str, Any]) -> dict[str, Any]:
    """Tokens by source, language, licence and domain, the largest ones, for the manifest."""
    tables: dict[str, Counter[str]] = {"sources": Counter(), **{plural: Counter() for plural in PLURALS.values()}}
    for name, entry in sources.items():
        tables["sources"][name] += entry["tokens"]
        for plural in PLURALS.values():
            tables[plural].update({value or "unknown": c["tokens"] for value, c in entry[plural].items()})
    return {f"tokens_by_{what}": dict(counts.most_common(MOST_IN_FACTS)) for what, counts in tables.items() if counts}


def _fertility(tokenizer: Tokenizer, gate: dict[tuple[str, str], pa.Array], vocab_size: int) -> dict[str, Any]:
    """{"strata": the table by SOURCE/LANG, "languages": by language} over the documents that judged the engines."""
    import numpy as np

    from openseek.data.fertility import fertility, single_byte_ids
    from openseek.data.tokenizer import encode

    bytes_only = single_byte_ids(tokenizer.get_vocab(with_added_tokens=False), vocab_size)
    texts = {pair: some.to_pylist() for pair, some in gate.items()}
    ids = {pair: [np.array(i, np.int64) for i in encode(tokenizer, some)] for pair, some in texts.items()}
    by_language: dict[str, list[tuple[str, str]]] = {}
    for pair in texts:
        by_language.setdefault(pair[1], []).append(pair)
    return {
        "strata": {f"{pair[0]}/{pair[1]}": fertility(texts[pair], ids[pair], bytes_only) for pair in texts},
        "languages": {
            lang: fertility([t for p in pairs for t in texts[p]], [i for p in pairs for i in ids[p]], bytes_only)
            for lang, pairs in by_language.items()
        },
    }


def _frequencies(out: Path, count: int) -> tuple[float | None, float | None]:
    """(unigram entropy of the held-out tokens, share of the vocabulary that no document uses)."""
    import numpy as np

    from openseek.data.tokenizer import unigram_entropy

    if not count:
        return None, None
    totals = np.sum([np.load(out / COUNTS / f"{i:05d}.npy") for i in range(count)], axis=0)
    return unigram_entropy(totals[0], totals[1]), round(float((totals.sum(0) == 0).mean()), 6)
