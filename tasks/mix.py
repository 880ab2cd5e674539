"""mix: token shards and weights -> a mixture, which is a small file; no token is copied."""

import json
import os
from pathlib import Path

from openseek.artifact import Facts, write_json, write_text
from openseek.data.mixture import Mix
from tasks.task import task

BILL = "bill_of_materials.md"


@task(version=2)
def mix(out: Path, tokens: Path, config: Mix = Mix()) -> Facts:
    """Give each source of the token shards its share of training, in stages; mixture.json and a bill of materials."""
    from openseek.data.bill_of_materials import bill_of_materials, markdown
    from openseek.data.mixture_plan import planned
    from openseek.data.mixture_sources import held_sources

    path = tokens / "tokens.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing: give the folder of a finished `tokenize` artifact")
    summary = json.loads(path.read_text(encoding="utf-8"))
    held = held_sources(summary, config.sources)
    plan = planned(held, config)
    bill = bill_of_materials(plan, held)
    mixture = {
        "tokens": os.path.relpath(tokens.resolve(), out.resolve()),
        "entries": plan.entries,
        "stages": plan.stages,
        "bill_of_materials": bill,
        "heldout": summary["heldout"],
        "unigram_entropy_nats": summary["unigram_entropy_nats"],
        "vocab_size": summary["vocab_size"],
        "eod": summary["eod"],
        "dtype": summary["dtype"],
    }
    write_json(out / "mixture.json", mixture)
    write_text(out / BILL, markdown(bill))
    for warning in bill["warnings"]:
        print(f"mix: {warning}", flush=True)
    return {
        "sources": len(plan.got),
        "tokens": sum(entry["tokens"] for entry in plan.entries),
        "train_tokens": plan.train_tokens,
        "weights": {entry["source"]: round(entry["weight"], 6) for entry in plan.entries},
        "epochs": {entry["source"]: entry["epochs"] for entry in plan.entries},
        "stages": {stage["name"]: round(stage["share"], 6) for stage in plan.stages},
        "licence_share": {name: round(total["share"], 6) for name, total in bill["licences"].items()},
        "language_share": {name: round(total["share"], 6) for name, total in bill["languages"].items()},
        "warnings": bill["warnings"],
    }
