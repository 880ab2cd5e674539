"""Which documents the samples take from the corpora: one function a file, each a list of (origin, row)."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

from files import Row, choose, rank, read_rows
from licences import ORIGINS, origin_of, origin_of_url

Chosen = list[tuple[str, Row]]


def with_origin(rows: list[Row], origins: dict[str, str], key: str = "text", columns: bool = True) -> Chosen:
    """Pair each row with its origin; `columns` adds `origin` and the licence class, so that a reader can keep them."""
    chosen = []
    for row in rows:
        origin = origins[row[key]]
        added = {"origin": origin, "licence": ORIGINS[origin][1]} if columns else {}
        chosen.append((origin, row | added))
    return chosen


def chinese(corpora: Path, file: str, wanted: dict[tuple[str, str], int], longest: int = 6000) -> Chosen:
    """Rows of one zh file: how many from each (origin, script)."""
    known = {row["text_sha1"]: row for row in read_rows(corpora / "zh/provenance.jsonl.zst")}
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in read_rows(corpora / file):
        facts = known[hashlib.sha1(row["text"].encode()).hexdigest()]
        origin = origin_of(facts["origin"])
        if origin and len(row["text"]) <= longest:
            groups.setdefault((origin, facts["script"]), []).append(row | {"url": facts["url"]})
    origins, rows = {}, []
    for (origin, script), count in wanted.items():
        taken = choose(groups.get((origin, script), []), count)
        origins |= {row["text"]: origin for row in taken}
        rows += taken
    rows.sort(key=lambda row: rank(row["text"]))
    return with_origin(rows, origins)


def english_edu(corpora: Path, file: str, wanted: dict[str, int]) -> Chosen:
    """Rows in the form of fineweb-edu."""
    known = {row["id"]: origin_of(row["origin"]) for row in read_rows(corpora / "en_edu/provenance.jsonl.zst")}
    rows, origins = [], {}
    candidates = [row for row in read_rows(corpora / file) if 400 <= len(row["text"]) <= 9000]
    for origin, count in wanted.items():
        taken = choose([row for row in candidates if known[row["id"]] == origin], count)
        origins |= {row["text"]: origin for row in taken}
        rows += taken
    rows.sort(key=lambda row: rank(row["text"]))
    return with_origin(rows, origins)


def code_files(corpora: Path, wanted: dict[str, int]) -> Chosen:
    """Source files: the rows of the-stack-v2 with the text that their blob id names."""
    kept = ("blob_id", "repo_name", "path", "language", "extension", "detected_licenses", "length_bytes")
    groups: dict[str, list[Row]] = {}
    for row in read_rows(corpora / "code/the-stack-v2/data/train-00000-of-00001.parquet"):
        origin = origin_of(f"github:{row['repo_name']}")
        if not origin or not 600 <= row["length_bytes"] <= 9000 or row["is_generated"]:
            continue
        blob = (corpora / "code/swh-content" / row["blob_id"]).read_bytes()
        text = gzip.decompress(blob).decode(row["src_encoding"])
        groups.setdefault(origin, []).append({key: row[key] for key in kept} | {"text": text})
    rows = [(origin, row) for origin, count in wanted.items() for row in choose(groups[origin], count)]
    rows.sort(key=lambda pair: rank(pair[1]["text"]))
    return [(origin, row | {"origin": origin, "licence": ORIGINS[origin][1]}) for origin, row in rows]


def code_pages(corpora: Path, count: int) -> Chosen:
    """Documentation pages that show code."""
    file = corpora / "code/opc-fineweb-code-corpus/data/train-00000-of-00001.parquet"
    rows = [row for row in read_rows(file) if 600 <= len(row["text"]) <= 8000 and origin_of_url(row["url"])]
    taken = choose(rows, count)
    return with_origin(taken, {row["text"]: str(origin_of_url(row["url"])) for row in taken})


def mathematics(corpora: Path, wanted: dict[str, int]) -> Chosen:
    """Pages of algorithms and logic in the form of finemath."""
    groups: dict[str, list[Row]] = {}
    for row in read_rows(corpora / "math/finemath/finemath-3plus/train-00000-of-00128.parquet"):
        origin = origin_of(json.loads(row["metadata"])["origin"])
        if origin and 500 <= len(row["text"]) <= 9000:
            kept = ("url", "text", "score", "int_score", "language", "metadata")
            groups.setdefault(origin, []).append({key: row[key] for key in kept})
    rows = [(origin, row) for origin, count in wanted.items() for row in choose(groups[origin], count)]
    rows.sort(key=lambda pair: rank(pair[1]["text"]))
    return [(origin, row | {"origin": origin, "licence": ORIGINS[origin][1]}) for origin, row in rows]


def dolma(corpora: Path, file: str, wanted: dict[str, int], longest: int) -> Chosen:
    """Rows in the form of dolma (id, text, source, added, created, metadata), by origin."""
    groups: dict[str, list[Row]] = {}
    for row in read_rows(corpora / file):
        origin = origin_of(row["metadata"]["origin"])
        if origin and 500 <= len(row["text"]) <= longest:
            url = row["metadata"]["url"]
            groups.setdefault(origin, []).append(row | {"url": url, "origin": origin, "licence": ORIGINS[origin][1]})
    rows = [(origin, row) for origin, count in wanted.items() for row in choose(groups[origin], count)]
    return sorted(rows, key=lambda pair: rank(pair[1]["text"]))


def rows_of(corpora: Path, file: str, origin: str, count: int, key: str) -> Chosen:
    """Problems, benchmark items and instructions: `count` rows as they are.

    Items whose option "None" a table reader turned into a NaN are no longer whole and are left out.
    """
    whole = [row for row in read_rows(corpora / file) if all(isinstance(o, str) for o in row.get("options", ()))]
    return [(origin, row) for row in choose(whole, count, key)]


def chat(corpora: Path, wanted: dict[str, int], longest: int = 1200) -> Chosen:
    """Conversations {"id", "source", "messages"}: seed tasks, code tasks, and dialogues of several turns."""
    origins = {"self_instruct_seed": "github:yizhongw/self-instruct", "gpteacher_code": "github:teknium1/GPTeacher"}
    groups: dict[str, list[Row]] = {}
    for row in read_rows(corpora / "sft/chat/messages_train.jsonl.zst"):
        if row["source"] in origins and sum(len(turn["content"]) for turn in row["messages"]) <= longest:
            groups.setdefault(row["source"], []).append(row)
    rows = [(origins[name], row) for name in origins for row in choose(groups[name], wanted[name], "id")]
    roles = {"human": "user", "gpt": "assistant"}
    dialogues = []
    for number, row in enumerate(read_rows(corpora / "sft/llama_factory/glaive_toolcall_en_demo.json.gz")):
        turns = row["conversations"]
        if {turn["from"] for turn in turns} == set(roles) and len(turns) >= 4:
            messages = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in turns]
            if sum(len(turn["content"]) for turn in messages) <= 2 * longest:
                dialogues.append({"id": f"glaive_en-{number}", "source": "glaive_en", "messages": messages})
    rows += [("github:hiyouga/LLaMA-Factory", row) for row in choose(dialogues, wanted["glaive_en"], "id")]
    return sorted(rows, key=lambda pair: rank(pair[1]["id"]))
