"""Benchmark items in text: look-up speed against 50,000 real items, recall by variant, precision with known plants.

The text is the corpus of `benchmarks.dedup_corpus` (documentation, books, code). Thresholds were chosen by recall on
a random half of the items; what is planted here is of a half drawn by `halves`. Every document that is flagged without
a plant counts as wrong, also where a book is the one that an item quotes.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contamination_peers import NGRAMS, datatrove, language_of
from benchmarks.corpus import CORPORA
from benchmarks.dedup_corpus import build, load
from benchmarks.rows import Row, cpu_name, cpu_seconds

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.contamination import Hits
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
PLANTED, PEER_PLANTED = 2500, 500
"""Items put into documents for each variant; of these the first go to the peers, which are slow."""
FRAGMENT = 0.6
SEED = 11
BANDS = ((8, 12), (13, 20), (21, 10**9))
"""Words of an item, by which recall is told, since the beginning of a short item is an everyday phrase."""
HOST, REST = 3000, 2000
"""Characters of a document before the item, and after it."""


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


Text = Callable[[str], str]
VARIANTS: dict[str, tuple[Text, str]] = {
    "exact": (str, "\n{}\n"),
    "case and space": (spaced, "\n{}\n"),
    "width": (wide, "\n{}\n"),
    f"first {FRAGMENT:.0%}": (beginning, "\n{}\n"),
    f"first {FRAGMENT:.0%} amid a sentence": (beginning, " we were told {} by them "),
}
"""How an item is changed, and what stands around it."""


@dataclass(frozen=True)
class Planted:
    """Documents of which the first len(items) hold an item each."""

    texts: list[str]
    items: list[int]


def halves(words: Sequence[int], least: int) -> tuple[list[int], list[int]]:
    """(items to choose thresholds by, items to measure by): of those with at least so many words, by chance."""
    eligible = [number for number, count in enumerate(words) if count >= least]
    drawn = random.Random(SEED).sample(eligible, len(eligible))
    return drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]


def plant(variant: str, questions: Sequence[str], pool: Sequence[int], hosts: Sequence[str], count: int) -> Planted:
    """`count` items of the pool in as many documents, and as many documents without one."""
    change, around = VARIANTS[variant]
    generator = random.Random(f"{SEED} {variant}")
    items, texts = generator.sample(pool, count), generator.sample(hosts, 2 * count)
    for place, number in enumerate(items):
        before, after = texts[place][:HOST], texts[place][HOST : HOST + REST]
        texts[place] = before + around.format(change(questions[number])) + after
    texts[count:] = [text[: HOST + REST] for text in texts[count:]]
    return Planted(texts, items)


def rows() -> list[Row]:
    """Speed over the whole corpus; recall of each variant and precision over documents of which some got an item."""
    import pyarrow as pa

    from openseek.data.contamination import find_items
    from openseek.data.gram_index import build_index
    from openseek.data.ngrams import Decontaminate, read_items
    from openseek.data.words import hash_words

    config, corpus = Decontaminate(benchmarks()), load(build())
    items = [item for benchmark in config.benchmarks for item in read_items(benchmark)]
    questions = [item.question for item in items]
    words = [len(hash_words(question)) for question in questions]
    index = build_index(items, config)
    text = pa.chunked_array([pa.array(corpus.texts, pa.large_string())])
    find_items(text.slice(0, 10), index, config)  # compiles, or loads the compiled kernels
    seconds, natural = cpu_seconds(lambda: find_items(text, index, config), repeat=3)
    unplanted = len(set(natural.rows.tolist()))
    size = f"{len(corpus.texts):,} documents, {corpus.megabytes():.1f} MB"
    case = f"{len(items):,} items of {len(FILES)} benchmarks, {size}"
    found = [
        _row(case, "contamination look-up", corpus.megabytes() / seconds, "MB per CPU second"),
        _row(case, "documents with an item, nothing planted", unplanted, "documents"),
    ]
    pool, sets = halves(words, config.min_words)[1], {}
    for name in VARIANTS:
        planted = plant(name, questions, pool, corpus.texts, PLANTED)
        hits = find_items(pa.chunked_array([pa.array(planted.texts, pa.large_string())]), index, config)
        pairs, flagged = set(zip(hits.rows.tolist(), hits.items.tolist(), strict=True)), set(hits.rows.tolist())
        right = [(place, number) in pairs for place, number in enumerate(planted.items)]
        where = f"{PLANTED:,} items of {config.min_words} words or more, {name}"
        found.append(_row(where, "recall", sum(right) / PLANTED))
        for low, high in BANDS:
            band = [ok for ok, n in zip(right, planted.items, strict=True) if low <= words[n] <= high]
            label = f"{low} to {high}" if high < BANDS[-1][1] else f"{low} or more"
            found.append(_row(f"{where}; those of {label}", "recall", sum(band) / len(band)))
        precision = 1 - sum(row >= PLANTED for row in flagged) / max(1, len(flagged))
        found.append(_row(f"{where}, in {2 * PLANTED:,} documents", "precision of flagged documents", precision))
        precision = sum(right) / (sum(right) + unplanted)
        found.append(_row(f"{where}, beside {size}", "precision of flagged documents", precision))
        sets[name] = plant(name, questions, pool, corpus.texts, PEER_PLANTED)
    return found + _beside_peers(questions, sets, lambda texts: find_items(texts, index, config))


def _row(case: str, metric: str, value: float, unit: str = "share", peer: str = "", theirs: float | None = None) -> Row:
    shared: dict[str, Any] = {"bench": "dedup", "device": cpu_name(), "command": "openseek bench dedup_contamination"}
    return Row(case=case, metric=metric, value=value, unit=unit, peer=peer, peer_value=theirs, **shared)


def _beside_peers(
    questions: Sequence[str], sets: Mapping[str, Planted], find: "Callable[[pa.ChunkedArray], Hits]"
) -> list[Row]:
    """Speed, recall and precision of flagged documents beside datatrove's, on the same documents."""
    import pyarrow as pa

    texts = [text for planted in sets.values() for text in planted.texts]
    languages = [
        language_of(questions[planted.items[row]] if row < len(planted.items) else text)
        for planted in sets.values()
        for row, text in enumerate(planted.texts)
    ]
    seconds, hits = cpu_seconds(lambda: find(pa.chunked_array([pa.array(texts, pa.large_string())])), repeat=3)
    ours, megabytes = set(hits.rows.tolist()), sum(len(text.encode()) for text in texts) / 1e6
    found = []
    for ngram in NGRAMS:
        told = datatrove(questions, texts, languages, ngram)
        theirs = set[int]() if told is None else told[1]
        peer = f"datatrove, {ngram} words"
        speed = None if told is None else megabytes / told[0]
        case = f"{len(questions):,} items, {len(texts):,} documents, {megabytes:.1f} MB"
        found.append(_row(case, "contamination look-up", megabytes / seconds, "MB per CPU second", peer, speed))
        first = 0
        for name, planted in sets.items():
            place = range(first, first + len(planted.texts))
            case = f"documents flagged, {len(planted.items)} of {len(place):,} with an item, {name}"
            values = [_quality(flagged, place, len(planted.items)) for flagged in (ours, theirs)]
            for metric, own, other in zip(("recall", "precision"), *values, strict=True):
                found.append(_row(case, metric, own, peer=peer, theirs=None if told is None else other))
            first += len(place)
    return found


def _quality(flagged: set[int], place: range, planted: int) -> tuple[float, float]:
    """(recall, precision) of the flagged documents among those of a place, whose first hold an item each."""
    here = [row for row in place if row in flagged]
    right = sum(row < place.start + planted for row in here)
    return right / planted, right / max(1, len(here))


def measure() -> list[Row]:
    """`openseek bench dedup_contamination`."""
    return rows()
