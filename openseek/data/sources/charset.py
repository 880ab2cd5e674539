"""The character set of a web page: what its bytes are, with what it declares as a hint among likely sets.

Servers and templates declare wrongly; bytes do not. Bytes that are sound UTF-8 are UTF-8. Else every set below
decodes a sample, and the one whose characters are the commonest of a language that is written in it wins.
"""

import codecs
import re
from typing import NamedTuple

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
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
# The commonest characters of running text; a wrong decoding yields hardly any of them.
CHINESE = (
    "的一是不了在人有我他这這个個们們中大上为為和国國地到以说說时時要就出会會可也你对對生能而子那得于於着著下自之年过過发發后後作里用"
    "道行所然家种種文本图圖动動选選項项设設数數據据件使新定义義名列表相关關主题題首页頁内內容搜索尋更多闻聞产產品"
)
KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30FB), 0x30FC)))
HANGUL = "이다는을의에가고를하은지로기사한어서도자스리시대인들나수아그것있해과일정요부전주보라상여적제만장니습"
RUSSIAN = "оеаинтсрвл"
CYRILLIC = re.compile(r"[а-яА-ЯёЁіїєґІЇЄҐ«»“”„‘’–—…№\xa0]")
WESTERN = "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœÀÁÂÄÅÇÈÉÊÖØÜŒ‘’“”–—…•€£§©®°·«»¡¿´²³½×™\xa0"


class Writing(NamedTuple):
    """A character set, the common characters of a language written in it, and their usual share of that text."""

    name: str
    common: frozenset[str]
    usual: float


WRITINGS = (
    Writing("gb18030", frozenset(CHINESE), 0.2),
    Writing("big5hkscs", frozenset(CHINESE), 0.2),
    Writing("cp932", frozenset(KANA), 0.5),
    Writing("euc_jp", frozenset(KANA), 0.5),
    Writing("cp949", frozenset(HANGUL), 0.5),
    Writing("cp1251", frozenset(RUSSIAN), 0.6),
    Writing("koi8_r", frozenset(RUSSIAN), 0.6),
    Writing("cp1252", frozenset(WESTERN), 0.95),
)
UNLIKELY = re.compile("[\ufffd\x80-\x9f\ue000-\uf8ff｡-ﾟ]+")
HIGH = re.compile(r"[^\x00-\x7f]+")
SAMPLE_BYTES = 1 << 16
TOLERATED = 0.01
"""Share of undecodable bytes in a text that still counts as written in a set."""
CREDIBLE = 0.1
"""Least part of a language's usual share of common characters at which an undeclared set is believed."""
DECLARED = 0.2
"""What a declaration is worth, in the same measure."""


class Decoded(NamedTuple):
    """The text of a page and the character set that it was written in."""

    text: str
    charset: str


def decode(data: bytes, header: str | None) -> Decoded | None:
    """The text of a page, or None when no character set fits its bytes.

    `header` is the charset of the HTTP header. A few undecodable bytes (below 1 %) become U+FFFD.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return Decoded(data.decode(name, "replace"), name.removesuffix("-sig"))
    if (name := _wide(data)) is not None:
        return Decoded(data.decode(name, "replace"), name)
    for name in ("iso2022_jp", "utf-8") if b"\x1b$" in data else ("utf-8",):
        if (text := _strict(data, name)) is not None:
            return Decoded(text, name)
    match = META.search(data[:META_BYTES])
    labels = [label for label in (header, match.group(1).decode("ascii") if match else None) if label]
    declared = [name for name in map(_known, labels) if name is not None]
    for name in (*_ranked(_sample(data), declared), *declared, "cp1252"):
        text = data.decode(name, "replace")
        if _lost(text) <= TOLERATED * max(len(text), 1):
            return Decoded(text, name)
    return None


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of its markup is zero."""
    head = data[:META_BYTES]
    if len(head) < 16 or head.count(0) < len(head) // 16:
        return None
    odd = head[1::2].count(0)
    return "utf-16-le" if odd > 4 * head[::2].count(0) else "utf-16-be" if head[::2].count(0) > 4 * odd else None


def _sample(data: bytes) -> bytes:
    """The part of a page that scoring looks at, from its first byte beyond ASCII on."""
    first = re.search(rb"[\x80-\xff]", data)
    return data[first.start() : first.start() + SAMPLE_BYTES] if first else data[:SAMPLE_BYTES]


def _ranked(sample: bytes, declared: list[str]) -> list[str]:
    """The sets that the sample may be written in, the likeliest first."""
    scores: dict[str, float] = {}
    text = sample.decode("utf-8", "replace")
    # A cut or spliced UTF-8 page has a few bad bytes; in any other set nearly every byte beyond ASCII is one.
    high = sum(map(len, HIGH.findall(text)))
    if text.count("\ufffd") <= 0.1 * high:
        return ["utf-8"]
    for writing in WRITINGS:
        score = _score(sample.decode(writing.name, "replace"), writing)
        if score >= CREDIBLE:
            scores[writing.name] = score
    for name in declared:
        fits = _lost(sample.decode(name, "replace")) <= TOLERATED * len(sample)
        if name != "utf-8" and fits:
            # One without common characters above is believed unless the bytes speak clearly for another.
            scores[name] = scores.get(name, 0.0 if any(w.name == name for w in WRITINGS) else 0.5) + DECLARED
    return sorted(scores, key=lambda name: -scores[name])


def _score(text: str, writing: Writing) -> float:
    """How common its characters beyond ASCII are, 1 for running text; 0 when too many cannot be."""
    runs = HIGH.findall(text)
    count = sum(map(len, runs))
    if not count:
        return 0.0
    if sum(map(len, UNLIKELY.findall(text))) > 0.05 * count:
        return 0.0
    if writing.name in ("cp1251", "koi8_r") and len(CYRILLIC.findall(text)) < 0.9 * count:
        return 0.0
    if writing.name == "cp1252":
        # Accented letters stand alone among ASCII ones.
        runs = [run for run in runs if len(run) <= 2]
    common = sum(c in writing.common for run in runs for c in run)
    return min(1.0, common / count / writing.usual)


def _lost(text: str) -> int:
    return text.count("\ufffd")


def _known(label: str) -> str | None:
    """Python's name of a character set label; None for one it does not know, or that is no character set."""
    try:
        found = codecs.lookup(label.strip())
    except LookupError:
        return None
    return SUPERSETS.get(found.name, found.name) if getattr(found, "_is_text_encoding", True) else None


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return None
