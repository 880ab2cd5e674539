"""mix: token shards and weights -> a mixture, which is a small file; no token is copied."""

import json
import os
from pathlib import Path

from openseek.artifact import Facts, write_json
from openseek.data.mixture import Mix, entries
from tasks.task import task


@task
def mix(out: Path, tokens: Path, config: Mix = Mix()) -> Facts:
    """Give each source of the token shards its share of training."""
    path = tokens / "tokens.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing: give the folder of a finished `tokenize` artifact")
    summary = json.loads(path.read_text(encoding="utf-8"))
    sources = summary["sources"]
    chosen = entries({name: entry["tokens"] for name, entry in sources.items()}, config)
    mixture = {
        "tokens": os.path.relpath(tokens.resolve(), out.resolve()),
        "entries": [{**entry, "prefixes": sources[entry["source"]]["prefixes"]} for entry in chosen],
        "heldout": summary["heldout"],
        "unigram_entropy_nats": summary["unigram_entropy_nats"],
        "vocab_size": summary["vocab_size"],
        "eod": summary["eod"],
        "dtype": summary["dtype"],
    }
    write_json(out / "mixture.json", mixture)
    return {
        "sources": len(chosen),
        "tokens": sum(entry["tokens"] for entry in chosen),
        "weights": {entry["source"]: round(entry["weight"], 6) for entry in chosen},
        "epochs": {entry["source"]: entry["epochs"] for entry in chosen},
    }
