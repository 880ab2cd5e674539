"""The corpus that deduplication is measured on: real text of four kinds, with near copies and passages on record.

FOLDER/documents/     a finished artifact of documents, as `ingest` leaves it
FOLDER/corpus.jsonl   the same rows in the same order, {id, text}, for the peers
FOLDER/rows.parquet       kind, family of each row (a document and its copies are one family)
FOLDER/pairs.parquet      copy, source (rows), kind, edit, rate, jaccard of each near copy
FOLDER/passages.parquet   target, start, stop, source, source_start (rows and bytes) of each copied passage
"""

import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.dedup_edits import draw
from benchmarks.dedup_reference import Grams, jaccard, word_grams
from benchmarks.dedup_sources import base_documents

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 2
SEED, SHARDS = 7, 16
MEGABYTES = {"prose_en": 34.0, "prose_zh": 18.0, "code": 26.0, "math": 16.0}
"""Different documents of each kind, before copies are added; of math there is about this much."""
COPIES, PASSAGES = 0.2, 0.05
"""Near copies, and documents that get a passage of another, as shares of the different documents."""
PASSAGE_BYTES = (200, 1500)
LANGUAGES = {"prose_en": "en", "prose_zh": "zh", "code": "", "math": "en"}


@dataclass(frozen=True)
class Pair:
    """A near copy and what it was made of, as rows of the corpus."""

    copy: int
    source: int
    kind: str
    edit: str
    rate: float
    jaccard: float


@dataclass(frozen=True)
class Passage:
    """Bytes [start, stop) of the text of row `target` stand in row `source` from byte `source_start` on."""

    target: int
    start: int
    stop: int
    source: int
    source_start: int


@dataclass(frozen=True)
class Corpus:
    """Documents in order, and the truth about them."""

    texts: list[str]
    kinds: list[str]
    families: list[int]
    """A document and its copies have one number."""
    pairs: list[Pair] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)

    def part(self, every: int) -> list[int]:
        """The rows of every so manieth family: copies stay with what they were made of."""
        return [row for row, family in enumerate(self.families) if family % every == 0]

    def megabytes(self, rows: list[int] | None = None) -> float:
        """MB of UTF-8 text of these rows, or of all."""
        return sum(len(self.texts[row].encode()) for row in (range(len(self.texts)) if rows is None else rows)) / 1e6


def with_truth(base: dict[str, list[str]], seed: int, grams: Grams = word_grams) -> Corpus:
    """Near copies and passages put into the documents of each kind, all in an order that the seed draws."""
    generator = random.Random(seed)
    texts = [text for documents in base.values() for text in documents]
    kinds = [kind for kind, documents in base.items() for _ in documents]
    families, count = list(range(len(texts))), len(texts)
    passages, sources = _insert_passages(texts, kinds, generator)
    copies = []
    for source in generator.choices(sources, k=round(COPIES * count)):
        kind = kinds[source]
        edit, rate, apply = draw(kind, generator)
        text = apply(texts[source], base[kind])
        if text.strip():
            copies.append((len(texts), source, kind, edit, rate))
            texts.append(text)
            kinds.append(kind)
            families.append(source)
    order = generator.sample(range(len(texts)), len(texts))
    place = {old: new for new, old in enumerate(order)}
    pairs = [
        Pair(place[copy], place[source], kind, edit, rate, jaccard(grams(texts[copy]), grams(texts[source])))
        for copy, source, kind, edit, rate in copies
    ]
    moved = [Passage(place[p.target], p.start, p.stop, place[p.source], p.source_start) for p in passages]
    return Corpus([texts[i] for i in order], [kinds[i] for i in order], [families[i] for i in order], pairs, moved)


def _insert_passages(texts: list[str], kinds: list[str], generator: random.Random) -> tuple[list[Passage], list[int]]:
    """Copy passages into some texts in place; returns them, and the documents left as they were."""
    by_kind: dict[str, list[int]] = {}
    for number, kind in enumerate(kinds):
        by_kind.setdefault(kind, []).append(number)
    passages, untouched = [], []
    for numbers in by_kind.values():
        numbers = generator.sample(numbers, len(numbers))
        count = round(PASSAGES * len(numbers))
        targets, rest = numbers[:count], numbers[count:]
        untouched += rest
        for target in targets:
            source = generator.choice(rest) if rest else target
            data, found = texts[source].encode(), texts[target]
            length = generator.randint(*PASSAGE_BYTES)
            if source == target or len(data) < length:
                continue
            start = generator.randrange(len(data) - length + 1)
            passage = data[start : start + length].decode(errors="ignore")
            # Whole characters only: what was lost in front moves the start.
            start += next(i for i in range(4) if data[start + i] & 0xC0 != 0x80)
            at = generator.randrange(len(found) + 1)
            before = f"{found[:at]}\n"
            texts[target] = f"{before}{passage}\n{found[at:]}"
            first, size = len(before.encode()), len(passage.encode())
            if size >= PASSAGE_BYTES[0]:
                passages.append(Passage(target, first, first + size, source, start))
    return passages, sorted(untouched)


def folder_of(folder: Path | None = None) -> Path:
    """Where the corpus is kept: the folder given, else OPENSEEK_BENCH_CACHE, else below ~/.cache."""
    given = os.environ.get("OPENSEEK_BENCH_CACHE")
    return folder or (Path(given) if given else Path.home() / ".cache" / "openseek") / "dedup-corpus"


def build(folder: Path | None = None, seed: int = SEED) -> Path:
    """The folder of the corpus, which is made where it is not there yet: half a minute, and 260 MB of packages.

    ValueError where Debian's packages cannot be had.
    """
    folder = folder_of(folder)
    made = folder / "corpus.json"
    wanted = {"version": VERSION, "seed": seed, "megabytes": MEGABYTES}
    if made.is_file():
        told = json.loads(made.read_text(encoding="utf-8"))
        if all(told.get(name) == value for name, value in wanted.items()):
            return folder
    base, versions = base_documents(folder / "packages", MEGABYTES, seed)
    write(with_truth(base, seed), folder, versions)
    made.write_text(json.dumps({**wanted, "packages": versions}, indent=1) + "\n", encoding="utf-8")
    return folder


def write(corpus: Corpus, folder: Path, versions: dict[str, str]) -> None:
    """Write all forms of the corpus into the folder, in place of what is there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.artifact import fingerprint, write_manifest
    from tasks.shards import write_table

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.json").unlink(missing_ok=True)
    documents = folder / "documents"
    shutil.rmtree(documents, ignore_errors=True)
    (documents / "data").mkdir(parents=True)
    table, size = _documents(corpus), -(-len(corpus.texts) // SHARDS)
    for number in range(SHARDS):
        write_table(table.slice(number * size, size), documents / "data" / f"{number:05d}.parquet")
    facts = {"rows_in": table.num_rows, "rows_out": table.num_rows, "dropped": {}, "quarantined": 0}
    config = {"version": VERSION, "packages": versions, "rows": table.num_rows}
    write_manifest(
        documents,
        task="ingest",
        label=None,
        version=1,
        fingerprint=fingerprint("ingest", 1, {}, {**config, "texts": _digest(corpus.texts)}),
        inputs={},
        config=config,
        facts=facts,
    )
    with open(folder / "corpus.jsonl", "w", encoding="utf-8") as file:
        for name, text in zip(table["id"].to_pylist(), corpus.texts, strict=True):
            file.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
    pq.write_table(pa.table({"kind": corpus.kinds, "family": corpus.families}), folder / "rows.parquet")
    for name, kind, rows in (("pairs", Pair, corpus.pairs), ("passages", Passage, corpus.passages)):
        columns = {column: [getattr(row, column) for row in rows] for column in kind.__dataclass_fields__}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def _documents(corpus: Corpus) -> "pa.Table":
    """The corpus in the schema of documents; the source is the kind, and meta names the row."""
    import pyarrow as pa

    from openseek.data.document import DOCUMENT, document_id

    count = len(corpus.texts)
    columns: dict[str, Any] = {name: [""] * count for name in DOCUMENT.names}
    columns["id"] = [document_id(kind, "dedup-corpus", row) for row, kind in enumerate(corpus.kinds)]
    columns |= {"text": corpus.texts, "source": corpus.kinds, "lang": [LANGUAGES[kind] for kind in corpus.kinds]}
    columns |= {"licence": ["unknown"] * count, "meta": [f'{{"row": {row}}}' for row in range(count)]}
    return pa.table({name: pa.array(columns[name], DOCUMENT.field(name).type) for name in DOCUMENT.names})


def _digest(texts: list[str]) -> str:
    import xxhash

    digest = xxhash.xxh3_128()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def load(folder: Path) -> Corpus:
    """The corpus and its truth, read back."""
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / "rows.parquet")
    pairs = [Pair(**row) for row in pq.read_table(folder / "pairs.parquet").to_pylist()]
    passages = [Passage(**row) for row in pq.read_table(folder / "passages.parquet").to_pylist()]
    return Corpus(list(_texts(folder)), rows["kind"].to_pylist(), rows["family"].to_pylist(), pairs, passages)


def _texts(folder: Path) -> Iterator[str]:
    import pyarrow.parquet as pq

    for shard in sorted((folder / "documents" / "data").glob("*.parquet")):
        yield from pq.read_table(shard, columns=["text"])["text"].to_pylist()
