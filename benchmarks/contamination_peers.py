"""datatrove's decontamination on documents with benchmark items planted, in the peers' environment.

Its indexer reads items through lighteval only, so its own `compute_hashes` makes the n-grams of each question, and they
are written to the file that its filter reads. Documents with Chinese items go through its Chinese tokenizer (jieba),
the others through the English one, as its users would set it; a document counts as found when it is flagged at all.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import peer

SECONDS = 1800.0
NGRAMS = (12, 8)
"""datatrove's default, and the shortest that our items of eight words can be found by."""
DATATROVE = r"""
import numpy as np
from pathlib import Path
from loguru import logger
from datatrove.data import Document
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter, NGramsDecontIndexer
logger.remove()
def read(name):
    with open(arguments[name], "rb") as file:
        return [json.loads(line) for line in file]
flagged, used, documents = [], 0.0, read("documents")
for language in sorted({d["language"] for d in documents}):
    folder = Path(arguments["scratch"]) / language
    folder.mkdir()
    config = NGramsDecontConfig(n_grams=arguments["ngram"], find_query_ngrams=True)
    indexer = object.__new__(NGramsDecontIndexer)
    indexer.__init__(str(folder), config=config, language=language)
    hashes = {h for i in read("items") if i["language"] == language for h in indexer.compute_hashes(i["text"])}
    np.array(sorted(hashes), dtype=config.hash_config.np_descr).tofile(folder / "items.index.hashes")
    keep = NGramsDecontFilter(str(folder), config, language=language)
    own = [d for d in documents if d["language"] == language]
    keep.filter(Document(text="The tokenizer is loaded here.", id="first"))
    before = spent()
    flagged += [d["row"] for d in own if keep.filter(Document(text=d["text"], id="")) is not True]
    used += spent() - before
print(json.dumps({"seconds": used, "flagged": sorted(flagged)}))
"""


def language_of(text: str) -> str:
    """datatrove's name of a text's language: Chinese where Han characters outnumber Latin words."""
    han = sum("\u4e00" <= c <= "\u9fff" for c in text)
    return "cmn_Hani" if han > len(text.split()) else "eng"


def datatrove(
    questions: Sequence[str], texts: Sequence[str], languages: Sequence[str], ngram: int
) -> tuple[float, set[int]] | None:
    """(CPU seconds of the filter, rows of the documents it flags); None where it is not installed.

    `languages` says through which tokenizer each text goes; the index is made before the clock starts.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for kind, lines in (
            ("items", [{"text": q, "language": language_of(q)} for q in questions]),
            (
                "documents",
                [{"row": r, "text": t, "language": k} for r, (t, k) in enumerate(zip(texts, languages, strict=True))],
            ),
        ):
            rows = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (scratch / kind).write_text(rows, encoding="utf-8")
        paths = {kind: str(scratch / kind) for kind in ("items", "documents")}
        told = peer(DATATROVE, {**paths, "scratch": name, "ngram": ngram}, SECONDS)
    return None if told is None else (told["seconds"], set(told["flagged"]))
