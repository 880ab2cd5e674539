"""What the kernels know of every code point, as one table of bits, and text decoded to code points with their bits.

Letters, digits, marks and signs follow Unicode's categories. Beside them stand the roles that a character plays when
English is split into words (english_words.py): which signs come off the front or the back of a word, which end a
sentence, which separate lines.
"""

import functools
import unicodedata

import numpy as np

from openseek.data.kernel import inner
from openseek.data.words import TABLE_SIZE, code_point

(
    SPACE, LINE_BREAK, LETTER, IDEOGRAPH, NUMBER, MARK, SIGN, PUNCTUATION, DIGIT, UNSPACED, ALPHA, LOWER, UPPER,
    OPENER, CLOSER, QUOTE, ICON, CURRENCY, BEFORE_PERIOD, JOINER, SYMBOL, TERMINAL, HOST,
) = (1 << bit for bit in range(23))  # fmt: skip
"""SPACE and LINE_BREAK as Python's str.isspace and str.splitlines have them. LETTER, NUMBER, MARK, SIGN and PUNCTUATION
are the categories L, N, M, P or S, and P; IDEOGRAPH is a letter of Han or Kana, UNSPACED one of any script written
without spaces; DIGIT is 0-9. ALPHA, LOWER and UPPER are letters of the scripts that the splitting knows, a letter
without case being both. OPENER and CLOSER come off a word; BEFORE_PERIOD lets the period behind it come off; JOINER may
stand between two words written as one. SYMBOL makes no word by itself, TERMINAL ends a sentence in some script, HOST
may stand in a host name."""

IDEOGRAPH_RANGES = ((0x3041, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF))
_UNSPACED_RANGES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), *IDEOGRAPH_RANGES)
# Latin, Greek and Cyrillic letters of living languages: the blocks' letters with case, fullwidth forms included.
_CASED_RANGES = (
    (0x41, 0x7A), (0xC0, 0x1BF), (0x1C4, 0x2AF), (0x386, 0x3CE), (0x400, 0x45F), (0x1E00, 0x1EFF),
    (0x2C60, 0x2C7F), (0xA722, 0xA7BF), (0xAB30, 0xAB64), (0xFF21, 0xFF5A),
)  # fmt: skip
# Hebrew, Arabic, the Indic blocks, Hangul, Ethiopic.
_CASELESS_RANGES = (
    (0x591, 0x5F4), (0x620, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8BD), (0x900, 0x9FF), (0xB80, 0xCFF), (0xD80, 0xDFF),
    (0x1100, 0x137F), (0xAC00, 0xD7AF), (0xFB1D, 0xFDFB), (0xFE70, 0xFEFC),
)  # fmt: skip
# Unicode's property Sentence_Terminal (PropList.txt), which unicodedata does not tell.
_TERMINAL_RANGES = (
    (0x21, 0x21), (0x2E, 0x2E), (0x3F, 0x3F), (0x589, 0x589), (0x61D, 0x61F), (0x6D4, 0x6D4), (0x700, 0x702),
    (0x7F9, 0x7F9), (0x837, 0x837), (0x839, 0x839), (0x83D, 0x83E), (0x964, 0x965), (0x104A, 0x104B), (0x1362, 0x1362),
    (0x1367, 0x1368), (0x166E, 0x166E), (0x1735, 0x1736), (0x17D4, 0x17D5), (0x1803, 0x1803), (0x1809, 0x1809),
    (0x1944, 0x1945), (0x1AA8, 0x1AAB), (0x1B5A, 0x1B5B), (0x1B5E, 0x1B5F), (0x1B7D, 0x1B7E), (0x1C3B, 0x1C3C),
    (0x1C7E, 0x1C7F), (0x203C, 0x203D), (0x2047, 0x2049), (0x2E2E, 0x2E2E), (0x2E3C, 0x2E3C), (0x2E53, 0x2E54),
    (0x3002, 0x3002), (0xA4FF, 0xA4FF), (0xA60E, 0xA60F), (0xA6F3, 0xA6F3), (0xA6F7, 0xA6F7), (0xA876, 0xA877),
    (0xA8CE, 0xA8CF), (0xA92F, 0xA92F), (0xA9C8, 0xA9C9), (0xAA5D, 0xAA5F), (0xAAF0, 0xAAF1), (0xABEB, 0xABEB),
    (0xFE52, 0xFE52), (0xFE56, 0xFE57), (0xFF01, 0xFF01), (0xFF0E, 0xFF0E), (0xFF1F, 0xFF1F), (0xFF61, 0xFF61),
)  # fmt: skip
_LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_QUOTES = "'\"`´‘’‚“”„«»,「」『』（）〔〕【】《》〈〉⟦⟧"
_MARKS = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
_DASHES = "–—"
_SYMBOLS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~—”％１〈、━【」「】，；“《„’∶´．（–？！：«〉》）。…►»"
_JOINERS = ".…+-*^,–—~:<>=/"


def _roles(character: str, category: str) -> int:
    """The bits of one code point that follow from its category and the lists above."""
    bits = 0
    bits |= SPACE * character.isspace() | LINE_BREAK * (character in _LINE_BREAKS)
    bits |= LETTER * (category[0] == "L") | NUMBER * (category[0] == "N") | MARK * (category[0] == "M")
    bits |= SIGN * (category[0] in "PS") | PUNCTUATION * (category[0] == "P")
    icon, currency = category == "So", category == "Sc"
    bits |= DIGIT * (character in "0123456789") | QUOTE * (character in _QUOTES) | ICON * icon | CURRENCY * currency
    off = character in _QUOTES or character in _MARKS or character in _DASHES or icon
    bits |= OPENER * (off or currency or character in "§%=") | CLOSER * off
    bits |= JOINER * (character in _JOINERS or icon)
    code = ord(character)
    bits |= SYMBOL * (character in _SYMBOLS or code < 32 and character not in "\t\n\r" or 0x7F <= code < 0xA0)
    bits |= HOST * ((code < 0x80 and character.isalnum()) or 0xA1 <= code <= 0xFFFF)
    return bits


@functools.cache
def character_table() -> np.ndarray:
    """The bits (uint32) of every code point below TABLE_SIZE; above lie only ideographs."""
    table = np.zeros(TABLE_SIZE, np.uint32)
    for code in range(TABLE_SIZE):
        character = chr(code)
        table[code] = _roles(character, unicodedata.category(character))
    for first, last in _TERMINAL_RANGES:
        table[first : last + 1] |= np.uint32(TERMINAL | SYMBOL)
    for ranges, bits in ((IDEOGRAPH_RANGES, IDEOGRAPH), (_UNSPACED_RANGES, UNSPACED | ALPHA | LOWER | UPPER)):
        for first, last in ranges:
            part = table[first : last + 1]
            part[part & LETTER != 0] |= np.uint32(bits)
    for first, last in _CASED_RANGES:
        for code in range(first, last + 1):
            table[code] |= {"Ll": ALPHA | LOWER, "Lu": ALPHA | UPPER}.get(unicodedata.category(chr(code)), 0)
    for first, last in _CASELESS_RANGES:
        table[first : last + 1] |= np.uint32(ALPHA | LOWER | UPPER)
    before = ((table & (LOWER | DIGIT | QUOTE)) != 0) | (table & CLOSER != 0) & (table & ICON == 0)
    before[[ord(c) for c in _DASHES]] = False
    before[[ord(c) for c in "%²-+|"]] = True
    table[before] |= np.uint32(BEFORE_PERIOD)
    table.setflags(write=False)
    return table


HAN = np.uint32(LETTER | IDEOGRAPH | UNSPACED | ALPHA | LOWER | UPPER)


@inner
def decode(buffer, start, stop, table, points, flags):
    """Code points of buffer[start:stop] and their bits into two arrays; returns how many there are."""
    count, i = 0, start
    while i < stop:
        lead = buffer[i]
        if lead < 0x80:
            points[count], flags[count] = lead, table[lead]
            i += 1
        else:
            point, width = code_point(buffer, i, stop)
            points[count] = point
            flags[count] = table[point] if point < TABLE_SIZE else HAN
            i += width
        count += 1
    return count
