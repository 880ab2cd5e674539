"""Configs of an evaluation; light, since `--help` reads them."""

from __future__ import annotations

import dataclasses

from openseek.eval.benchmarks import BENCHMARKS


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One benchmark over a local file."""

    name: str
    """A name of BENCHMARKS in openseek/eval/benchmarks, such as mmlu, agieval_zh, gsm8k, lambada or bits_per_byte."""
    path: str = dataclasses.field(metadata={"raw": True})
    """JSONL file (.gz, .zst), folder or glob with its rows."""
    limit: int | None = 100
    """Score only the first so many questions; None scores all."""
    num_fewshot: int = 0
    """Solved examples before each question: the first rows of the file, which are then not scored."""
    chat: bool = False
    """Ask through the chat template, as after SFT."""
    max_new_tokens: int | None = None
    """Most tokens of a written answer; None takes the benchmark's own."""
    label: str = ""
    """Name in the report where a benchmark runs more than once; by default the benchmark's name."""

    def __post_init__(self) -> None:
        if self.name not in BENCHMARKS:
            raise ValueError(f"benchmark name is {self.name!r}: use one of {', '.join(BENCHMARKS)}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"benchmark {self.key}: limit is {self.limit}: give at least 1, or None for all")
        if self.num_fewshot < 0:
            raise ValueError(f"benchmark {self.key}: num_fewshot is {self.num_fewshot}: it must not be negative")
        if self.chat and BENCHMARKS[self.name].kind in ("loglikelihood", "loglikelihood_rolling"):
            raise ValueError(f"benchmark {self.key}: chat is on, but it scores plain text: switch chat off")
        if self.num_fewshot and BENCHMARKS[self.name].kind == "loglikelihood_rolling":
            raise ValueError(f"benchmark {self.key}: num_fewshot is {self.num_fewshot}, but it has no questions: use 0")

        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ValueError(f"benchmark {self.key}: max_new_tokens is {self.max_new_tokens}: give at least 1, or None")

    @property
    def key(self) -> str:
        """Name in the report."""
        return self.label or self.name


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a checkpoint on benchmarks."""

    benchmarks: tuple[Benchmark, ...] = ()
    """What to measure on."""
    max_length: int | None = None
    """Longest context in tokens, longer ones lose their beginning and are counted; None: the model's own."""
    batch_tokens: int = dataclasses.field(default=4096, metadata={"runtime": True})
    """Tokens of one forward pass, padding included."""

    def __post_init__(self) -> None:
        keys = [benchmark.key for benchmark in self.benchmarks]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"benchmarks: {', '.join(twice)} occurs more than once: give each its own label")
        if self.max_length is not None and self.max_length < 2:
            raise ValueError(f"max_length is {self.max_length}: it must be at least 2")
        if self.batch_tokens < 1:
            raise ValueError(f"batch_tokens is {self.batch_tokens}: it must be at least 1")
