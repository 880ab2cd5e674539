"""Lists of words and of addresses as files: one entry a line, lines with # are comments, plain, gzip or zstd."""

from __future__ import annotations

import collections
import dataclasses
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from openseek.artifact import raw_files

OWN = Path(__file__).parent / "lists"
"""The lists that come with the project."""
# Marks around an entry that belong to the list's form: separators, byte order marks, the star of "this and more".
FRAME = " \t\r\u3000\xa0\ufeff,，;；、*"
ALTERNATIVES = re.compile(r"\s*[|,，]\s*")
# "a+b", "a=b", "a=>b" in filters of chat servers: several words together, or a replacement.
COMPOUND = re.compile(r"\S\s*[+=]>*\s*\S")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def lines(path: str) -> Iterator[str]:
    """The entries of all files that a raw path names, stripped, without comments and empty lines."""
    import zstandard

    for file in raw_files(path)[1]:
        with open(file, "rb") as raw:
            head = raw.read(4)
            raw.seek(0)
            if head[:2] == b"\x1f\x8b":
                content = gzip.decompress(raw.read())
            elif head == b"\x28\xb5\x2f\xfd":
                content = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True).read()
            else:
                content = raw.read()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{file} is no UTF-8 text ({error}): convert the list to UTF-8") from error
        for line in io.StringIO(text, newline=None):
            entry = line.strip()
            if entry and not entry.startswith("#"):
                yield entry


def stamp(*paths: str) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of each file of some raw paths, "" for none: what tells a changed list from the one read."""
    files = [file for path in paths if path for file in raw_files(path)[1]]
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


@dataclasses.dataclass(frozen=True)
class Entries:
    """The words of a list that can be looked for, and how many could not, by reason."""

    words: tuple[str, ...]
    """Each once, in the order of the list."""
    read: int
    """Lines read."""
    repeated: int
    """Words that the list holds again."""
    rejected: dict[str, int]
    """Entries left out, by reason."""

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.rejected.items()))
        return f"{self.read} lines, {len(self.words)} words, {self.repeated} repeated; left out: {reasons or 'none'}"


def words(entries: Iterable[str], *, min_characters: int = 2, min_latin_characters: int = 3) -> Entries:
    """The words of published lists: the column before a tab, both sides of `|` and commas, without marks around.

    Left out and counted: compounds ("a+b", "a=b"), which are no text; entries with control characters; such without a
    letter or digit; single characters; entries of ASCII letters and digits below `min_latin_characters`, others below
    `min_characters`; and such longer than the automaton takes.
    """
    from openseek.data.word_automaton import MAX_CHARACTERS

    found: dict[str, None] = {}
    rejected: collections.Counter[str] = collections.Counter()
    read = used = 0
    for line in entries:
        read += 1
        for part in ALTERNATIVES.split(line.partition("\t")[0].strip(FRAME)):
            word = part.strip(FRAME)
            if reason := _unfit(word, min_characters, min_latin_characters, MAX_CHARACTERS):
                rejected[reason] += 1
            else:
                used += 1
                found[word] = None
    return Entries(tuple(found), read, used - len(found), dict(rejected))


def _unfit(word: str, min_characters: int, min_latin_characters: int, max_characters: int) -> str:
    """Why a word cannot be looked for; empty when it can."""
    if CONTROL.search(word):
        return "with control characters"
    if COMPOUND.search(word):
        return "compounds"
    if not any(map(str.isalnum, word)):
        return "without a letter or digit"
    if len(word) == 1:
        return "single characters"
    if len(word) < (min_latin_characters if word.isascii() else min_characters):
        return "too short"
    return "too long" if len(word) > max_characters else ""
