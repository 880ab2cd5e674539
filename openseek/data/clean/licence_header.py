"""Copyright and licence notices at the top of source files: taken out, the SPDX id kept in `meta`."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from openseek.data.transform import Transform, replace_column

if TYPE_CHECKING:
    import pyarrow as pa

SPDX = re.compile(r"SPDX-License-Identifier:\s*\(?([A-Za-z0-9.+\-]+(?:\s+(?:OR|AND|WITH)\s+[A-Za-z0-9.+\-]+)*)")
# What only a notice says, and what its other lines speak of.
NOTICE = re.compile(
    r"copyright\b.{0,40}(?:\d{4}|©|\(c\)|by\b)|©\s*\d{4}|\(c\)\s*\d{4}|SPDX-License-Identifier|SPDX-FileCopyrightText"
    r"|all rights reserved|licensed (?:under|to)|(?:released|distributed|available) under (?:the|an?)\b.{0,60}"
    r"licen[cs]e"
    r"|permission is hereby granted|redistribution and use in source|this (?:file|program|software|library) is (?:free"
    r"|part of|licensed|distributed)|without warrant|you may not use this file|GNU (?:Lesser |Affero )?General Public"
    r"|mozilla public license|use of this source code is governed|版权所有|许可证",
    re.IGNORECASE,
)
LEGAL = re.compile(
    r"\b(?:licen[cs]e|licen[cs]ed|copyright|warrant(?:y|ies)|liab(?:le|ility)|redistribut\w+|permission|merchantability|"
    r"conditions|notice|rights|foundation|distributed|express|implied|damages|author)\b|版权|许可",
    re.IGNORECASE,
)
FIRST = re.compile(r"#!|#.{0,40}coding[:=]|<\?(?:xml|php)|//go:build|// \+build|# frozen_string_literal", re.IGNORECASE)
LINE_MARKS = ("#", "//", "--", ";", "%")
BLOCKS = (("/*", "*/"), ("<!--", "-->"), ('"""', '"""'), ("'''", "'''"), ("{-", "-}"), ("(*", "*)"))
HEAD_CHARACTERS = 12_000
LEAST_WORDS = 4
"""What is left of a comment with fewer words goes with its notice."""
WORD = re.compile(r"\w+")
PARAGRAPH = re.compile(r"\n[\s*#/;%\-]*\n")


@dataclasses.dataclass(frozen=True)
class StripLicenceHeader(Transform):
    """Take leading comments that are copyright or licence notices out of source code.

    Shebangs, encoding lines, and comments or docstrings that say something else stay; of a comment that says both,
    the paragraphs of the notice go.
    """

    sources: tuple[str, ...] = ("code",)
    """Only documents of these sources."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without those headers; meta: "spdx" where the header names it."""
        import numpy as np
        import pyarrow as pa

        from openseek.data.masking import add_to_meta

        rows = np.flatnonzero(self.within(batch)).tolist()
        if not rows:
            return batch
        column, notes = batch.column("text"), {}
        texts = column.to_pylist()
        for row in rows:
            if spdx := SPDX.search(texts[row], 0, HEAD_CHARACTERS):
                notes[row] = {"spdx": spdx[1].strip()}
            texts[row] = strip(texts[row])
        return add_to_meta(replace_column(batch, "text", pa.array(texts, column.type)), notes)


def strip(text: str) -> str:
    """The text without the notices among its leading comments; what is kept stays as it was."""
    kept: list[str] = []
    at, changed = 0, False
    while True:
        head = text[at : at + HEAD_CHARACTERS]
        begin = at + len(head) - len(head.lstrip())
        size = _comment(text[begin : begin + HEAD_CHARACTERS]) if begin < HEAD_CHARACTERS else 0
        if not size:
            break
        comment = text[begin : begin + size]
        left = comment if FIRST.match(comment) else _without_notice(comment)
        changed |= left != comment
        kept += [text[at:begin], left] if left else []
        at = begin + size
    result = "".join(kept) + text[at:]
    return result.lstrip("\r\n") if changed else text


def _comment(text: str) -> int:
    """Characters of the comment that `text` starts with, 0 where there is none."""
    line = text.partition("\n")[0]
    if FIRST.match(line):
        return len(line)
    for begin, end in BLOCKS:
        if text.startswith(begin):
            stop = text.find(end, len(begin), HEAD_CHARACTERS)
            return stop + len(end) if stop >= 0 else 0
    for mark in LINE_MARKS:
        if text.startswith(mark) and not (mark == "#" and re.match(r"#\s*(?:include|define|pragma|if|import)\b", text)):
            size = 0
            for each in text.splitlines(keepends=True):
                if not each.lstrip(" \t").startswith(mark):
                    break
                size += len(each)
            return len(text[:size].rstrip())
    return 0


def _without_notice(comment: str) -> str:
    """The comment without the paragraphs from the first to the last of a notice; empty where little is left."""
    if not NOTICE.search(comment):
        return comment
    begin, end = next((pair for pair in BLOCKS if comment.startswith(pair[0])), ("", ""))
    body = comment[len(begin) : len(comment) - len(end)]
    gaps = [match.span() for match in PARAGRAPH.finditer(body)]
    starts, stops = [0, *(gap[1] for gap in gaps)], [*(gap[0] for gap in gaps), len(body)]
    notices = [i for i, span in enumerate(zip(starts, stops, strict=True)) if _is_notice(body[slice(*span)])]
    first, last = notices[0], notices[-1]
    before = body[: stops[first - 1]] if first else "\n" if body.startswith("\n") else ""
    after = body[stops[last] if first else starts[last + 1] :] if last + 1 < len(starts) else ""
    if len(WORD.findall(before)) + len(WORD.findall(after)) < LEAST_WORDS:
        return ""
    tail = body[len(body.rstrip(" \n")) :] if not after and end else ""
    return begin + before + after + tail + end


def _is_notice(paragraph: str) -> bool:
    """A paragraph with the words of a notice, or thick with the words of the law."""
    legal, size = len(LEGAL.findall(paragraph)), len(WORD.findall(paragraph))
    return bool(NOTICE.search(paragraph)) or (legal >= 2 and legal / max(size, 1) > 0.03)
