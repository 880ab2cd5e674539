"""Write golden.json.gz: what datatrove decides on bundled documents. Run where `make peers` has put the peers:

.venv/bin/python tests/openseek/data/filters/make_golden.py
"""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.data_filters import texts_of
from benchmarks.datatrove_filters import datatrove
from benchmarks.reference_rules import LIMITS
from openseek.recipes.recipe import SAMPLES

GOLDEN = Path(__file__).with_name("golden.json.gz")
FILES = (
    "en_edu/fineweb-edu-dated.parquet",
    "en_edu/fineweb-edu-docs.parquet",
    "wiki/wiki.json.gz",
    "books/books.json.gz",
    "math/finemath.jsonl.zst",
    "code/pages.jsonl.zst",
)
PLAIN, CHANGED = 40, 3
VARIANTS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "bullets": lambda text: "\n".join("- " + line for line in text.split("\n")),
    "ellipses": lambda text: "\n".join(line + "..." for line in text.split("\n")),
    "hashes": lambda text: text.replace(" ", " # ").replace(".", " ... "),
    "thrice": lambda text: "\n\n".join([text] * 3),
    "lorem": lambda text: text.replace(".\n", ". Lorem Ipsum is here.\n"),
    "brackets": lambda text: text.replace("the", "{the}"),
    "upper": str.upper,
    "letters": lambda text: " ".join(text[:3000]),
    "joined": lambda text: text.replace(" ", "-"),
    "sentences": lambda text: text.replace(". ", ".\n"),
    "short": lambda text: text[:300],
    "stutter": lambda text: text[:400] + "again and " * 30,
    "windows": lambda text: text.replace("\n", "\r\n"),
}
"""Changes that bring a document to the other side of a rule."""


def main() -> None:
    """Draw documents of every file, have datatrove decide, and write down what it decided and measured."""
    draw, chosen = random.Random(0), []
    for name in FILES:
        count = sum(1 for _ in texts_of(SAMPLES / name))
        rows = draw.sample(range(count), min(PLAIN, count))
        chosen += [(name, row, "plain") for row in rows]
        chosen += [(name, row, variant) for variant in VARIANTS for row in draw.sample(rows, CHANGED)]
    texts = {name: list(texts_of(SAMPLES / name)) for name in FILES}
    judged = datatrove([VARIANTS[variant](texts[name][row]) for name, row, variant in chosen], judge=True)
    if judged is None:
        raise SystemExit("the peers are not installed: make peers")
    documents = []
    for (name, row, variant), found in zip(chosen, judged["judged"], strict=True):
        assert all(found["broken"][rule] is not None for rule in LIMITS), (name, row, variant)
        documents.append(
            {
                "file": name,
                "row": row,
                "variant": variant,
                "broken": [rule for rule in LIMITS if found["broken"][rule]],
                "values": [float(f"{found['values'][rule]:.6g}") for rule in LIMITS],
            }
        )
    golden = {"rules": list(LIMITS), "documents": documents}
    GOLDEN.write_bytes(gzip.compress(json.dumps(golden, separators=(",", ":")).encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
