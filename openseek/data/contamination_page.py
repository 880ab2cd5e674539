"""The page of contamination: a table of benchmarks, items beside documents that hold them; HTML and Markdown."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from openseek.data.ngrams import Decontaminate, item_label
from openseek.data.report_page import STYLE
from openseek.data.words import word_table, words_of

BEFORE, AFTER = 120, 300
"""Bytes of the document shown around an item."""
MOST_CHARACTERS = 1200
RUN = 3
"""Words in a row that item and excerpt must share to be marked; fewer where the item has fewer."""
HEAD = ("benchmark", "items", "only whole", "ignored", "one-word answers", "items found", "documents", "with answer")
COLUMNS = ("items", "short_items", "ignored_items", "one_word_answers", "items_hit", "documents_hit", "with_answer")
Table = Mapping[str, Mapping[str, int]]


@dataclasses.dataclass(frozen=True)
class Pair:
    """An item beside a document that holds it."""

    benchmark: str
    item: int
    overlap: float
    with_answer: bool | None
    question: str
    answer: str
    document: str
    """Id of the document."""
    url: str
    before: str
    excerpt: str
    """The item's span in the document."""
    after: str


def excerpts(text: str, start: int, stop: int) -> tuple[str, str, str]:
    """(what stands before bytes [start, stop) of a text, they, what stands after), cut to what a page shows."""
    raw = text.encode()
    parts = raw[max(0, start - BEFORE) : start], raw[start:stop], raw[stop : stop + AFTER]
    before, held, after = (part.decode(errors="ignore") for part in parts)
    return ("… " if start > BEFORE else "") + before, held, after + (" …" if stop + AFTER < len(raw) else "")


def page(title: str, table: Table, pairs: Sequence[Pair], config: Decontaminate) -> str:
    """The whole page; equal input gives equal bytes."""
    rows = [[name, *(values[column] for column in COLUMNS)] for name, values in table.items()]
    cells = "".join(f"<th{_number(i)}>{escape(name)}</th>" for i, name in enumerate(HEAD))
    lines = [f"<tr>{cells}</tr>"]
    for row in rows:
        cells = "".join(f"<td{_number(i)}>{escape(_shown(value))}</td>" for i, value in enumerate(row))
        lines.append(f"<tr>{cells}</tr>")
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(_policy(config))}</p>",
        "<table>\n" + "\n".join(lines) + "\n</table>",
        f"<p>{escape(NOTE)}</p>",
    ]
    for name in table:
        own = [pair for pair in pairs if pair.benchmark == name]
        if own:
            parts += [f'<h2 id="{escape(name)}">{escape(name)}</h2>', *map(_side_by_side, own)]
    style = STYLE + PAIR_STYLE
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


NOTE = (
    "Only whole: items too short or too common in their words to be known inside a text; they are found where such an "
    "item is the whole document. Ignored: items without a question, or with one of one word. Items found and documents "
    "count each item and each document once; with answer: documents in which an item stands with its answer."
)
PAIR_STYLE = """
.pair { table-layout: fixed; width: 100%; } .pair td { width: 50%; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .85rem; } mark { background: #ffe9a8; } .dim { color: #7a838f; }
"""


def markdown(title: str, table: Table, pairs: Sequence[Pair], config: Decontaminate) -> str:
    """The table and the examples, for a terminal."""
    lines = [f"# {_plain(title)}", "", _policy(config), "", f"| {' | '.join(HEAD)} |", "|---|" + "---:|" * len(COLUMNS)]
    for name, values in table.items():
        lines.append(f"| {_plain(name)} | {' | '.join(f'{values[column]:,}' for column in COLUMNS)} |")
    lines += ["", NOTE]
    for pair in pairs:
        lines += ["", f"**{_plain(_caption(pair))}**", "", f"- item: {_plain(pair.question[:MOST_CHARACTERS])}"]
        before, excerpt, after = (_plain(part) for part in (pair.before, pair.excerpt[:MOST_CHARACTERS], pair.after))
        lines.append(f"- document: {before} **{excerpt}** {after}")
    return "\n".join(lines) + "\n"


def _number(column: int) -> str:
    return ' class="n"' if column else ""


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _policy(config: Decontaminate) -> str:
    done = {"drop": "such a document goes", "cut": "the item's span goes", "tag": "the document's metadata names it"}
    acted = "an item" if config.act_on == "question" else "an item with its answer"
    begin = f"its first {config.min_fragment:.0%}"
    return (
        f"Where {acted} is found, {done[config.policy]}. Found: {config.min_overlap:.0%} of an item's words in order, "
        f"or {begin}, with a weight of at least {config.min_bits:g} bits; all of it word for word from "
        f"{config.min_whole_bits:g} bits; {begin} as a sentence or line by itself from {config.min_alone_bits:g} bits."
    )


def _plain(text: str) -> str:
    """Text on one line of Markdown, where it stands for itself."""
    line = " ".join(text.split())
    for sign in "\\`*_[]|#":
        line = line.replace(sign, "\\" + sign)
    return escape(line, quote=False)


def _caption(pair: Pair) -> str:
    answer = {True: ", with its answer", False: ", without its answer", None: ""}[pair.with_answer]
    return f"{item_label(pair.benchmark, pair.item)}: {pair.overlap:.0%} in {pair.document}{answer} {pair.url}".rstrip()


def _side_by_side(pair: Pair) -> str:
    question, excerpt = pair.question[:MOST_CHARACTERS], pair.excerpt[:MOST_CHARACTERS]
    left, right = marked(question, excerpt)
    answer = f'\n<span class="dim">Answer: {escape(pair.answer[:AFTER])}</span>' if pair.answer else ""
    before, after = (f'<span class="dim">{escape(part)}</span>' for part in (pair.before, pair.after))
    return (
        f"<section><h3>{escape(_caption(pair))}</h3>\n"
        f'<table class="pair"><tr><th>item</th><th>document</th></tr>\n'
        f"<tr><td>{left}{answer}</td><td>{before}{right}{after}</td></tr></table></section>"
    )


def marked(left: str, right: str) -> tuple[str, str]:
    """Both texts escaped, with what stands in both (a few words in a row at least) between <mark> and </mark>."""
    (left_words, left_spans), (right_words, right_spans) = word_spans(left), word_spans(right)
    size = max(1, min(RUN, len(left_words), len(right_words)))
    left_common, right_common = _common(left_words, right_words, size)
    return _with_marks(left, left_spans, left_common), _with_marks(right, right_spans, right_common)


def _common(left: list[int], right: list[int], size: int) -> tuple[list[bool], list[bool]]:
    """Which words of both lie in a run of `size` words that both have."""
    runs = [{tuple(words[i : i + size]) for i in range(len(words) - size + 1)} for words in (left, right)]
    both = runs[0] & runs[1]
    flags = []
    for words in (left, right):
        flag = [False] * len(words)
        for i in range(len(words) - size + 1):
            if tuple(words[i : i + size]) in both:
                flag[i : i + size] = [True] * size
        flags.append(flag)
    return flags[0], flags[1]


def word_spans(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """(hashes of the words, their [start, stop) in bytes)."""
    raw = text.encode()
    data = np.frombuffer(raw or b"\0", np.uint8)
    hashes, starts = np.empty(len(raw) // 2 + 2, np.uint64), np.empty(len(raw) // 2 + 2, np.int64)
    count = words_of(data, 0, len(raw), *word_table(), hashes, starts)
    bounds = [*starts[:count].tolist(), len(raw)]
    spans = []
    for start, after in zip(bounds[:-1], bounds[1:], strict=True):
        piece = raw[start:after].decode()
        while len(piece) > 1 and not (piece[-1].isalnum() or piece[-1] == "_" or unicodedata.combining(piece[-1])):
            piece = piece[:-1]
        spans.append((start, start + len(piece.encode())))
    return hashes[:count].tolist(), spans


def _with_marks(text: str, spans: Sequence[tuple[int, int]], flags: Sequence[bool]) -> str:
    raw, parts, at = text.encode(), [], 0
    for i, (start, stop) in enumerate(spans):
        if not flags[i]:
            continue
        joined = i > 0 and flags[i - 1]
        parts.append(escape(raw[at:start].decode()))
        if not joined:
            parts.append("<mark>")
        parts.append(escape(raw[start:stop].decode()))
        if i + 1 == len(spans) or not flags[i + 1]:
            parts.append("</mark>")
        at = stop
    return "".join([*parts, escape(raw[at:].decode())])
