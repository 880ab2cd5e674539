"""What a token is in prose, in program code and in LaTeX: three kernels with one signature, and the choice by source.

Code loses its comments and layout, LaTeX its comments, spacing, sizes and grouping, so that a copy with another licence
header, another indentation or `\\left(` for `(` is a near copy. In both, operators are tokens: a+b is not a-b. A text
of which fewer than FEWEST tokens are left, such as a file of documentation, is read as prose. docs/dedup.md has the
whole definition; change `TOKENS` of openseek.data.minhash with it.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from openseek.data.kernel import inner
from openseek.data.words import code_point, word_table, words_of

PROSE, CODE, LATEX = 0, 1, 2
FEWEST = 20
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_OPERATOR_SEED = np.uint64(0xA0761D6478BD642F)
_COMMAND_SEED = np.uint64(0xE7037ED1A0B428DB)
_SILENT = (
    "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr limits nolimits displaystyle "
    "textstyle scriptstyle quad qquad thinspace medspace hfill noindent centering smallskip medskip bigskip nonumber "
    "notag label hspace vspace protect relax strut allowbreak linebreak"
)
_SAME = (("dfrac", "frac"), ("tfrac", "frac"), ("cfrac", "frac"), ("le", "leq"), ("ge", "geq"), ("ne", "neq"))
_SAME += (("to", "rightarrow"), ("dbinom", "binom"), ("tbinom", "binom"), ("lbrace", "{"), ("rbrace", "}"))


def kinds(sources: Sequence[str], code_sources: Sequence[str], latex_sources: Sequence[str]) -> np.ndarray:
    """Which lexer reads each document [N] uint8, by its source."""
    named = dict.fromkeys(code_sources, CODE) | dict.fromkeys(latex_sources, LATEX)
    encoded = pa.array(sources, pa.string()).dictionary_encode()
    by_name = np.array([named.get(name, PROSE) for name in encoded.dictionary.to_pylist()] or [PROSE], np.uint8)
    return by_name[encoded.indices.to_numpy()]


def _command(name: str) -> int:
    value = int(_COMMAND_SEED)
    for byte in name.encode():
        value = ((value ^ byte) * int(_FACTOR)) & (2**64 - 1)
        value ^= value >> 29
    return value


def _operators(characters: str) -> np.ndarray:
    table = np.zeros(128, np.bool_)
    table[list(characters.encode())] = True
    return table


# Brackets, commas, semicolons, quotes and everything outside ASCII are layout.
_CODE_OPERATORS = _operators("!#$%&*+-./:<=>?@\\^|~")
_LATEX_OPERATORS = _operators("!*+-/<=>^_|'")
_SILENT_COMMANDS = np.array(sorted(_command(name) for name in _SILENT.split()), np.uint64)
_RENAMED = np.array(sorted((_command(old), _command(new)) for old, new in _SAME), np.uint64)


@inner
def tokens_of(data, start, stop, kind, classes, folded, hashes, starts):
    """Hash the tokens of data[start:stop] into `hashes`, their byte positions into `starts`; returns their number.

    Both arrays need stop - start + 1 places.
    """
    count = 0
    if kind == CODE:
        count = _code(data, start, stop, classes, folded, hashes, starts)
    elif kind == LATEX:
        count = _latex(data, start, stop, classes, folded, hashes, starts)
    if count < FEWEST:
        count = words_of(data, start, stop, classes, folded, hashes, starts)
    return count


@inner
def _line_end(data, i, stop):
    while i < stop and data[i] != 10:
        i += 1
    return i


@inner
def _word(data, i, stop, classes, folded, latex):
    """(hash, end) of the word at i: letters and digits of any script; end is i where no word begins.

    In code an underscore is a letter and case counts; in LaTeX neither.
    """
    value, begin = np.uint64(0), i
    while i < stop:
        code, width = code_point(data, i, stop)
        kind = classes[code] if code < 0x20000 else np.uint8(2 if code < 0x40000 else 0)
        if kind == 0 or (kind == 2 and i > begin) or (kind == 3 and i == begin) or (latex and code == 95):
            break
        letter = np.uint64(folded[code] if latex and code < 0x20000 else code)
        i += width
        if kind != 3:
            value = (value ^ letter) * _FACTOR
            value ^= value >> np.uint64(29)
        if kind == 2:
            break
    return value, i


@inner
def _last_close(data, i, stop):
    """Where the last */ after i begins, or i where there is none."""
    end = stop - 2
    while end > i and not (data[end] == 42 and data[end + 1] == 47):
        end -= 1
    return end


@inner
def _comment_end(data, i, start, stop, last_close):
    """Where the comment of code that begins at i ends, or i where none begins."""
    byte = data[i]
    following = data[i + 1] if i + 1 < stop else np.uint8(10)
    if byte == 47 and following == 42 and i + 2 <= last_close:  # /* ... */
        end = i + 2
        while not (data[end] == 42 and data[end + 1] == 47):
            end += 1
        return end + 2
    if byte == 47 and following == 47 and (i == start or data[i - 1] != 58):  # // but not in http://
        return _line_end(data, i, stop)
    # A hash before a letter may be a directive of C (#include) or a colour, #![ is an attribute of Rust.
    if byte == 35 and (following == 32 or following == 35 or following == 10):
        return _line_end(data, i, stop)
    if byte == 35 and following == 33 and not (i + 2 < stop and data[i + 2] == 91):
        return _line_end(data, i, stop)
    return i


@inner
def _string_end(data, i, stop):
    """Where the string of code that begins at i ends on the same line, or i where it does not."""
    end = i + 1
    while end < stop and data[end] != 10:
        if data[end] == data[i]:
            return end + 1
        end += 2 if data[end] == 92 and end + 1 < stop and data[end + 1] != 10 else 1
    return i


@inner
def _code(data, start, stop, classes, folded, hashes, starts):
    count, i = 0, start
    # No comment begins before string_end, no string before unpaired: each scan ahead is made once.
    string_end, unpaired, last_close = start, start, start - 1
    while i < stop:
        byte = data[i]
        if byte < 48 and i >= string_end:  # quotes, # and / are all below
            if (byte == 34 or byte == 39) and i >= unpaired:
                string_end = _string_end(data, i, stop)
                if string_end == i:
                    unpaired = _line_end(data, i, stop)
            if byte == 47 and last_close < start:
                last_close = _last_close(data, i, stop)
            end = _comment_end(data, i, start, stop, last_close)
            if end > i:
                i = end
                continue
        value, end = _word(data, i, stop, classes, folded, False)
        if end > i:
            hashes[count], starts[count] = value, i
            count, i = count + 1, end
            continue
        if byte < 128 and _CODE_OPERATORS[byte]:
            hashes[count], starts[count] = (np.uint64(byte) ^ _OPERATOR_SEED) * _FACTOR, i
            count += 1
        i += code_point(data, i, stop)[1]
    return count


@inner
def _latex_command(data, i, stop):
    """(hash, end) of the command whose backslash stands at i; hash 0 where it says nothing."""
    value, end = _COMMAND_SEED, i + 1
    while end < stop and ((data[end] >= 65 and data[end] <= 90) or (data[end] >= 97 and data[end] <= 122)):
        value = (value ^ np.uint64(data[end])) * _FACTOR
        value ^= value >> np.uint64(29)
        end += 1
    if end == i + 1:  # \, \; \\ \( and their like are layout
        return np.uint64(0), min(end + 1, stop)
    for k in range(_SILENT_COMMANDS.shape[0]):
        if _SILENT_COMMANDS[k] == value:
            return np.uint64(0), end
    for k in range(_RENAMED.shape[0]):
        if _RENAMED[k, 0] == value:
            return _RENAMED[k, 1], end
    return value, end


@inner
def _latex(data, start, stop, classes, folded, hashes, starts):
    count, i = 0, start
    while i < stop:
        byte = data[i]
        if byte == 37:
            i = _line_end(data, i, stop)
            continue
        if byte == 92:
            value, end = _latex_command(data, i, stop)
            if end < stop and data[end - 1] >= 0x80:  # a backslash before a character of several bytes
                while end < stop and data[end] & 0xC0 == 0x80:
                    end += 1
            if value:
                hashes[count], starts[count] = value, i
                count += 1
            i = end
            continue
        value, end = _word(data, i, stop, classes, folded, True)
        if end > i:
            hashes[count], starts[count] = value, i
            count, i = count + 1, end
            continue
        if byte < 128 and _LATEX_OPERATORS[byte]:
            hashes[count], starts[count] = (np.uint64(byte) ^ _OPERATOR_SEED) * _FACTOR, i
            count += 1
        i += code_point(data, i, stop)[1]
    return count


def hash_tokens(text: str, kind: int) -> np.ndarray:
    """The token hashes (uint64) of one text."""
    encoded = text.encode()
    data = np.frombuffer(encoded or b"\0", np.uint8)
    hashes, starts = np.empty(len(encoded) + 1, np.uint64), np.empty(len(encoded) + 1, np.int64)
    return hashes[: tokens_of(data, 0, len(encoded), kind, *word_table(), hashes, starts)]
