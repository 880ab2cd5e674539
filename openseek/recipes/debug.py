"""debug: the bundled samples through the whole lifecycle in a few minutes on two CPU cores."""

from typing import Any

from openseek.data.clean.boilerplate import BoilerplateLines
from openseek.data.filters import Filters
from openseek.data.filters.chinese import ChineseQuality
from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.filters.language import Language
from openseek.data.ngrams import BenchmarkFile, Decontaminate
from openseek.data.scorers import Select, Threshold
from openseek.data.sources import Ingest, Source
from openseek.data.substring import Substring
from openseek.data.tokenizer import Tokenize
from openseek.eval.config import Benchmark, Evaluate
from openseek.inference.sampling import Sampling
from openseek.model.config import ModelConfig
from openseek.parallel.dims import ParallelDims
from openseek.recipes.recipe import SAMPLES, Recipe
from openseek.synthesis.config import Synthesize
from openseek.train.grpo import GRPO
from openseek.train.loop import Fit
from openseek.train.pretrain import Pretrain
from openseek.train.schedule import Schedule
from openseek.train.sft import SFT, SourceEpochs


def sample(path: str) -> str:
    """Path of a bundled sample."""
    return str(SAMPLES / path)


# The samples name each row's licence; pages of a WARC cannot.
OWN: dict[str, Any] = {"licence_column": "licence"}
PLAIN = ("code", "code_pages", "math")
"""Sources that rules for prose would misjudge."""
SOURCES = (
    Source("en_web", sample("en_web/*.warc.gz"), licence="by-sa"),
    Source("zh_web", sample("zh_web/*.warc.gz"), licence="by-sa"),
    Source("zh", sample("zh/*.jsonl*"), **OWN),
    Source("zh_edu", sample("zh_edu/*.parquet"), **OWN),
    Source("en_edu", sample("en_edu/*.parquet"), **OWN),
    Source("code", sample("code/stack.parquet"), lang="en", **OWN),
    Source("code_pages", sample("code/pages.jsonl.zst"), lang="en", **OWN),
    Source("math", sample("math/*.jsonl.zst"), lang="en", **OWN),
    Source("wiki", sample("wiki/*.json.gz"), **OWN),
    Source("books", sample("books/*.json.gz"), **OWN),
    # A line of one of its files is cut: every run shows a quarantined record.
    Source("planted", sample("planted/*.jsonl"), **OWN),
)
CHAT = (
    Source("chat", sample("sft/chat.jsonl.gz"), kind="chat", licence="permissive"),
    Source("alpaca", sample("sft/alpaca_*.jsonl.gz"), kind="chat", licence="permissive"),
    Source("arithmetic", sample("sft/arithmetic.jsonl.gz"), kind="chat", licence="permissive"),
)
PROBLEMS = (Source("arithmetic", sample("rl/arithmetic.jsonl"), kind="problem", licence="permissive"),)

DECONTAMINATE = Decontaminate(
    benchmarks=(
        BenchmarkFile("mmlu", sample("benchmarks/mmlu.jsonl.gz"), ("question", "options")),
        BenchmarkFile("agieval_zh", sample("benchmarks/agieval_zh.jsonl.gz"), ("passage", "question")),
        BenchmarkFile("gsm8k", sample("benchmarks/gsm8k.jsonl.gz")),
        BenchmarkFile("cmath", sample("benchmarks/cmath.jsonl.gz")),
        BenchmarkFile("hellaswag", sample("benchmarks/hellaswag.jsonl.gz"), ("ctx",)),
        BenchmarkFile("piqa", sample("benchmarks/piqa.jsonl.gz"), ("goal",)),
        BenchmarkFile("lambada", sample("benchmarks/lambada.jsonl.gz"), ("text",)),
        BenchmarkFile("humaneval", sample("benchmarks/humaneval.jsonl.gz"), ("prompt",)),
        BenchmarkFile("arithmetic", sample("benchmarks/arithmetic.jsonl")),
    ),
)

KNOWLEDGE = (
    Benchmark("mmlu", sample("benchmarks/mmlu.jsonl.gz"), limit=60),
    Benchmark("agieval_zh", sample("benchmarks/agieval_zh.jsonl.gz"), limit=30),
    Benchmark("bits_per_byte", sample("benchmarks/lambada.jsonl.gz"), limit=30),
)
ARITHMETIC = Benchmark("arithmetic", sample("benchmarks/arithmetic.jsonl"), limit=100, chat=True)


def constant(steps: int, rate: float) -> Fit:
    """A loop at one learning rate after a short warm-up."""
    schedule = Schedule(kind="constant", peak=rate, warmup_steps=10)
    return Fit(num_steps=steps, schedule=schedule, weight_decay=0.0, save_every_steps=40)


DEBUG = Recipe(
    ingest=Ingest(sources=SOURCES),
    filter=Filters(
        boilerplate=BoilerplateLines(except_sources=PLAIN),
        language=Language(except_sources=PLAIN),
        gopher_quality=GopherQuality(except_sources=PLAIN, punctuation_counts=False),
        gopher_repetition=GopherRepetition(except_sources=PLAIN),
        chinese=ChineseQuality(except_sources=PLAIN),
    ),
    dedup_substring=Substring(min_bytes=400),
    select=Select(
        thresholds=(
            Threshold(column="score_lang", minimum=0.3, except_sources=PLAIN),
            Threshold(column="score_quality", minimum=0.02, except_sources=PLAIN),
        )
    ),
    decontaminate=DECONTAMINATE,
    synthesize=Synthesize(num_documents=5, passage_chars=450, max_tokens=100),
    decontaminate_synthetic=DECONTAMINATE,
    tokenize=Tokenize(vocab_size=4096),
    pretrain=Pretrain(
        # A narrow model needs an initial scale near hidden_size^-0.5, and many small steps.
        model=ModelConfig(initializer_range=0.1, bias_update_rate=0.02),
        train_tokens=100_000,
        warmup_tokens=10_000,
        sequence_length=128,
        global_batch_size=4,
        micro_batch_size=2,
        fit=Fit(schedule=Schedule(peak=1e-2, final=1e-3), parallel=ParallelDims(dp=2), save_every_steps=100),
    ),
    evaluate=Evaluate(benchmarks=KNOWLEDGE),
    ingest_sft=Ingest(sources=CHAT),
    decontaminate_sft=DECONTAMINATE,
    sft=SFT(
        # Mostly the verifiable task, so that RL starts from a policy that is right now and then.
        fit=constant(1, 1e-3),
        epochs=1,
        mixture=(SourceEpochs("arithmetic", 6), SourceEpochs("chat", 0.05), SourceEpochs("alpaca", 0.05)),
        sequence_length=256,
        global_batch_size=2,
        micro_batch_size=2,
    ),
    evaluate_sft=Evaluate(benchmarks=(*KNOWLEDGE, ARITHMETIC)),
    ingest_rl=Ingest(sources=PROBLEMS),
    decontaminate_prompts=DECONTAMINATE,
    rl=GRPO(fit=constant(50, 5e-4), sampling=Sampling(max_new_tokens=8), heldout_fraction=0.25),
    evaluate_rl=Evaluate(benchmarks=(*KNOWLEDGE, ARITHMETIC)),
)
