"""Unicode repair: one composed form, no control or invisible characters, no doubly encoded UTF-8."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from typing import TYPE_CHECKING

from openseek.data.transform import Transform, rewrite

if TYPE_CHECKING:
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
        """The batch with its texts repaired."""
        return rewrite(batch, self.within(batch), repair)


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
