"""Documents whose fate is known beforehand: duplicates, a contaminated page, a broken line; planted.json says which."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import opencc
from files import Row, rank

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


def plant(folder: Path, english: list[Row], chinese: list[Row], twin: Row, benchmarks: dict[str, list[Row]]) -> None:
    """Write planted.jsonl, truncated.jsonl and planted.json into `folder`.

    `english` are chapters and `chinese` pages that no other sample holds; `twin` is a document of the wiki sample;
    `benchmarks` are the slices by name.
    """
    texts = prose(english, 16)
    page = next(row["text"] for row in chinese if survives_both_scripts(row["text"]))
    other_page = next(row["text"] for row in chinese if row["text"] != page)
    rows: list[Row] = []
    groups: list[Row] = []
    dropped: list[Row] = []
    kept: list[Row] = []

    def add(name: str, text: str, lang: str = "en", licence: str = "public") -> str:
        rows.append({"url": SITE + name, "text": text, "lang": lang, "licence": licence})
        return SITE + name

    plant_duplicates(add, groups, texts, page, other_page, twin)
    passage_urls = [
        add(f"passage-{letter}", texts[index][:1200] + "\n\n" + PASSAGE + "\n\n" + texts[index][1200:])
        for letter, index in zip("abc", (4, 5, 6), strict=True)
    ]
    for name, text, task in unwanted(texts, benchmarks):
        dropped.append(
            {"name": name, "url": add(name, text, "zh" if name.endswith("zh") else "en", "by"), "task": task}
        )
    related = texts[9][:1500] + "\n\n" + texts[10][1500:]
    kept.append(
        {
            "name": "related",
            "task": "dedup_minhash",
            "url": add("related", related),
            "like": add("related-origin", texts[9]),
        }
    )
    kept[-1]["jaccard"] = round(jaccard(related, texts[9]), 4)

    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "planted.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    whole = [
        json.dumps({"url": f"{SITE}whole-{n}", "text": texts[11 + n], "lang": "en", "licence": "public"})
        for n in (0, 1)
    ]
    broken = json.dumps({"url": f"{SITE}broken", "text": texts[13], "lang": "en", "licence": "public"})[:600]
    (folder / "truncated.jsonl").write_text(f"{whole[0]}\n{broken}\n{whole[1]}\n", encoding="utf-8")
    expected = {
        "groups": groups,
        "passage": {"task": "dedup_substring", "text": PASSAGE, "urls": passage_urls, "copies_left": 1},
        "dropped": dropped,
        "kept": kept,
        "quarantined": {
            "file": "truncated.jsonl",
            "rows_in": 3,
            "quarantined": 1,
            "position": len(whole[0].encode()) + 1,
        },
    }
    (folder / "planted.json").write_text(json.dumps(expected, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def plant_duplicates(
    add: Callable[..., str], groups: list[Row], texts: list[str], page: str, other_page: str, twin: Row
) -> None:
    """Groups of which one member is to be left after the task: exact copies, a Traditional copy, near copies."""
    exact = [add("exact-a", texts[0]), add("exact-b", texts[0])]
    groups.append({"name": "exact", "task": "dedup_exact", "urls": exact})
    # two of a url: the copy keeps the text of the wiki sample's document under a url of its own
    groups.append(
        {"name": "exact_across_files", "task": "dedup_exact", "urls": [twin["url"], add("copy-of-wiki", twin["text"])]}
    )
    traditional = opencc.OpenCC("s2t").convert(page)
    scripts = [add("simplified", page, "zh", "by"), add("traditional", traditional, "zh", "by")]
    groups.append({"name": "traditional_copy", "task": "dedup_exact", "urls": scripts})
    for name, text, target, word in (
        ("near-90", texts[1], 0.90, "somewhere"),
        ("near-85", texts[2], 0.85, "perhaps"),
        ("near-88", texts[3], 0.88, "likewise"),
        ("near-zh", other_page, 0.88, "某"),
    ):
        copy = edited(text, target, word)
        lang, licence = ("zh", "by") if name.endswith("zh") else ("en", "public")
        urls = [add(f"{name}-a", text, lang, licence), add(f"{name}-b", copy, lang, licence)]
        groups.append({"name": name, "task": "dedup_minhash", "urls": urls, "jaccard": round(jaccard(text, copy), 4)})


def unwanted(texts: list[str], benchmarks: dict[str, list[Row]]) -> list[tuple[str, str, str]]:
    """(name, text, the task that must drop it)."""
    sums = "\n\n".join(f"{row['question']}\n{row['answer']}" for row in benchmarks["gsm8k"][:3])
    choices = "\n\n".join(
        row["question"] + "\n" + "\n".join(row["options"])
        for row in [row for row in benchmarks["mmlu"] if len(row["question"]) > 120][:3]
    )
    chinese_sums = "\n\n".join(row["question"] for row in benchmarks["cmath"][:12])
    advert = "Subscribe to our newsletter today and save money on your next order of fresh coffee.\n"
    return [
        ("contaminated", texts[7][:1200] + "\n\n" + sums + "\n\n" + choices, "decontaminate"),
        (
            "contaminated-zh",
            "下面这些应用题摘自一本练习册，请先读题，再写出算式和答案。\n\n" + chinese_sums,
            "decontaminate",
        ),
        ("too-short", "The kettle boiled, and nobody came.", "filter"),
        ("too-short-zh", "今天天气很好。", "filter"),
        ("repetitive", advert * 60, "filter"),
        ("symbols", "### ... ### ... \n" * 8 + texts[8][:150] + "\n" + "# ... # ... # ... #\n" * 40, "filter"),
    ]
