"""Benchmark items in text: look-up speed against 50,000 real items, recall by variant, precision with known plants.

The text is the corpus of `benchmarks.dedup_corpus` (documentation, books, code), on which no threshold was chosen.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.corpus import CORPORA
from benchmarks.dedup_corpus import build, load
from benchmarks.rows import Row, cpu_name, cpu_seconds

if TYPE_CHECKING:
    from openseek.data.ngrams import BenchmarkFile

FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "agieval": ("agieval/*.jsonl.gz", ("passage", "question")),
    "aime": ("aime24/test.jsonl", ("question",)),
    "amc": ("amc23/test.jsonl", ("question",)),
    "aqua": ("aqua/test.jsonl", ("question",)),
    "asdiv": ("asdiv/test.jsonl.gz", ("body", "question")),
    "bbh": ("bbh/*.json.gz", ("input",)),
    "cmath": ("cmath/test.jsonl", ("question",)),
    "cmmlu": ("cmmlu/test/*.csv", ("Question",)),
    "cn_middle_school": ("cn_middle_school/test.jsonl", ("question",)),
    "gaokao": ("gaokao2023en/test.jsonl", ("question",)),
    "gsm8k": ("gsm8k/test.jsonl", ("question",)),
    "hellaswag": ("hellaswag/*.gz", ("ctx",)),
    "humaneval": ("humaneval/*.gz", ("prompt",)),
    "lambada": ("lambada/*.gz", ("text",)),
    "math": ("math/test.jsonl.zst", ("problem",)),
    "mbpp": ("mbpp/mbpp.jsonl", ("text",)),
    "mgsm_zh": ("mgsm_zh/test.jsonl", ("messages.content",)),
    "minerva": ("minerva_math/test.jsonl", ("problem",)),
    "mmlu_redux": ("mmlu/*multi*.gz", ("question",)),
    "mmlu_stem": ("mmlu/mmlu_stem_test.jsonl", ("question",)),
    "mt_bench": ("mt_bench/question.jsonl", ("turns",)),
    "piqa": ("piqa/valid.jsonl", ("goal",)),
    "sat": ("sat_math/test.jsonl", ("question",)),
    "svamp": ("svamp/test.jsonl", ("Body", "Question")),
}
PLANTED = 2500
FRAGMENT = 0.6
SEED = 11
LONG_WORDS = 13
"""A fragment of an item of so many words keeps eight: fewer are too few to tell it from a phrase."""


def benchmarks(folder: Path = CORPORA / "benchmarks") -> "tuple[BenchmarkFile, ...]":
    """The benchmark files beside the checkout."""
    from openseek.data.ngrams import BenchmarkFile

    if not folder.is_dir():
        raise ValueError(f"{folder} is not there: the benchmark of decontamination needs the real benchmark files")
    return tuple(BenchmarkFile(name, str(folder / path), columns) for name, (path, columns) in FILES.items())


def wide(text: str) -> str:
    """Printable ASCII in its full-width form."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def spaced(text: str) -> str:
    """Other case and white space."""
    return text.swapcase().replace(" ", " \n ")


def beginning(text: str) -> str:
    """The first words of a text, `FRAGMENT` of them."""
    import numpy as np

    from openseek.data.words import word_table, words_of

    data = text.encode()
    hashes, starts = np.empty(len(data) + 2, np.uint64), np.empty(len(data) + 2, np.int64)
    count = words_of(np.frombuffer(data, np.uint8), 0, len(data), *word_table(), hashes, starts)
    keep = -int(-count * FRAGMENT // 1)
    return data[: starts[keep] if keep < count else len(data)].decode()


VARIANTS: dict[str, Callable[[str], str]] = {
    "exact": str,
    "case and space": spaced,
    "width": wide,
    f"first {FRAGMENT:.0%}": beginning,
}


def rows() -> list[Row]:
    """Speed over the whole corpus; recall of each variant and precision over documents of which some got an item."""
    import pyarrow as pa

    from openseek.data.contamination import find_items
    from openseek.data.gram_index import build_index
    from openseek.data.ngrams import Decontaminate, read_items
    from openseek.data.words import hash_words

    config, corpus = Decontaminate(benchmarks()), load(build())
    items = [item for benchmark in config.benchmarks for item in read_items(benchmark)]
    index = build_index(items, config)
    text = pa.chunked_array([pa.array(corpus.texts, pa.large_string())])
    find_items(text.slice(0, 10), index, config)  # compiles, or loads the compiled kernels
    seconds, natural = cpu_seconds(lambda: find_items(text, index, config), repeat=3)
    size = f"{len(corpus.texts):,} documents, {corpus.megabytes():.1f} MB"
    case = f"{len(items):,} items of {len(FILES)} benchmarks, {size}"
    shared: dict[str, Any] = {"bench": "dedup", "device": cpu_name(), "command": "openseek bench dedup"}

    def add(case: str, metric: str, value: float, unit: str = "share") -> None:
        found.append(Row(**shared, case=case, metric=metric, value=value, unit=unit))

    found: list[Row] = []
    add(case, "contamination look-up", corpus.megabytes() / seconds, "MB per CPU second")
    add(case, "documents with an item, nothing planted", len(set(natural.rows.tolist())), "documents")
    generator = random.Random(SEED)
    words = [len(hash_words(item.question)) for item in items]
    eligible = [number for number, count in enumerate(words) if count >= config.min_words]
    clean = sorted(set(range(len(corpus.texts))) - set(natural.rows.tolist()))
    for name, change in VARIANTS.items():
        chosen = generator.sample(eligible, PLANTED)
        hosts = generator.sample(clean, 2 * PLANTED)
        texts = [corpus.texts[host][:3000] for host in hosts]
        for place, number in enumerate(chosen):
            texts[place] = f"{texts[place]}\n{change(items[number].question)}\n{corpus.texts[hosts[place]][3000:5000]}"
        hits = find_items(pa.chunked_array([pa.array(texts, pa.large_string())]), index, config)
        flagged = set(hits.rows.tolist())
        pairs = set(zip(hits.rows.tolist(), hits.items.tolist(), strict=True))
        right = [(place, number) in pairs for place, number in enumerate(chosen)]
        wrong = sum(row >= PLANTED for row in flagged)
        where = f"{PLANTED:,} items of {config.min_words} words or more in {2 * PLANTED:,} documents, {name}"
        add(where, "recall", sum(right) / PLANTED)
        long = [ok for ok, number in zip(right, chosen, strict=True) if words[number] >= LONG_WORDS]
        add(f"{where}, of {LONG_WORDS} words or more", "recall", sum(long) / len(long))
        add(where, "precision of flagged documents", 1 - wrong / max(1, len(flagged)))
    return found


def measure() -> list[Row]:
    """`openseek bench dedup_contamination`."""
    return rows()
