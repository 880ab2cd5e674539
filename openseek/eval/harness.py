"""Runs benchmarks through lm-evaluation-harness: local rows in, per-sample records and estimates out; no network."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from openseek.eval.benchmarks import BENCHMARKS
from openseek.eval.benchmarks.definition import Definition, Question
from openseek.eval.benchmarks.rows import read_questions
from openseek.eval.config import Benchmark
from openseek.eval.uncertainty import Estimate, mean_estimate, ratio_estimate

if TYPE_CHECKING:
    from lm_eval.api.model import LM
    from lm_eval.api.task import ConfigurableTask


@dataclasses.dataclass(frozen=True)
class Score:
    """One benchmark's headline result."""

    benchmark: str
    version: int
    metric: str
    estimate: Estimate
    chance: float | None
    num_fewshot: int
    duplicates: int
    """Scored documents that repeat an earlier one."""
    truncated: int
    """Requests that lost their beginning to fit the context."""
    seconds: float

    @property
    def at_chance(self) -> bool:
        """Whether guessing explains the score."""
        return self.estimate.at_chance(self.chance)


Record = dict[str, Any]
"""One scored document: benchmark, key, hashes, metric, value, weight, correct target, response."""


def task_of(benchmark: Benchmark, questions: list[Question]) -> ConfigurableTask:
    """The harness's task: the first num_fewshot questions are its examples, the next `limit` its test."""
    import datasets
    from lm_eval.api.task import ConfigurableTask

    definition, shots = BENCHMARKS[benchmark.name], benchmark.num_fewshot
    documents = [_document(q, benchmark.chat) for q in questions]
    test = documents[shots:][: benchmark.limit]
    if not test:
        raise ValueError(
            f"benchmark {benchmark.key}: num_fewshot={shots} takes all {len(questions)} rows of {benchmark.path}"
        )
    splits = {"test": datasets.Dataset.from_list(test)}
    config: dict[str, Any] = {
        "task": benchmark.key,
        "output_type": definition.kind,
        "custom_dataset": lambda **_: splits,
        "test_split": "test",
        "num_fewshot": shots,
        "doc_to_text": lambda d: d["prompt"],
        "doc_to_target": (lambda d: d["gold"]) if definition.kind == "multiple_choice" else (lambda d: d["target"]),
        "target_delimiter": "" if benchmark.chat else definition.delimiter,
        "metric_list": [{"metric": m, "aggregation": _mean, "higher_is_better": True} for m in _metrics(definition)],
        "process_results": _scorer(definition),
        "fewshot_config": {"samples": documents[:shots], "sampler": "first_n"} if shots else None,
        "metadata": {"version": definition.version},
    }
    if definition.kind == "multiple_choice":
        config["doc_to_choice"] = lambda d: list(d["choices"])
    if definition.kind == "generate_until":
        tokens = benchmark.max_new_tokens or definition.max_new_tokens
        config["generation_kwargs"] = {"until": list(definition.until), "max_gen_toks": tokens, "do_sample": False}
    return ConfigurableTask(config=config)


def _document(question: Question, chat: bool) -> dict[str, Any]:
    gold = question.choices.index(question.target) if question.choices else -1
    prompt = question.text if chat else question.prompt
    return {**dataclasses.asdict(question), "choices": list(question.choices), "gold": gold, "prompt": prompt}


def _metrics(definition: Definition) -> tuple[str, ...]:
    extra = {"multiple_choice": ("acc", "acc_norm"), "loglikelihood": ("acc", "logprob")}
    return extra.get(definition.kind, (definition.metric,))


def _mean(values: list[Any]) -> float:
    pairs = [v if isinstance(v, tuple) else (v, 1.0) for v in values]
    return math.fsum(top for top, _ in pairs) / math.fsum(weight for _, weight in pairs)


def _scorer(definition: Definition) -> Any:
    """The harness's process_results: (document, responses) -> {metric: value, or (sum, weight) for a ratio}."""

    def multiple_choice(document: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
        totals = [logprob for logprob, _ in results]
        by_byte = [t / len(c.encode()) for t, c in zip(totals, document["choices"], strict=True)]
        gold = document["gold"]
        return {
            "acc": float(totals.index(max(totals)) == gold),
            "acc_norm": float(by_byte.index(max(by_byte)) == gold),
        }

    def continuation(document: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
        return {"acc": float(results[0][1]), "logprob": results[0][0]}

    def whole_text(document: dict[str, Any], results: list[float]) -> dict[str, tuple[float, float]]:
        return {definition.metric: (-results[0] / math.log(2), float(len(document["target"].encode())))}

    def written(document: dict[str, Any], results: list[str]) -> dict[str, float]:
        assert definition.score is not None
        return {definition.metric: definition.score(results[0], document["target"])}

    return {
        "multiple_choice": multiple_choice,
        "loglikelihood": continuation,
        "loglikelihood_rolling": whole_text,
        "generate_until": written,
    }[definition.kind]


def measure(lm: LM, benchmark: Benchmark) -> tuple[Score, list[Record]]:
    """Score one benchmark: its headline estimate and one record a document."""
    from lm_eval.evaluator import evaluate

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    begin, cut_before = time.monotonic(), getattr(lm, "truncated", 0)
    definition = BENCHMARKS[benchmark.name]
    task = task_of(benchmark, read_questions(benchmark.path, definition))
    task.set_fewshot_seed(seed=0)
    results = evaluate(
        lm=lm,
        task_dict={"tasks": {benchmark.key: task}, "groups": {}, "group_map": {}},  # pyright: ignore[reportArgumentType]
        bootstrap_iters=0,
        apply_chat_template=benchmark.chat,
        fewshot_as_multiturn=benchmark.chat,
    )
    assert results is not None
    records = [_record(benchmark, definition, sample) for sample in results["samples"][benchmark.key]]  # pyright: ignore
    hashes = Counter(record["doc_hash"] for record in records)
    score = Score(
        benchmark=benchmark.key,
        version=definition.version,
        metric=definition.metric,
        estimate=_estimate(records),
        chance=_chance(definition, records),
        num_fewshot=benchmark.num_fewshot,
        duplicates=len(records) - len(hashes),
        truncated=getattr(lm, "truncated", 0) - cut_before,
        seconds=round(time.monotonic() - begin, 3),
    )
    return score, records


def _record(benchmark: Benchmark, definition: Definition, sample: dict[str, Any]) -> Record:
    value = sample[definition.metric]
    top, weight = value if isinstance(value, tuple) else (value, 1.0)
    responses = [r[0] if isinstance(r, list | tuple) and len(r) == 1 else r for r in sample["resps"]]
    return {
        "benchmark": benchmark.key,
        "doc_id": int(sample["doc_id"]),
        "doc_hash": sample["doc_hash"],
        "prompt_hash": sample["prompt_hash"],
        "target_hash": sample["target_hash"],
        "metric": definition.metric,
        "value": float(top),
        "weight": float(weight),
        "chance": 1.0 / len(sample["doc"]["choices"]) if sample["doc"]["choices"] else None,
        "cluster": sample["doc"]["cluster"],
        "target": sample["doc"]["target"],
        "response": repr(responses[0]) if not isinstance(responses[0], str) else responses[0],
        "responses": len(responses),
    }


def _estimate(records: list[Record]) -> Estimate:
    values, weights = [r["value"] for r in records], [r["weight"] for r in records]
    if any(weight != 1.0 for weight in weights):
        return ratio_estimate(values, weights)
    clusters = [r["cluster"] or str(r["doc_id"]) for r in records]
    return mean_estimate(values, clusters if len(set(clusters)) < len(clusters) else None)


def _chance(definition: Definition, records: list[Record]) -> float | None:
    """Mean of one over the number of choices; None where guessing is no strategy."""
    levels = [r["chance"] for r in records]
    return None if definition.kind != "multiple_choice" else math.fsum(levels) / len(levels)
