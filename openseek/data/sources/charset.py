"""The character set of a web page: what it declares if its bytes agree, else what its bytes are."""

import codecs
import re

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
META = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{2,40})""", re.IGNORECASE)
META_BYTES = 4096
# Supersets that browsers use for these labels (WHATWG Encoding, section 4.2).
SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "big5": "big5hkscs",
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
# The commonest characters of running Chinese text; a wrong decoding yields hardly any of them.
COMMON = frozenset(
    "的一是不了在人有我他这这個个們们中大上为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下自之年过過发發后後作里用道行所然家种種"
)
TOLERATED = 0.01


def decode(data: bytes, header: str | None) -> str | None:
    """The text of a page, or None when no character set fits its bytes.

    `header` is the charset of the HTTP header. A few undecodable bytes (below 1 %) become U+FFFD.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    match = META.search(data[:META_BYTES])
    declared = [label for label in (header, match.group(1).decode("ascii") if match else None) if label]
    names = [name for name in map(_known, declared) if name is not None]
    for name in names:
        # Single-byte sets decode anything: a page that declares one and is sound UTF-8 is UTF-8.
        order = ("utf-8", name) if name == "cp1252" else (name,)
        for candidate in order:
            if (text := _strict(data, candidate)) is not None:
                return text
    if (text := _strict(data, "utf-8")) is not None:
        return text
    if (text := _chinese(data)) is not None:
        return text
    for name in dict.fromkeys([*names, "utf-8", "cp1252"]):
        text = data.decode(name, "replace")
        if text.count("\ufffd") <= TOLERATED * max(len(text), 1):
            return text
    return None


def _known(label: str) -> str | None:
    """Python's name of a character set label; None for one it does not know."""
    try:
        name = codecs.lookup(label.strip()).name
    except LookupError:
        return None
    return SUPERSETS.get(name, name)


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return None


def _chinese(data: bytes) -> str | None:
    """GB18030 or Big5, whichever gives the more common characters, if it gives a credible share of them."""
    best, share = None, 0.02
    for name in ("gb18030", "big5hkscs"):
        text = data.decode(name, "replace")
        wide = [c for c in text if c > "\u2e7f"]
        common = sum(c in COMMON for c in wide) / len(wide) if wide else 0.0
        if common > share and text.count("\ufffd") <= TOLERATED * len(text):
            best, share = text, common
    return best
