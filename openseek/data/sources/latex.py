"""LaTeX: the body of a document with the files that it inputs, whole or by chapters; formulas stay as they are."""

import os
import posixpath
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.data.sources.chapters import Chapter, Unreadable, documents_only, plain_text, to_items, whole
from openseek.data.sources.record import Item, Limits, Skipped
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

MAX_DEPTH = 10
TITLE_CHARACTERS = 500
# What is read of a file to see whether it is a document of its own, and which parts it inputs.
PARTS_BYTES = 1 << 20
VERBATIM = ("verbatim", "verbatim*", "Verbatim", "lstlisting", "minted", "alltt")
TOKEN = re.compile(
    r"(?P<escape>\\[\\%])"
    r"|(?P<comment>%[^\n]*(?:\n(?![ \t]*\n)[ \t]*)?)"
    rf"|\\begin\{{(?P<kept>{'|'.join(map(re.escape, VERBATIM))}|comment)\}}"
    r"|(?P<off>\\iffalse\b)"
    r"|(?P<verb>\\verb\*?([^\sA-Za-z*])[^\n]{0,300}?\6)"
)
INPUT = re.compile(r"\\(?:input|include|subfile|subfileinclude)\s*\{([^{}\n]{1,300})\}|\\input\s+([\w./-]{1,300})")
CLASS = re.compile(r"\\documentclass\s*(?:\[[^\]]*\])?\s*\{([^{}]*)\}")
BEGIN, END = re.compile(r"\\begin\s*\{document\}"), re.compile(r"\\end\s*\{document\}")
CITE = re.compile(r"[~ ]?\\(?:no|text|paren|auto|foot|full)?[cC]ite[a-zA-Z]*\*?(?:\[[^\]\n]*\]){0,2}\{[^{}]*\}")
LABEL = re.compile(r"\\label\s*\{[^{}]*\}")
FURNITURE = re.compile(
    r"^[ \t]*\\(?:maketitle|tableofcontents|listoffigures|listoftables|frontmatter|mainmatter|backmatter|newpage"
    r"|clearpage|cleardoublepage|printindex|printbibliography|(?:bibliography|bibliographystyle|pagestyle|thispagestyle)\{[^{}]*\})"
    r"[ \t]*\n?",
    re.MULTILINE,
)
KEPT = re.compile("\x01([0-9]+)\x02")


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """An item a `\\chapter`, with split=chapter a `\\section` where there is none, or one a file. Position: its number.

    A file that another one below the source root inputs is dropped (rule input_elsewhere): it is read there.
    """
    documents_only(path, source, "latex")
    if main := _main_of(path):
        yield Skipped(0, "input_elsewhere", detail=main)
        return
    yield from to_items(_chapters(path, source.split, limits), source, limits)


def _chapters(path: RawFile, split: str, limits: Limits) -> Iterator[Chapter]:
    tree = _Tree(path, limits)
    text = tree.expand(plain_text(whole(path, limits)), path.relative, 0)
    body = _body(text)
    meta: dict[str, Any] = {"path": path.relative, "inputs": tree.read, "inputs_missing": tree.missing}
    for name in ("title", "author"):
        meta[name] = " ".join(_argument(text, name).replace("\\\\", " ").split())
    cuts = list(_headings(body, "chapter")) if split != "file" else []
    if split == "chapter" and not cuts:
        cuts = list(_headings(body, "section"))
    starts = [0, *(start for start, _ in cuts)]
    for (start, title), end in zip([(0, ""), *cuts], [*starts[1:], len(body)], strict=True):
        part = tree.tidy(body[start:end])
        if part or start or not cuts:
            yield Chapter(part, {**meta, "chapter": title})


class _Tree:
    """A document and what it inputs: below the source root, to a bounded depth and size."""

    def __init__(self, path: RawFile, limits: Limits) -> None:
        self.read: list[str] = []
        self.missing: list[str] = []
        self._kept: list[str] = []
        self._root = _root(path)
        self._main = posixpath.dirname(path.relative)
        self._limit = self._left = limits.record_bytes

    def expand(self, text: str, relative: str, depth: int) -> str:
        """The text without comments, its verbatim parts put aside, its inputs in their places."""
        self._left -= len(text)
        if self._left < 0:
            raise Unreadable(f"the document with its inputs is longer than {self._limit} bytes (max_record_bytes)")
        return INPUT.sub(lambda match: self._input(match, relative, depth), _scan(text, self._kept))

    def _input(self, match: re.Match[str], relative: str, depth: int) -> str:
        name = (match.group(1) or match.group(2)).strip()
        found = _find(self._root, (self._main, posixpath.dirname(relative)), name) if depth < MAX_DEPTH else None
        if self._root is None or found is None:
            self.missing.append(name)
            return match.group()
        if found.stat().st_size > self._left:
            raise Unreadable(f"the document with its inputs is longer than {self._limit} bytes (max_record_bytes)")
        inner = str(found.relative_to(self._root))
        self.read.append(inner)
        return _body(self.expand(plain_text(found.read_bytes()), inner, depth + 1))

    def tidy(self, text: str) -> str:
        """Without references and commands that print nothing to read; verbatim parts back in their places."""
        text = FURNITURE.sub("", LABEL.sub("", CITE.sub("", text)))
        text = re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+(?=\n)", "", text)).strip()
        return KEPT.sub(lambda match: self._kept[int(match.group(1))], text)


def _scan(text: str, kept: list[str]) -> str:
    """Without comments and what is switched off; verbatim parts go to `kept` and leave a mark with their number."""
    # The marks are made of control characters, which no text needs.
    text = text.replace("\x01", "")
    parts, cursor, missing = [], 0, set()
    for match in TOKEN.finditer(text):
        if match.start() < cursor:
            continue
        kind = match.lastgroup
        if kind == "escape":
            continue
        parts.append(text[cursor : match.start()])
        cursor = match.end()
        if kind == "verb":
            kept.append(match.group())
            parts.append(f"\x01{len(kept) - 1}\x02")
        elif kind != "comment":
            name = match.group("kept")
            closing = f"\\end{{{name}}}" if name else "\\fi"
            # After one search to the end in vain there is nothing more to find.
            end = -1 if closing in missing else text.find(closing, cursor)
            if end < 0:
                missing.add(closing)
                parts.append(match.group())
                continue
            cursor = end + len(closing)
            if name and name != "comment":
                kept.append(text[match.start() : cursor])
                parts.append(f"\x01{len(kept) - 1}\x02")
    parts.append(text[cursor:])
    return "".join(parts)


def _body(text: str) -> str:
    """What stands between \\begin{document} and \\end{document}; without them all of it."""
    begin = BEGIN.search(text)
    if begin is None:
        return text
    end = END.search(text, begin.end())
    return text[begin.end() : end.start() if end else len(text)]


def _headings(text: str, name: str) -> Iterator[tuple[int, str]]:
    """(offset, title) of the headings of one level."""
    for match in re.finditer(rf"\\{name}\*?\s*(?:\[[^\]\n]*\])?\s*\{{", text):
        yield match.start(), " ".join(_braced(text, match.end()).split())


def _argument(text: str, name: str) -> str:
    """What \\name{...} says; papers say it before or behind \\begin{document}."""
    match = re.search(rf"\\{name}\s*(?:\[[^\]\n]*\])?\s*\{{", text)
    return _braced(text, match.end()) if match else ""


def _braced(text: str, start: int) -> str:
    """The text up to the brace that closes the one before `start`."""
    depth = 1
    for offset, character in enumerate(text[start : start + TITLE_CHARACTERS]):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[start : start + offset]
    return ""


def _root(path: RawFile) -> Path | None:
    """The source root of a local file; None for remote ones, whose inputs are not followed."""
    if "://" in path.url:
        return None
    return Path(os.path.abspath(path.url)).parents[path.relative.count("/")]


def _find(root: Path | None, folders: tuple[str, ...], name: str) -> Path | None:
    """The file that an input means, seen from the main document's folder or its own; None outside the root."""
    if root is None or "\0" in name:
        return None
    for folder in folders:
        for ending in ("", ".tex") if posixpath.splitext(name)[1] else (".tex", ""):
            found = Path(os.path.normpath(root / folder / (name + ending)))
            # Links may point anywhere: what counts is where they end.
            if found.is_relative_to(root) and found.is_file() and found.resolve().is_relative_to(root.resolve()):
                return found
    return None


def _main_of(path: RawFile) -> str:
    """The document, in this folder or one above it, that inputs this file; "" when there is none."""
    root = _root(path)
    if root is None or _is_main(Path(path.url)):
        return ""
    folder = Path(os.path.abspath(path.url)).parent
    while folder.is_relative_to(root):
        for main in sorted(folder.glob("*.tex")):
            if _is_main(main) and Path(os.path.abspath(path.url)) in _parts(root, main, main.stat().st_mtime_ns):
                return str(main.relative_to(root))
        if folder == root:
            break
        folder = folder.parent
    return ""


def _is_main(path: Path) -> bool:
    found = CLASS.search(_readable(path))
    return found is not None and found.group(1).strip() != "subfiles"


@lru_cache(maxsize=256)
def _parts(root: Path, main: Path, changed: int) -> frozenset[Path]:
    """All files that a document inputs, directly or through others; `changed` keeps the cache true."""
    todo, found = [(main, 0)], set()
    folder = str(main.parent.relative_to(root))
    while todo:
        path, depth = todo.pop()
        for match in INPUT.finditer(_scan(_readable(path), [])):
            name = (match.group(1) or match.group(2)).strip()
            inner = _find(root, (folder, str(path.parent.relative_to(root))), name)
            if inner is not None and inner not in found and depth < MAX_DEPTH:
                found.add(inner)
                todo.append((inner, depth + 1))
    return frozenset(found)


def _readable(path: Path) -> str:
    """The text of a file for looking into; what is no text says nothing."""
    with open(path, "rb") as file:
        return file.read(PARTS_BYTES).decode("utf-8", "replace")
