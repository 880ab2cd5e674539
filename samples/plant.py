"""Documents whose fate is known beforehand: duplicates, a contaminated page, a broken line; planted.json says which."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import opencc
from files import Row, rank
from licences import ORIGINS

BOOKS = "github:standardebooks"
SITE = "https://planted.example/"
PASSAGE = (
    "Readers who keep a garden on a north-facing slope should wait until the last week of April before they move "
    "seedlings out of doors, because a single night of frost undoes the patience of a whole winter. Water them in the "
    "early morning, shade them with an old curtain at noon, and turn every pot by a quarter each evening so that the "
    "stems grow straight. In our own trial of forty trays, thirty-seven came through the first fortnight unharmed, and "
    "the three that did not had been left uncovered beside the gate."
)


def words(text: str) -> list[str]:
    """Lower-case words, each Han character one of them: the unit of the Jaccard similarities in planted.json."""
    return re.findall(r"[㐀-鿿]|[^\W㐀-鿿]+", text.lower())


def jaccard(first: str, second: str, n: int = 5) -> float:
    """Jaccard similarity of the sets of word n-grams."""
    a, b = ({tuple(w[i : i + n]) for i in range(len(w) - n + 1)} for w in (words(first), words(second)))
    return len(a & b) / len(a | b)


def edited(text: str, target: float, replacement: str) -> str:
    """Replace single words (or Han characters), spread over the text, until the similarity falls to `target`."""
    tokens = re.findall(r"[㐀-鿿]|[^\W㐀-鿿]+|[\W_]", text)
    places = sorted((i for i, token in enumerate(tokens) if words(token)), key=lambda i: rank(str(i)))
    for place in places:
        before = "".join(tokens)
        tokens[place] = replacement
        if jaccard(text, "".join(tokens)) < target:
            return before
    return "".join(tokens)


def prose(chapters: list[Row], count: int, size: int = 2400) -> list[str]:
    """`count` different runs of whole paragraphs, at least `size` characters each, one from each chapter."""
    pieces = []
    for chapter in chapters:
        paragraphs = [p.strip() for p in chapter["text"].split("\n") if len(p.strip()) > 200]
        piece = ""
        for paragraph in paragraphs[1:]:
            piece = f"{piece}\n\n{paragraph}".strip()
            if len(piece) >= size:
                pieces.append(piece)
                break
        if len(pieces) == count:
            return pieces
    raise ValueError(f"only {len(pieces)} of {count} chapters have {size} characters of paragraphs")


def survives_both_scripts(text: str) -> bool:
    """True where Simplified to Traditional and back gives the same text: its copy must then be an exact duplicate."""
    return opencc.OpenCC("t2s").convert(opencc.OpenCC("s2t").convert(text)) == text


class Planting:
    """The rows of planted.jsonl so far, and what is expected of them."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.groups: list[Row] = []

    def add(self, name: str, text: str, origin: str = BOOKS, lang: str = "en") -> str:
        """Plant one document and return its url."""
        licence = ORIGINS[origin][1]
        self.rows.append({"url": SITE + name, "text": text, "lang": lang, "origin": origin, "licence": licence})
        return SITE + name

    def group(self, name: str, task: str, urls: list[str], **facts: float) -> None:
        """Expect that `task` leaves one of these."""
        self.groups.append({"name": name, "task": task, "urls": urls, **facts})


def plant(
    folder: Path, english: list[Row], chinese: list[Row], twin: Row, benchmarks: dict[str, list[Row]]
) -> dict[str, Counter[str]]:
    """Write planted.jsonl, truncated.jsonl and planted.json into `folder`; return the origins of each.

    `english` are chapters and `chinese` pages that no other sample holds; `twin` is a document of the wiki sample;
    `benchmarks` are the slices by name.
    """
    texts = prose(english, 16)
    planting = Planting()
    duplicates(planting, texts, chinese, twin)
    passage_urls = [
        planting.add(f"passage-{letter}", texts[index][:1200] + "\n\n" + PASSAGE + "\n\n" + texts[index][1200:])
        for letter, index in zip("abc", (4, 5, 6), strict=True)
    ]
    dropped = [
        {"name": name, "url": planting.add(name, text, origin, "zh" if name.endswith("zh") else "en"), "task": task}
        for name, text, origin, task in unwanted(texts, benchmarks)
    ]
    related = texts[9][:1500] + "\n\n" + texts[10][1500:]
    kept = {
        "name": "related",
        "task": "dedup_minhash",
        "url": planting.add("related", related),
        "like": planting.add("related-origin", texts[9]),
        "jaccard": round(jaccard(related, texts[9]), 4),
    }
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in planting.rows]
    (folder / "planted.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = ("whole-0", "broken", "whole-1")
    three = [
        json.dumps({"url": SITE + name, "text": texts[11 + n], "lang": "en", "origin": BOOKS, "licence": "public"})
        for n, name in enumerate(names)
    ]
    (folder / "truncated.jsonl").write_text(f"{three[0]}\n{three[1][:600]}\n{three[2]}\n", encoding="utf-8")
    expected = {
        "groups": planting.groups,
        "passage": {"task": "dedup_substring", "text": PASSAGE, "urls": passage_urls, "copies_left": 1},
        "dropped": dropped,
        "kept": [kept],
        "quarantined": {"file": "truncated.jsonl", "rows_in": 3, "quarantined": 1, "position": len(three[0]) + 1},
    }
    (folder / "planted.json").write_text(json.dumps(expected, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    origins = Counter(row["origin"] for row in planting.rows)
    return {"planted/planted.jsonl": origins, "planted/truncated.jsonl": Counter({BOOKS: len(three)})}


def duplicates(planting: Planting, texts: list[str], chinese: list[Row], twin: Row) -> None:
    """Groups of which one member is to be left after the task: exact copies, a Traditional copy, near copies."""
    planting.group("exact", "dedup_exact", [planting.add("exact-a", texts[0]), planting.add("exact-b", texts[0])])
    copy = planting.add("copy-of-wiki", twin["text"], twin["origin"])
    planting.group("exact_across_files", "dedup_exact", [twin["url"], copy])
    page = next(row for row in chinese if survives_both_scripts(row["text"]))
    traditional = opencc.OpenCC("s2t").convert(page["text"])
    scripts = [
        planting.add(name, text, page["origin"], "zh")
        for name, text in (("simplified", page["text"]), ("traditional", traditional))
    ]
    planting.group("traditional_copy", "dedup_exact", scripts)
    other = next(row for row in chinese if row is not page)
    for name, text, target, word, origin, lang in (
        ("near-90", texts[1], 0.90, "somewhere", BOOKS, "en"),
        ("near-85", texts[2], 0.85, "perhaps", BOOKS, "en"),
        ("near-88", texts[3], 0.88, "likewise", BOOKS, "en"),
        ("near-zh", other["text"], 0.88, "某", other["origin"], "zh"),
    ):
        near = edited(text, target, word)
        urls = [planting.add(f"{name}-a", text, origin, lang), planting.add(f"{name}-b", near, origin, lang)]
        planting.group(name, "dedup_minhash", urls, jaccard=round(jaccard(text, near), 4))


def unwanted(texts: list[str], benchmarks: dict[str, list[Row]]) -> list[tuple[str, str, str, str]]:
    """(name, text, origin, the task that must drop it)."""
    sums = "\n\n".join(f"{row['question']}\n{row['answer']}" for row in benchmarks["gsm8k"][:3])
    long_questions = [row for row in benchmarks["mmlu"] if len(row["question"]) > 120]
    choices = "\n\n".join(row["question"] + "\n" + "\n".join(row["options"]) for row in long_questions[:3])
    chinese_sums = "\n\n".join(row["question"] for row in benchmarks["cmath"][:12])
    page = texts[7][:1200] + "\n\n" + sums + "\n\n" + choices
    exercises = "下面这些应用题摘自一本练习册，请先读题，再写出算式和答案。\n\n" + chinese_sums
    advert = "Subscribe to our newsletter today and save money on your next order of fresh coffee.\n"
    symbols = "### ... ### ... \n" * 8 + texts[8][:150] + "\n" + "# ... # ... # ... #\n" * 40
    return [
        ("contaminated", page, "github:openai/grade-school-math", "decontaminate"),
        ("contaminated-zh", exercises, "github:XiaoMi/cmath", "decontaminate"),
        ("too-short", "The kettle boiled, and nobody came.", "made here", "filter"),
        ("too-short-zh", "今天天气很好。", "made here", "filter"),
        ("repetitive", advert * 60, "made here", "filter"),
        ("symbols", symbols, BOOKS, "filter"),
    ]
