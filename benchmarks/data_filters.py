"""Gopher's, C4's and FineWeb's rules beside datatrove's: equal decisions by rule, causes of differences, speed."""

import gzip
import json
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.corpus import CORPORA
from benchmarks.datatrove_filters import datatrove
from benchmarks.reference_rules import LIMITS, breaks, count_sentences, measure
from benchmarks.rows import REPOSITORY, Row, cpu_name, cpu_seconds

DOCUMENTS, TIMED_DOCUMENTS, CHINESE_DOCUMENTS = 3000, 800, 300
ENGLISH = ("en_web/*truth.jsonl.zst", "en_edu", "dolma/*/*.json.gz", "math", "code/opc-fineweb-code-corpus")
"""Articles cut out of web pages, educational pages, encyclopaedia, books, papers, mathematics, and pages with code."""
SAMPLES = ("en_edu", "wiki", "books", "math", "code/pages.jsonl.zst")
CHINESE = ("zh/*/*/*.parquet", "zh_edu")
LINE_RULES = (
    "repetition_lines",
    "repetition_line_characters",
    "repetition_paragraphs",
    "repetition_paragraph_characters",
    "fineweb_punctuated_lines",
    "fineweb_short_lines",
    "fineweb_duplicate_characters",
)
"""Rules that need no words, so that datatrove's English filters apply to Chinese."""


def texts_of(path: Path) -> Iterator[str]:
    """The texts of one file of documents."""
    import pyarrow.parquet as pq
    import zstandard

    if path.suffix == ".parquet":
        table = pq.ParquetFile(path)
        yield from table.read(columns=["text"])["text"].to_pylist() if "text" in table.schema_arrow.names else ()
    elif path.name.endswith((".jsonl.zst", ".json.gz", ".jsonl")):
        opened = {".zst": zstandard.open, ".gz": gzip.open, ".jsonl": open}[path.suffix]
        with opened(path, "rt", encoding="utf-8") as file:
            yield from (json.loads(line).get("text", "") for line in file)


def corpus(patterns: tuple[str, ...], samples: tuple[str, ...], count: int) -> list[str]:
    """`count` different texts drawn with a fixed seed, or all: of the corpora, or of the samples in their absence."""
    root, patterns = (CORPORA, patterns) if CORPORA.is_dir() else (REPOSITORY / "samples", samples)
    found = [path for pattern in patterns for top in sorted(root.glob(pattern)) for path in [top, *top.rglob("*")]]
    texts = sorted({text for path in found if path.is_file() for text in texts_of(path) if text.strip()})
    return random.Random(0).sample(texts, min(count, len(texts)))


def decide(texts: list[str]) -> dict[str, Any]:
    """Our four filters on a batch of English documents: rule to (value, broken)."""
    import pyarrow as pa

    from openseek.data.filters.c4 import C4
    from openseek.data.filters.fineweb import FineWeb
    from openseek.data.filters.gopher import GopherQuality, GopherRepetition
    from openseek.data.transform import Statistics

    columns = {"text": pa.array(texts, pa.large_string())}
    columns |= {name: pa.array([value] * len(texts)) for name, value in (("lang", "en"), ("source", "web"))}
    statistics = Statistics(pa.record_batch(columns))
    found: dict[str, Any] = {}
    for step in (GopherQuality(), GopherRepetition(), C4(), FineWeb()):
        found |= step.rules(statistics)
    return found


def by_our_words(text: str) -> dict[str, float]:
    """The values of the reference on the words that our kernel splits off."""
    from openseek.data.characters import SYMBOL, TERMINAL, character_table
    from openseek.data.english_kernels import split_words

    table = character_table()

    def has(bit: int, character: str) -> bool:
        return ord(character) < len(table) and bool(table[ord(character)] & bit)

    def sentences(line: str) -> int:
        return count_sentences(
            line, split_words(line), lambda c: has(TERMINAL, c), lambda c: unicodedata.category(c)[0] == "P"
        )

    return measure(text, split_words(text), sentences, lambda c: has(SYMBOL, c), lambda c: has(TERMINAL, c))


def cause(rule: str, text: str, ours: bool, judged: dict[str, Any]) -> str:
    """Why a decision differs: with spaCy's words our formula decides as datatrove, with our words as our kernel."""
    if judged["by_reference"][rule] == judged["broken"][rule] and breaks(rule, by_our_words(text)[rule]) == ours:
        return "sentence splitting" if rule == "c4_min_sentences" else "word splitting"
    return "unexplained"


def compare(texts: list[str], rules: tuple[str, ...]) -> tuple[dict[str, float], list[str]] | None:
    """(share of equal decisions by rule, the cause of every difference); None without the peers."""
    theirs = datatrove(texts, judge=True)
    if theirs is None:
        return None
    ours, equal, causes = decide(texts), {}, []
    for rule in rules:
        pairs = zip(texts, ours[rule].broken.tolist(), theirs["judged"], strict=True)
        decided = [(text, broken, judged) for text, broken, judged in pairs if judged["broken"][rule] is not None]
        other = [(text, broken, judged) for text, broken, judged in decided if judged["broken"][rule] != broken]
        causes += [cause(rule, *difference) for difference in other]
        equal[rule] = 1 - len(other) / len(decided)
    return equal, causes


def rows() -> list[Row]:
    """Speed of all four filters, equal decisions of every rule, and the causes of the differences."""
    shared: dict[str, Any] = {"bench": "data_filters", "device": cpu_name(), "command": "openseek bench data"}
    texts = corpus(ENGLISH, SAMPLES, DOCUMENTS)
    timed = texts[:TIMED_DOCUMENTS]
    size = sum(len(text.encode()) for text in timed) / 1e6
    decide(timed[:2])  # compiles, or loads the compiled kernels
    seconds, _ = cpu_seconds(lambda: decide(timed), repeat=5)
    theirs = datatrove(timed, judge=False)
    result = [
        Row(
            **shared,
            case=f"{len(timed)} English documents, {size:.1f} MB",
            metric="Gopher quality, Gopher repetition, C4, FineWeb",
            value=size / seconds,
            unit="MB per CPU second",
            peer="datatrove",
            peer_value=size / theirs["seconds"] if theirs else None,
        )
    ]
    cases = (
        ("English", texts, tuple(LIMITS)),
        ("Chinese", corpus(CHINESE, CHINESE, CHINESE_DOCUMENTS), LINE_RULES),
    )
    for language, documents, rules in cases:
        compared = compare(documents, rules)
        if compared is None:
            continue
        equal, causes = compared
        row: dict[str, Any] = shared | {"case": f"{len(documents)} {language} documents"}
        result += [
            Row(**row, metric=f"equal decisions, {rule}", value=share, unit="share", peer="datatrove")
            for rule, share in equal.items()
        ]
        total = len(documents) * len(rules)
        result += [
            Row(**row, metric=f"differences, {name}", value=causes.count(name) / total, unit="share", peer="datatrove")
            for name in ("word splitting", "sentence splitting", "unexplained")
        ]
    return result
