"""Rebuild the samples: `python samples/build.py --corpora ../shared/corpora`. Same corpora, same bytes.

The choice is a fixed one (files.rank); provenance.jsonl gets one row a file: records, origins, licences, sha256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path

import corpora as take
import web
from files import Row, choose, rank, read_rows, write_rows
from licences import ALLOWED, ORIGINS, origin_of
from plant import plant

HERE = Path(__file__).parent
LIMIT_BYTES = 15_000_000
Origins = dict[str, Counter[str]]

EN_WEB = {
    "apt:python-scipy-doc": 30,
    "apt:libreoffice-help": 35,
    "apt:postgresql-doc-15": 40,
    "apt:rust-doc": 40,
    "apt:sqlite3-doc": 45,
    "apt:python-django-doc": 30,
    "apt:apache2-doc": 40,
    "apt:python3.11-doc": 30,
    "apt:debian-handbook": 20,
    "apt:nodejs-doc": 4,
}
BENCHMARKS = (  # name, file, origin, items, key that tells items apart
    ("mmlu", "mmlu/mmlu_stem_test.jsonl", "github:deepseek-ai/DeepSeek-Math", 200, "question"),
    ("gsm8k", "gsm8k/test.jsonl", "github:openai/grade-school-math", 200, "question"),
    ("cmath", "cmath/test.jsonl", "github:XiaoMi/cmath", 200, "question"),
    ("lambada", "lambada/lambada_test.jsonl.gz", "github:cybertronai/bflm", 200, "text"),
    ("hellaswag", "hellaswag/hellaswag_val.jsonl.gz", "github:klosax/hellaswag_text_data", 200, "ind"),
    ("humaneval", "humaneval/HumanEval.jsonl.gz", "github:openai/human-eval", 164, "task_id"),
)


def chinese_files(corpora: Path) -> dict[str, take.Chosen]:
    """Chinese documents in both scripts: path below samples/ -> its rows."""
    zh = "github:pingcap/docs-cn", "github:reactjs/zh-hans.react.dev", "github:rust-lang-cn/book-cn"
    tldr, poems, office = "github:tldr-pages/tldr", "github:chinese-poetry/chinese-poetry", "apt:libreoffice-help"
    handbook = "apt:debian-handbook"
    return {
        "zh/cci3-hans.jsonl.zst": take.chinese(
            corpora,
            "zh/CCI3-HQ/data/part_000000.jsonl.zst",
            {(zh[0], "Hans"): 31, (zh[1], "Hans"): 3, (zh[2], "Hans"): 4, (tldr, "Hans"): 40, (poems, "Hans"): 80},
        ),
        "zh/cci3-hant.jsonl": take.chinese(
            corpora, "zh/CCI3-HQ/data/part_000000.jsonl.zst", {(tldr, "Hant"): 24, (poems, "Hant"): 80}
        ),
        "zh_edu/fineweb-edu-chinese-3_4.parquet": take.chinese(
            corpora,
            "zh/Fineweb-Edu-Chinese-V2.1/3_4/000000.parquet",
            {
                (zh[0], "Hans"): 50,
                (zh[1], "Hans"): 15,
                (zh[2], "Hans"): 18,
                (office, "Hant"): 80,
                (office, "Hans"): 60,
                (handbook, "Hant"): 7,
            },
        ),
        "zh_edu/fineweb-edu-chinese-4_5.parquet": take.chinese(
            corpora,
            "zh/Fineweb-Edu-Chinese-V2.1/4_5/000000.parquet",
            {
                (zh[0], "Hans"): 45,
                (zh[1], "Hans"): 15,
                (zh[2], "Hans"): 12,
                (office, "Hant"): 80,
                (office, "Hans"): 60,
                (handbook, "Hant"): 10,
                (tldr, "Hans"): 40,
            },
        ),
    }


def english_files(corpora: Path) -> dict[str, take.Chosen]:
    """English documents, code and mathematics: path below samples/ -> its rows."""
    return {
        "en_edu/fineweb-edu-docs.parquet": take.english_edu(
            corpora,
            "en_edu/fineweb-edu/sample/10BT/000_00000.parquet",
            {
                "apt:debian-handbook": 25,
                "apt:postgresql-doc-15": 60,
                "apt:python-django-doc": 60,
                "apt:python-scipy-doc": 40,
                "apt:python3.11-doc": 50,
                "apt:rust-doc": 60,
                "apt:sqlite3-doc": 70,
                "apt:dict-jargon": 100,
            },
        ),
        "en_edu/fineweb-edu-dated.parquet": take.english_edu(
            corpora, "en_edu/fineweb-edu/data/CC-MAIN-2024-10/train-00000-of-00002.parquet", {"apt:dict-jargon": 120}
        ),
        "code/stack.parquet": take.code_files(
            corpora, {"github:python/cpython": 90, "github:golang/go": 70, "github:rust-lang/rust": 70}
        ),
        "code/pages.jsonl.zst": take.code_pages(corpora, 110),
        "math/finemath.jsonl.zst": take.mathematics(
            corpora, {"github:OpenLogicProject/OpenLogic": 110, "github:cp-algorithms/cp-algorithms": 60}
        ),
        "wiki/wiki.json.gz": take.dolma(
            corpora,
            "dolma/wiki/en_wiki-0000.json.gz",
            {"github:spencermountain/wtf_wikipedia": 50, "apt:gnome-user-docs": 80, "github:pytorch/examples": 25},
            12_000,
        ),
        "books/books.json.gz": take.dolma(
            corpora, "dolma/books/books-0000.json.gz", {"github:standardebooks": 36}, 16_000
        ),
    }


def tuning_files(corpora: Path) -> dict[str, take.Chosen]:
    """Instructions, verifiable problems and benchmark slices, each in its own schema."""
    factory = "github:hiyouga/LLaMA-Factory"
    files = {
        "sft/chat.jsonl.gz": take.chat(corpora, {"self_instruct_seed": 150, "gpteacher_code": 150, "glaive_en": 60}),
        "sft/alpaca_en.jsonl.gz": take.rows_of(
            corpora, "sft/llama_factory/alpaca_en_demo.json.gz", factory, 250, "instruction"
        ),
        "sft/alpaca_zh.jsonl.gz": take.rows_of(
            corpora, "sft/llama_factory/alpaca_zh_demo.json.gz", factory, 250, "instruction"
        ),
        "rl/gsm8k.jsonl": take.rows_of(
            corpora, "rl/gsm8k/train.jsonl.zst", "github:openai/grade-school-math", 300, "question"
        ),
    }
    for name, file, origin, count, key in BENCHMARKS:
        files[f"benchmarks/{name}.jsonl.gz"] = take.rows_of(corpora, f"benchmarks/{file}", origin, count, key)
    agieval = "github:ruixiangcui/AGIEval"
    files["benchmarks/agieval_zh.jsonl.gz"] = [
        (origin, row | {"subject": subject})
        for subject, count in (("gaokao-history", 120), ("logiqa-zh", 80))
        for origin, row in take.rows_of(corpora, f"benchmarks/agieval/{subject}.jsonl.gz", agieval, count, "question")
    ]
    files["benchmarks/piqa.jsonl.gz"] = piqa(corpora, 200)
    # the public problem file shares three questions with the benchmark; all three are taken on both sides, so that
    # decontamination of the prompts has a real catch
    test = {row["question"]: row for row in read_rows(corpora / "benchmarks/cmath/test.jsonl")}
    problems = list(read_rows(corpora / "rl/cmath/cmath_dev.jsonl"))
    shared = [row for row in problems if row["input"] in test]
    taken = shared + choose([row for row in problems if row not in shared], 300 - len(shared), "input")
    taken.sort(key=lambda row: rank(row["input"]))
    cmath = "github:XiaoMi/cmath"
    files["rl/cmath.jsonl"] = [
        (cmath, {"question": row["input"], "answer": row["golden"], "grade": row["grade"]}) for row in taken
    ]
    present = {row["question"] for _, row in files["benchmarks/cmath.jsonl.gz"]}
    files["benchmarks/cmath.jsonl.gz"] += [(cmath, test[row["input"]]) for row in shared if row["input"] not in present]
    return files


def piqa(corpora: Path, count: int) -> take.Chosen:
    """The items with their labels, which the source keeps in a file of its own."""
    labels = (corpora / "benchmarks/piqa/valid-labels.lst").read_text().split()
    rows = read_rows(corpora / "benchmarks/piqa/valid.jsonl")
    labelled = [row | {"label": int(label)} for row, label in zip(rows, labels, strict=True)]
    return [("github:ybisk/ybisk.github.io", row) for row in choose(labelled, count, "goal")]


def unchosen(corpora: Path, files: dict[str, take.Chosen]) -> tuple[list[Row], list[Row]]:
    """Chapters and Simplified Chinese pages that no sample holds: what planted documents are made of."""
    used = {row["text"] for rows in files.values() for _, row in rows if "text" in row}
    chapters = [row for row in read_rows(corpora / "dolma/books/books-0000.json.gz") if row["text"] not in used]
    spare, file = "github:rust-lang-cn/book-cn", "zh/Fineweb-Edu-Chinese-V2.1/2_3/000000.parquet"
    pages = [row for _, row in take.chinese(corpora, file, {(spare, "Hans"): 60}, 6000) if row["text"] not in used]
    chapters.sort(key=lambda row: rank(row["text"]))
    return chapters, [row for row in pages if han_share(row["text"]) > 0.6]


def han_share(text: str) -> float:
    """Share of Han characters among all that are not white space."""
    visible = [character for character in text if not character.isspace()]
    return sum("㐀" <= character <= "鿿" for character in visible) / max(len(visible), 1)


def provenance_row(path: Path, origins: Counter[str]) -> Row:
    """What provenance.jsonl says of one file."""
    for origin in origins:
        if origin_of(origin) is None or ORIGINS[origin][1] not in ALLOWED:
            raise ValueError(f"{path}: origin {origin} has no licence that the samples may hold; see licences.py")
    return {
        "file": path.relative_to(HERE).as_posix(),
        "records": sum(origins.values()),
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "origins": [
            {"origin": origin, "licence": ORIGINS[origin][0], "class": ORIGINS[origin][1], "records": count}
            for origin, count in sorted(origins.items())
        ],
    }


def build(corpora: Path) -> None:
    """Write every sample and provenance.jsonl."""
    documents = chinese_files(corpora) | english_files(corpora)
    tuning = tuning_files(corpora)
    origins: Origins = {}
    for name, rows in (documents | tuning).items():
        write_rows(HERE / name, [row for _, row in rows])
        origins[name] = Counter(origin for origin, _ in rows)
    english = sorted((corpora / "en_web").glob("CC-MAIN-SAMPLE-en-*.warc.gz"))
    origins["en_web/docs.warc.gz"] = web.cut(english, HERE / "en_web/docs.warc.gz", EN_WEB)
    chinese = [corpora / "zh_web/CC-MAIN-SAMPLE-zh-00000.warc.gz"]
    per_origin = {"apt:libreoffice-help": 130, "apt:debian-handbook": 50}
    origins["zh_web/docs.warc.gz"] = web.cut(chinese, HERE / "zh_web/docs.warc.gz", per_origin)

    articles = [
        row for origin, row in documents["wiki/wiki.json.gz"] if origin == "github:spencermountain/wtf_wikipedia"
    ]
    prose = [row for row in articles if row["text"].count("==") <= 4 and row["text"].count(" the ") > 15]
    twin = next(row for row in prose if 1500 < len(row["text"]) < 4000)
    benchmarks = {
        name: [row for _, row in tuning[f"benchmarks/{name}.jsonl.gz"]] for name in ("gsm8k", "mmlu", "cmath")
    }
    origins |= plant(HERE / "planted", *unchosen(corpora, documents), twin, benchmarks)
    for made in ("rl/arithmetic.jsonl", "sft/arithmetic.jsonl.gz", "benchmarks/arithmetic.jsonl"):
        if (HERE / made).exists():
            origins[made] = Counter({"made here": sum(1 for _ in read_rows(HERE / made))})
    rows = [provenance_row(HERE / name, origins[name]) for name in sorted(origins)]
    (HERE / "provenance.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    total = sum(row["bytes"] for row in rows)
    if total > LIMIT_BYTES:
        raise ValueError(f"the samples take {total} bytes, the limit is {LIMIT_BYTES}: lower a count in build.py")
    print(f"{len(rows)} files, {sum(row['records'] for row in rows)} records, {total} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, default=HERE.parent.parent / "shared/corpora")
    build(parser.parse_args().corpora)
