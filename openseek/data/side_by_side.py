"""Two texts beside each other: which runs of words they share, in time that grows with their length alone.

Anchors are runs of five words that stand once in either text. The longest chain of them that ascends in both is kept
(patience alignment, after Bram Cohen), and each is extended word by word. Words are those of openseek.data.words: case
and accents do not count, and a Han character is one.
"""

import re
from typing import NamedTuple

import numpy as np
from numba import njit

from openseek.data.words import SEPARATOR, TABLE_SIZE, grams_of, word_table, words_of

ANCHOR = 5
"""Words of an anchor."""
CONTEXT = 200
"""Characters shown on both sides of a passage."""
_LOCATED = 64
_SLACK = 40  # about as much as the count of what is left out takes
# What moves the cursor, starts an escape sequence or turns the direction of the line around it.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class Piece(NamedTuple):
    """A part of both texts, in order."""

    equal: bool
    """Whether their words are the same."""
    left: str
    right: str


class Words(NamedTuple):
    """The words of one text."""

    raw: bytes
    hashes: np.ndarray
    starts: np.ndarray
    """Byte where each begins."""

    def stop(self, word: int) -> int:
        """Byte behind a word, without what separates it from the next one."""
        start = int(self.starts[word])
        limit = int(self.starts[word + 1]) if word + 1 < len(self.starts) else len(self.raw)
        classes = word_table()[0]
        at = start
        for character in self.raw[start : min(limit, start + 4096)].decode(errors="ignore"):
            code = ord(character)
            if code < TABLE_SIZE and classes[code] == SEPARATOR:
                break
            at += len(character.encode())
        return at if at < start + 4093 else limit

    def between(self, start: int, stop: int) -> str:
        """The text between two bytes."""
        return self.raw[start:stop].decode(errors="replace")


def words_in(text: str) -> Words:
    """The words of a text, with where they begin."""
    raw = text.encode(errors="replace")
    places = len(raw) // 2 + 2
    hashes, starts = np.empty(places, np.uint64), np.empty(places, np.int64)
    count = words_of(np.frombuffer(raw or b"\0", np.uint8), 0, len(raw), *word_table(), hashes, starts)
    return Words(raw, hashes[:count], starts[:count])


def align(left: np.ndarray, right: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs (place in left, place in right, words) that two sequences of word hashes share, ascending in both."""
    first, second = _anchors(left), _anchors(right)
    _, i, j = np.intersect1d(first[0], second[0], assume_unique=True, return_indices=True)
    i, j = first[1][i], second[1][j]
    order = np.argsort(i)
    i, j = i[order], j[order]
    chain = _ascending(j)
    heads = _heads(i[chain], j[chain])
    runs: list[tuple[int, int, int]] = []
    low, other = 0, 0  # words behind the last run
    for a, b, size in [*heads, (len(left), len(right), 0)]:
        lead = _equal(left[low:a], right[other:b])
        if lead and runs and runs[-1][0] + runs[-1][2] == low and runs[-1][1] + runs[-1][2] == other:
            runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + lead)
        elif lead:
            runs.append((low, other, lead))
        low, other = low + lead, other + lead
        skipped = max(0, low - a, other - b)
        back = _equal(left[low:a][::-1], right[other:b][::-1]) if not skipped else 0
        if size + back - skipped > 0:
            runs.append((a - back + skipped, b - back + skipped, size + back - skipped))
            low, other = a + size, b + size
    return runs


def _anchors(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(hashes, places) of the runs of five words that stand once in a text."""
    grams = np.empty(max(len(words), 1), np.uint64)
    grams = grams[: grams_of(words, len(words), ANCHOR, grams)]
    found, places, counts = np.unique(grams, return_index=True, return_counts=True)
    return found[counts == 1], places[counts == 1]


@njit(nogil=True, cache=True)
def _ascending(values: np.ndarray) -> np.ndarray:
    """Indices of the longest strictly ascending subsequence."""
    count = values.shape[0]
    tails, before = np.empty(count, np.int64), np.empty(count, np.int64)
    length = 0
    for k in range(count):
        low, high = 0, length
        while low < high:
            middle = (low + high) // 2
            if values[tails[middle]] < values[k]:
                low = middle + 1
            else:
                high = middle
        before[k] = tails[low - 1] if low else -1
        tails[low] = k
        length = max(length, low + 1)
    chain = np.empty(length, np.int64)
    at = tails[length - 1] if length else -1
    for k in range(length - 1, -1, -1):
        chain[k] = at
        at = before[at]
    return chain


def _heads(i: np.ndarray, j: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs of words from anchors: neighbours of one diagonal that touch are one run."""
    if not len(i):
        return []
    new = np.ones(len(i), bool)
    new[1:] = (i[1:] - j[1:] != i[:-1] - j[:-1]) | (i[1:] - i[:-1] > ANCHOR)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(i)) - 1
    return list(zip(i[first].tolist(), j[first].tolist(), (i[last] - i[first] + ANCHOR).tolist(), strict=True))


def _equal(left: np.ndarray, right: np.ndarray) -> int:
    """Words from the beginning on that are the same."""
    size = min(len(left), len(right))
    differ = np.flatnonzero(left[:size] != right[:size])
    return int(differ[0]) if len(differ) else size


def pieces(left: str, right: str) -> list[Piece]:
    """Both texts cut into parts, those they share and those in which they differ."""
    a, b = words_in(left), words_in(right)
    return _pieces(a, b, align(a.hashes, b.hashes))


def _pieces(a: Words, b: Words, runs: list[tuple[int, int, int]]) -> list[Piece]:
    found: list[Piece] = []
    at, other = 0, 0
    for i, j, size in runs:
        start, begin = int(a.starts[i]), int(b.starts[j])
        _add(found, False, a.between(at, start), b.between(other, begin))
        at, other = a.stop(i + size - 1), b.stop(j + size - 1)
        _add(found, True, a.between(start, at), b.between(begin, other))
    _add(found, False, a.between(at, len(a.raw)), b.between(other, len(b.raw)))
    return found


def _add(found: list[Piece], equal: bool, left: str, right: str) -> None:
    """Take in a piece; signs between words are equal where they are the same on both sides."""
    if not left.strip() and not right.strip():
        return
    equal = equal or left.split() == right.split()
    if equal and found and found[-1].equal:
        left, right = found[-1].left + left, found.pop().right + right
    found.append(Piece(equal, left, right))


def passage(text: str, start: int, stop: int, partner: str | None) -> list[Piece]:
    """A passage, given by bytes of `text`, in its context beside the passage of `partner` that it repeats."""
    raw = text.encode(errors="replace")
    before, cut, after = (raw[a:b].decode(errors="replace") for a, b in ((0, start), (start, stop), (stop, len(raw))))
    if partner is None:
        return _framed(before, [Piece(False, cut, "")], after, "", "")
    a, b = words_in(cut), words_in(partner)
    low, high = locate(a.hashes, b.hashes)
    if low == high:
        return _framed(before, [Piece(False, cut, "")], after, "", "")
    begin, end = int(b.starts[low]), b.stop(high - 1)
    head, tail = a.raw[: a.starts[0]], a.raw[a.stop(len(a.starts) - 1) :]
    begin -= len(head) if b.raw[:begin].endswith(head) else 0
    end += len(tail) if b.raw[end:].startswith(tail) else 0
    inside = pieces(cut, b.between(begin, end))
    return _framed(before, inside, after, b.between(0, begin), b.between(end, len(b.raw)))


def _framed(before: str, inside: list[Piece], after: str, partner_before: str, partner_after: str) -> list[Piece]:
    found: list[Piece] = []
    _add(found, False, _end_of(before), _end_of(partner_before))
    found += inside
    _add(found, False, _start_of(after), _start_of(partner_after))
    return found


def _end_of(text: str) -> str:
    return text if len(text) <= CONTEXT else "… " + text[-CONTEXT:]


def _start_of(text: str) -> str:
    return text if len(text) <= CONTEXT else text[:CONTEXT] + " …"


def locate(part: np.ndarray, whole: np.ndarray) -> tuple[int, int]:
    """Words [low, high) of `whole` that hold `part`, or most of it; low == high where they share nothing."""
    if not len(part):
        return 0, 0
    size = min(len(part), _LOCATED)
    places = np.arange(max(0, len(whole) - len(part) + 1))
    for k in range(size):
        places = places[whole[places + k] == part[k]]
        if not len(places):
            break
    for place in places[:_LOCATED].tolist():
        if np.array_equal(whole[place : place + len(part)], part):
            return place, place + len(part)
    runs = align(part, whole)
    return (runs[0][1], runs[-1][1] + runs[-1][2]) if runs else (0, 0)


def shortened(text: str, most: int) -> str:
    """The text on one line, its middle left out with a count where it has more characters than `most`."""
    line = " ".join(text.split())
    if len(line) <= most + _SLACK:
        return line
    head = most * 2 // 3
    tail = most - head
    return f"{line[:head]} … {len(line) - most:,} characters … {line[-tail:]}"


def shorter(found: list[Piece], most_pieces: int, most_characters: int) -> list[Piece]:
    """Pieces with their texts shortened; where there are more than `most_pieces`, a count stands for those between."""
    shown = [Piece(p.equal, shortened(p.left, most_characters), shortened(p.right, most_characters)) for p in found]
    left_out = len(found) - most_pieces
    if left_out <= 0:
        return shown
    head = most_pieces - most_pieces // 3
    gap = f"… {left_out:,} more parts …"
    return [*shown[:head], Piece(False, gap, gap), *shown[head + left_out :]]


def common_share(found: list[Piece]) -> float:
    """Share of the left text's characters that the right one has too."""
    whole = sum(len(p.left) for p in found)
    return sum(len(p.left) for p in found if p.equal) / whole if whole else 0.0


def visible(text: str) -> str:
    """The text with characters that command a terminal written as their code; line breaks and tabs stay."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
