"""Unicode repair: one composed form, no control or invisible characters, no doubly encoded UTF-8."""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from typing import TYPE_CHECKING

from openseek.data.transform import Transform, replace_column

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Carriage returns and the separators U+0085, U+2028 and U+2029 end lines; the rest shows nothing: controls, soft
# hyphens, zero-width spaces, byte order marks, direction marks. Joiners (U+200C, U+200D) shape words and stay.
LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")
BLANKS = re.compile("[\xa0\u2000-\u200a\u202f\u205f]")
# UTF-8 that was read as Windows-1252, as sound text hardly ever holds it: "Â" or "Ã" before a sign of
# the upper half; and "â€" or "â„" with a third sign (quotes, dashes, bullets, trade marks).
MOJIBAKE = re.compile("[ÂÃ][\x80-\xbf€‚ƒ„†‡ˆ‰Š‹ŒŽ˜™š›œžŸ]|â[€„][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
FULL_WIDTH = {0xFF01 + i - 0x21: i for i in (*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B))}
WIDE = re.compile("[０-９Ａ-Ｚａ-ｚ]")


@dataclasses.dataclass(frozen=True)
class NormalizeUnicode(Transform):
    """Give every character one form."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its texts repaired; only those that need it are read as Python strings, if at all."""
        import numpy as np
        import pyarrow as pa

        from openseek.data.spans import splice, string_column
        from openseek.data.unicode_kernels import BY_HAND, BY_TABLE, repaired, verdicts
        from openseek.data.words import string_buffers

        column = batch.column("text")
        buffer, offsets = string_buffers(column)
        flags, replacements = tables()
        found = np.zeros(len(column), np.uint8)
        verdicts(buffer, offsets, self.within(batch), flags, found)
        simple, hard = np.flatnonzero(found == BY_TABLE), np.flatnonzero(found == BY_HAND)
        if not len(simple) and not len(hard):
            return batch
        out = np.empty(int((offsets[simple + 1] - offsets[simple]).sum()), np.uint8)
        placed = np.zeros(len(simple) + 1, np.int64)
        size = repaired(buffer, offsets, simple, replacements, out, placed)
        by_hand = pa.array([repair(text) for text in column.take(pa.array(hard)).to_pylist()], pa.large_string())
        texts = pa.concat_arrays([string_column(out[:size], placed), by_hand])
        rows = np.concatenate([simple, hard])
        order = np.argsort(rows)
        rows, texts = rows[order], texts.take(pa.array(order))
        return replace_column(batch, "text", splice(column, offsets[rows], offsets[rows + 1], texts))


@functools.cache
def tables() -> tuple[np.ndarray, np.ndarray]:
    """(what `verdicts` wants to know of every code point, what `repaired` puts in its place), by the patterns."""
    import numpy as np

    from openseek.data import unicode_kernels as k

    flags = np.array(k.composition())
    replacements = np.zeros(0x10000, np.uint8)
    for code in range(0x10000):
        character = chr(code)
        new = FULL_WIDTH.get(code, k.KEEP)
        if LINE_ENDS.match(character):
            new = ord("\n")
        elif INVISIBLE.match(character):
            new = k.DROP
        elif BLANKS.match(character):
            new = ord(" ")
        replacements[code] = new
    flags[np.flatnonzero(replacements)] = k.CHANGE
    for name, flag in (("ÂÃ", k.FIRST_OF_TWO), ("â", k.FIRST_OF_THREE), ("€„", k.SECOND_OF_THREE)):
        flags[[ord(c) for c in name]] |= flag
    flags[[code for code in range(0x80, 0x2200) if MOJIBAKE.match("Ã" + chr(code))]] |= k.SECOND_OF_TWO
    return flags, replacements


def repair(text: str) -> str:
    """NFC with "\\n" line ends, plain blanks and half-width letters and digits; doubly encoded characters decoded."""
    text = LINE_ENDS.sub("\n", text)
    if text.isascii():
        return INVISIBLE.sub("", text)
    text = INVISIBLE.sub("", MOJIBAKE.sub(_decode_again, text))
    text = BLANKS.sub(" ", text)
    if WIDE.search(text):
        text = text.translate(FULL_WIDTH)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _decode_again(match: re.Match[str]) -> str:
    """The character that the matched ones were, or the match itself where they are no UTF-8."""
    raw = bytearray()
    for character in match.group():
        raw += character.encode("latin-1") if character <= "\xff" else character.encode("cp1252")
    decoded = raw.decode("utf-8", "ignore")
    return decoded if len(decoded) == 1 else match.group()
