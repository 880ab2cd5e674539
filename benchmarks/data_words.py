"""Sensitive words in real text: the whole Chinese lists, our automaton beside pyahocorasick, equal matches."""

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.corpus import CORPORA, documents
from benchmarks.peers import peer
from benchmarks.rows import Row, cpu_name, cpu_seconds

LANGUAGES = {"Chinese": True, "English": False}
PEER = """
import gzip, ahocorasick
given = json.loads(gzip.open(arguments["path"], "rt").read())
automaton = ahocorasick.Automaton()
for number, word in enumerate(given["words"]):
    automaton.add_word(word, number)
automaton.make_automaton()
found = {}
for name, texts in given["texts"].items():
    begin, total = spent(), 0
    for text in texts:
        for end, number in automaton.iter(text):
            total += 1
    found[name] = {"seconds": spent() - begin, "matches": total}
print(json.dumps(found))
"""


def is_chinese(text: str) -> bool:
    """Whether a fifth of the beginning is Han."""
    return sum("一" <= c <= "鿿" for c in text[:500]) > 0.2 * len(text[:500])


def lists() -> list[str]:
    """The words of the published Chinese lists; made-up ones where the corpora are not there."""
    from openseek.data.word_lists import lines, words

    folder = CORPORA / "safety" / "zh"
    if folder.is_dir():
        return list(words(lines(str(folder))).words)
    texts = [item["text"] for item in documents()]
    # Every so many characters a piece of a text: words that do occur, as many as published lists hold.
    pieces = (text[i : i + 2 + i % 7].strip() for text in texts for i in range(0, len(text), 37))
    return sorted({piece for piece in pieces if len(piece) > 1 and "\n" not in piece})[:100_000]


def folded(text: str) -> str:
    """The text as the automaton reads it, for a peer that does not fold."""
    from openseek.data.word_automaton import CODES, folding

    table = folding()
    return "".join(chr(table[ord(c)]) if ord(c) < CODES else c for c in text)


def rows() -> list[Row]:
    """Speed on both languages with equal matches, the product's own mode, and the time to build."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.word_automaton import build, find

    entries = lists()
    bits = np.ones(len(entries), np.uint64)
    build(entries[:10], bits[:10])  # compiles, or loads the compiled kernels
    build_seconds, (automaton, words) = cpu_seconds(lambda: build(entries, bits), repeat=3)
    texts = {name: [d["text"] for d in documents() if is_chinese(d["text"]) == han] for name, han in LANGUAGES.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given.json.gz"
        given = {
            "words": sorted({folded(w) for w in words}),
            "texts": {k: [folded(t) for t in v] for k, v in texts.items()},
        }
        path.write_bytes(gzip.compress(json.dumps(given).encode(), 1))
        theirs = peer(PEER, {"path": str(path)})
    shared: dict[str, Any] = {"bench": "data_words", "device": cpu_name(), "command": "openseek bench data"}
    result = [
        Row(**shared, case=f"{len(words)} words", metric="automaton built", value=build_seconds, unit="CPU seconds")
    ]
    for name, part in texts.items():
        column = pa.array(part, pa.large_string())
        size = sum(len(text.encode()) for text in part) / 1e6
        active = np.ones(len(part), np.uint64)
        case = f"{name}, {len(part)} documents, {size:.1f} MB, {len(words)} words"
        for metric, whole, overlapping in (
            ("every match", False, True),
            ("whole words, leftmost-longest", True, False),
        ):

            def run(c: Any = column, a: Any = active, whole: bool = whole, overlapping: bool = overlapping) -> int:
                return len(find(c, automaton, a, whole_words=whole, overlapping=overlapping).row)

            run(column.slice(0, 1), active[:1])
            seconds, matches = cpu_seconds(run, repeat=3)
            other = theirs[name] if theirs else None
            speed = {"peer": "pyahocorasick, every match", "peer_value": size / other["seconds"] if other else None}
            result.append(
                Row(**shared, case=case, metric=metric, value=size / seconds, unit="MB per CPU second", **speed)
            )
            if overlapping:
                count = {"peer": "pyahocorasick", "peer_value": other["matches"] if other else None}
                result.append(Row(**shared, case=case, metric="matches", value=matches, unit="matches", **count))
    return result
