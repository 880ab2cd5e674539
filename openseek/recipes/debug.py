"""debug: the bundled samples through the whole lifecycle in a few minutes on two CPU cores."""

from openseek.data.minhash import MinHash
from openseek.data.ngrams import BenchmarkFile, Decontaminate
from openseek.data.scorers import Classify
from openseek.data.sources import Ingest, Source
from openseek.data.substring import Substring
from openseek.data.tokenizer import Tokenize
from openseek.eval.config import Benchmark, Evaluate
from openseek.model.config import ModelConfig
from openseek.parallel.dims import ParallelDims
from openseek.recipes.recipe import SAMPLES, Recipe
from openseek.synthesis.config import Synthesize
from openseek.train.loop import Fit
from openseek.train.optimizer import Schedule
from openseek.train.pretrain import Pretrain


def sample(path: str) -> str:
    """Path of a bundled sample."""
    return str(SAMPLES / path)


WEB = (
    Source("en_web", sample("en_web/*.warc.gz"), lang="en", licence="permissive"),
    Source("zh_web", sample("zh_web/*.warc.gz"), licence="by-sa"),
)
TEXT = (
    Source("zh", sample("zh/*.jsonl*"), lang="zh", licence="by-sa"),
    Source("zh_edu", sample("zh_edu/*.parquet"), lang="zh", licence="by-sa"),
    Source("en_edu", sample("en_edu/*.parquet"), lang="en", licence="permissive"),
    Source("code", sample("code/*"), lang="en", licence="permissive"),
    Source("math", sample("math/*.jsonl.zst"), lang="en", licence="by-sa"),
    Source("wiki", sample("wiki/*.json.gz"), licence="by-sa"),
    Source("books", sample("books/*.json.gz"), lang="en", licence="public"),
    Source("planted", sample("planted/planted.jsonl"), licence="permissive"),
    # One of its lines is cut: the run shows a quarantined record.
    Source("planted_cut", sample("planted/truncated.jsonl"), licence="permissive"),
)
CHAT = (
    Source("chat", sample("sft/chat.jsonl.gz"), kind="chat", licence="permissive"),
    Source("alpaca_en", sample("sft/alpaca_en.jsonl.gz"), kind="chat", lang="en", licence="permissive"),
    Source("alpaca_zh", sample("sft/alpaca_zh.jsonl.gz"), kind="chat", lang="zh", licence="permissive"),
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

DEBUG = Recipe(
    ingest=Ingest(sources=WEB + TEXT),
    dedup_minhash=MinHash(),
    dedup_substring=Substring(min_bytes=400),
    classify=Classify(),
    decontaminate=DECONTAMINATE,
    synthesize=Synthesize(num_documents=6, max_tokens=120, passage_chars=700),
    decontaminate_synthetic=DECONTAMINATE,
    tokenize=Tokenize(vocab_size=4096),
    pretrain=Pretrain(
        model=ModelConfig(),
        fit=Fit(schedule=Schedule(peak=4e-3, final=4e-4), parallel=ParallelDims(dp=2), save_every_steps=50),
    ),
    evaluate=Evaluate(benchmarks=KNOWLEDGE),
    ingest_sft=Ingest(sources=CHAT),
    decontaminate_sft=DECONTAMINATE,
    evaluate_sft=Evaluate(benchmarks=(*KNOWLEDGE, ARITHMETIC)),
    ingest_rl=Ingest(sources=PROBLEMS),
    decontaminate_prompts=DECONTAMINATE,
    evaluate_rl=Evaluate(benchmarks=(*KNOWLEDGE, ARITHMETIC)),
)
