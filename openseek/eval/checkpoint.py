"""Measures a checkpoint on benchmarks, offline, and writes the report."""

from __future__ import annotations

import json
import os
from pathlib import Path

from openseek.artifact import Facts
from openseek.eval.config import Evaluate


def evaluate_checkpoint(out: Path, checkpoint: Path, config: Evaluate) -> Facts:
    """Scores, per-document records, report and plot of the checkpoint artifact `checkpoint` below `out`.

    Runs on one rank, on a GPU if there is one. Facts: rows_in and rows_out (scored documents), scores {name: value},
    at_chance (names), truncated, duplicates. Raises ValueError without benchmarks or for unusable rows.
    """
    if not config.benchmarks:
        raise ValueError("evaluate.benchmarks is empty: name at least one, such as Benchmark('mmlu', 'mmlu.jsonl')")
    # Read by the Hugging Face libraries when they are first imported: no benchmark row may come from the network.
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TQDM_DISABLE": "1"}
    from openseek.eval.harness import measure
    from openseek.eval.report import as_dict, write_report

    lm = load_lm(checkpoint / "checkpoint", config)
    scores, records = [], []
    metrics = out / "metrics" / "rank00000.jsonl"
    metrics.parent.mkdir(parents=True, exist_ok=True)
    metrics.write_text("", encoding="utf-8")
    for step, benchmark in enumerate(config.benchmarks):
        score, scored = measure(lm, benchmark)
        scores.append(score)
        records += scored
        e = score.estimate
        name = f"{score.benchmark}/{score.metric}"
        line = {"step": step, name: e.value, f"{name}/low": e.low, f"{name}/high": e.high}
        with metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    write_report(out, scores, records, f"Scores of {checkpoint.name}")
    return {
        "rows_in": len(records),
        "rows_out": len(records),
        "scores": {s.benchmark: round(s.estimate.value, 6) for s in scores},
        "intervals": {s.benchmark: [round(s.estimate.low, 6), round(s.estimate.high, 6)] for s in scores},
        "at_chance": [s.benchmark for s in scores if s.at_chance],
        "truncated": sum(s.truncated for s in scores),
        "duplicates": sum(s.duplicates for s in scores),
        "benchmark_seconds": {s.benchmark: as_dict(s)["seconds"] for s in scores},
    }


def load_lm(directory: Path, config: Evaluate):
    """The checkpoint folder `directory` behind the harness's interface."""
    import torch
    from tokenizers import Tokenizer

    from openseek.data import chat
    from openseek.eval.lm import TransformerLM
    from openseek.model.hf import load_checkpoint

    gpu = torch.cuda.is_available()
    model = load_checkpoint(directory, torch.bfloat16 if gpu else torch.float32).to("cuda" if gpu else "cpu")
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    return TransformerLM(
        model,
        tokenizer,
        end_id=chat.eod_id(tokenizer),
        stop_ids=chat.stop_ids(tokenizer),
        max_length=config.max_length,
        batch_tokens=config.batch_tokens,
    )
