"""Near copies as they come about: words and characters edited, parts replaced, code and LaTeX written another way."""

import random
import re
from collections.abc import Callable
from functools import partial

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
NAME = re.compile(r"\b[A-Za-z_]\w{2,}\b")
COMMENT = re.compile(r"^\s*(?://|#(?!\[|!\[|include|define|if|endif)|\*)")
LANGUAGE_WORDS = (
    "and as assert async await break case catch chan class const continue crate def default defer del do elif "
    "else enum except extern false False finally fn for from func global goto if impl import in interface is "
    "lambda let loop map match mod move mut None nonlocal not nil or package pass pub raise range ref return "
    "select self Self static str string struct super switch trait true True try type unsafe use var where "
    "while with yield "
)
KEYWORDS = frozenset(LANGUAGE_WORDS.split())
HEADERS = (
    ("Part of the example project.", "Free to use, copy, change and pass on, without any warranty."),
    ("SPDX-FileCopyrightText: the authors of this file", "SPDX-License-Identifier: MPL-2.0"),
    ("Copyright (c) by the contributors; see the file AUTHORS.", "Terms: the BSD licence, in the file LICENSE."),
)
MACROS = (
    (r"\left(", "("),
    (r"\right)", ")"),
    (r"\le ", r"\leq "),
    (r"\ge ", r"\geq "),
    (r"\ne ", r"\neq "),
    (r"\to ", r"\rightarrow "),
    (r"\mathbf", r"\bm"),
    (r"\frac", r"\dfrac"),
    (r"\ldots", r"\dots"),
    (r"\(", "$"),
    (r"\)", "$"),
)
WORD_RATES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
PART_RATES = (0.05, 0.1, 0.15, 0.2)
Edit = Callable[[str, float, random.Random, list[str]], str]
"""(text, rate, generator, other texts of the kind) to the edited text."""


def exact(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """The text itself."""
    return text


def scattered_words(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """Each word with chance `rate` deleted, replaced, or followed by another."""
    strange = generator.choice(others).split() or ["word"]
    parts = re.split(r"(\s+)", text)
    for i in range(0, len(parts), 2):
        if parts[i] and generator.random() < rate:
            other = generator.choice(strange)
            parts[i] = generator.choice(("", other, f"{parts[i]} {other}"))
    return "".join(parts)


def scattered_characters(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """Each Han character with chance `rate` deleted, replaced, or followed by another."""
    strange = HAN.findall(generator.choice(others)) or ["字"]

    def edited(character: re.Match[str]) -> str:
        if generator.random() >= rate:
            return character[0]
        other = generator.choice(strange)
        return generator.choice(("", other, character[0] + other))

    return HAN.sub(edited, text)


def replaced_part(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """One contiguous part, `rate` of the characters, replaced by as much of another text."""
    length = int(len(text) * rate)
    start = generator.randrange(len(text) - length + 1)
    other = generator.choice(others)
    begin = generator.randrange(max(1, len(other) - length))
    return text[:start] + other[begin : begin + length] + text[start + length :]


def renamed(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """A share `rate` of the identifiers of a program renamed, each the same everywhere."""
    names = sorted(set(NAME.findall(text)) - KEYWORDS)
    chosen = generator.sample(names, min(len(names), max(1, round(rate * len(names)))))
    ends = ("2", "New", "_value", "Of", "_old")
    mapping = {name: name + generator.choice(ends) for name in chosen}
    return NAME.sub(lambda name: mapping.get(name[0], name[0]), text)


def other_comments(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """Another licence header; each line of comment with chance `rate` gone."""
    lines = text.split("\n")
    mark = "#" if sum(line.lstrip().startswith("#") for line in lines) > text.count("//") else "//"
    header = [f"{mark} {line}" for line in generator.choice(HEADERS)]
    kept = [line for line in lines if not (COMMENT.match(line) and generator.random() < rate)]
    return "\n".join([*header, "", *kept])


def reformatted(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """A program with other indentation and blanks at ends of lines (a share `rate`), braces on lines of their own."""
    unit = generator.choice(("  ", "   ", "        "))
    lines = []
    for line in text.replace("\t", "    ").split("\n"):
        body = line.lstrip(" ")
        depth, rest = divmod(len(line) - len(body), 4)
        indent = unit * depth + " " * rest
        if body.endswith(" {") and generator.random() < rate:
            lines += [indent + body[:-2], indent + "{"]
        else:
            lines.append(indent + body + ("  " if body and generator.random() < rate else ""))
    return "\n".join(lines)


def rewrapped(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """LaTeX with each single line end with chance `rate` a blank, and each blank with a tenth of it a line end."""

    lines, parts = text.split("\n"), []
    for i, line in enumerate(lines):
        commented = "%" in line
        if not commented:
            line = re.sub(r"(?<=\S) (?=\S)", lambda _: "\n" if generator.random() < rate / 10 else " ", line)
        # A comment runs to the end of its line, and an empty line ends a paragraph: neither may be joined.
        after = lines[i + 1] if i + 1 < len(lines) else ""
        joins = not commented and "%" not in after and line.strip() and after.strip()
        parts += [line, " " if joins and generator.random() < rate else "\n"]
    return "".join(parts[:-1])


def respelled(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """Each occurrence of a LaTeX macro that has another spelling with chance `rate` spelled so."""
    for old, new in MACROS:
        text = re.sub(re.escape(old), lambda found, new=new: new if generator.random() < rate else found[0], text)
    return text


def with_latex_comments(text: str, rate: float, generator: random.Random, others: list[str]) -> str:
    """Each line with chance `rate` followed by a line of LaTeX comment."""
    strange = [line.replace("%", "") for line in generator.choice(others).split("\n") if line.strip()] or ["see above"]
    lines = []
    for line in text.split("\n"):
        lines += [line, f"% {generator.choice(strange)[:60]}"] if line and generator.random() < rate else [line]
    return "\n".join(lines)


EDITS: dict[str, tuple[tuple[str, Edit, tuple[float, ...]], ...]] = {
    "prose_en": (
        ("words", scattered_words, WORD_RATES),
        ("words", scattered_words, WORD_RATES),
        ("part", replaced_part, PART_RATES),
        ("part", replaced_part, PART_RATES),
        ("exact", exact, (0.0,)),
    ),
    "prose_zh": (
        ("characters", scattered_characters, WORD_RATES),
        ("characters", scattered_characters, WORD_RATES),
        ("part", replaced_part, PART_RATES),
        ("part", replaced_part, PART_RATES),
        ("exact", exact, (0.0,)),
    ),
    "code": (
        ("names", renamed, (0.02, 0.05, 0.1, 0.2)),
        ("comments", other_comments, (0.2, 0.5, 1.0)),
        ("white space", reformatted, (0.2, 1.0)),
        ("part", replaced_part, PART_RATES),
        ("exact", exact, (0.0,)),
    ),
    "math": (
        ("white space", rewrapped, (0.2, 1.0)),
        ("macros", respelled, (0.5, 1.0)),
        ("comments", with_latex_comments, (0.05, 0.2)),
        ("words", scattered_words, WORD_RATES),
        ("part", replaced_part, PART_RATES),
        ("exact", exact, (0.0,)),
    ),
}
"""Kind of document to (name of the edit, the edit, its rates); each copy draws one of these with equal chance."""


def draw(kind: str, generator: random.Random) -> tuple[str, float, Callable[[str, list[str]], str]]:
    """(name, rate, edit of a text given others of its kind) of a random edit for a kind of document."""
    name, edit, rates = generator.choice(EDITS[kind])
    rate = generator.choice(rates)
    return name, rate, partial(_apply, edit, rate, generator)


def _apply(edit: Edit, rate: float, generator: random.Random, text: str, others: list[str]) -> str:
    return edit(text, rate, generator, others)
