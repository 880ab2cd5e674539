"""Web pages to text: extractors on pages with a known text, what survives of formulas and code, charsets, and speed.

F1 is over 4-grams of words, each Han character a word, as multisets; the mean over pages. The text of an English
article is hand-made (articles_truth). The Chinese manuals have no such text: theirs is the element that each manual's
generator puts its content in.
"""

import json
import logging
import re
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.corpus import CORPORA
from benchmarks.peers import peer
from benchmarks.planted_pages import planted_pages, survived
from benchmarks.rows import REPOSITORY, Row, cpu_name

ARTICLES = "en_web/CC-MAIN-SAMPLE-articles-00000.warc.gz"
MANUALS = "en_web/CC-MAIN-SAMPLE-en-00000.warc.gz"
CHINESE = "zh_web/CC-MAIN-SAMPLE-zh-00000.warc.gz"
WORD = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\u3040-\u30ff]|[^\W\u2e80-\u9fff\uac00-\ud7af\u3040-\u30ff]+")
# Where the generator of each manual puts the content of a page.
CONTENT = {
    "help.libreoffice.org": '//*[@id="DisplayArea"]',
    "docs.gimp.org": '//body/div[starts-with(@class,"sect") or @class="chapter" or @class="preface"]',
    "debian-handbook.info": '//div[@class="section" or @class="chapter" or @class="preface" or @class="appendix"]',
    "lilypond.org": '//*[@id="main"]',
    "www.debian.org": '//div[@class="chapter" or @class="preface"]',
}
TURNS = 3
FOOTERS = './/script|.//style|.//*[contains(@class,"toc")]|.//*[@id="footer"]'
DATATROVE = """
import os, sys, logging
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.extractors import Trafilatura
import trafilatura
before, kept = spent(), 0
for path in arguments["files"]:
    folder, name = os.path.split(path)
    extractor = Trafilatura(favour_precision=False, deduplicate=False, timeout=30, **arguments["options"])
    kept += sum(1 for _ in extractor.run(WarcReader(folder, glob_pattern=name).run()))
print(json.dumps({"seconds": spent() - before, "kept": kept, "trafilatura": trafilatura.__version__}))
"""


class Html(NamedTuple):
    """A page of a corpus."""

    url: str
    body: bytes
    declared: str | None
    text: str


def rows() -> list[Row]:
    """All measurements; those on the articles need the corpora beside the checkout."""
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    quality = [*_quality("articles", _truth()), *_quality("Chinese manuals", _contents())] if CORPORA.is_dir() else []
    return [*quality, *_survival(), *_charsets(), *_speed()]


def _row(**values: Any) -> Row:
    return Row(bench="data_html", device=cpu_name(), command="openseek bench data_html", **values)


def _file(name: str) -> Path:
    """A corpus file, or the bundled sample of its kind."""
    path = CORPORA / name
    return path if path.exists() else REPOSITORY / "samples" / name.split("/")[0] / "docs.warc.gz"


@cache
def _pages(name: str) -> tuple[Html, ...]:
    """The HTML pages of an archive."""
    from openseek.data.sources.charset import decode
    from openseek.data.sources.record import Bad, Limits
    from openseek.data.sources.warc import CHARSET, HTML_TYPES
    from openseek.data.sources.warc_records import Records, http_head
    from openseek.raw_files import RawFile

    pages = []
    for record in Records(RawFile.at(_file(name)), Limits(16 << 20, 1000.0)):
        assert not isinstance(record, Bad)
        status, headers, body = http_head(record.block)
        kind = headers.get("content-type", "")
        if status == 200 and kind.startswith(HTML_TYPES):
            found = CHARSET.search(kind)
            declared = found.group(1) if found else None
            decoded = decode(body, declared)
            assert decoded is not None
            pages.append(Html(record.headers["warc-target-uri"], body, declared, decoded.text))
    return tuple(pages)


def _truth() -> list[tuple[Html, str]]:
    """The articles and their text."""
    import zstandard

    with zstandard.open(CORPORA / "en_web/articles_truth.jsonl.zst", "rt", encoding="utf-8") as file:
        texts = {row["url"]: row["text"] for row in map(json.loads, file)}
    return [(page, texts[page.url]) for page in _pages(ARTICLES) if page.url in texts]


def _contents() -> list[tuple[Html, str]]:
    """The Chinese manuals and the text of their content element, where they have it."""
    found = ((page, _content(page)) for page in _pages(CHINESE))
    return [(page, text) for page, text in found if text]


def _content(page: Html, paragraphs: bool = False) -> str:
    """The text of a manual's content element; "" when there is none."""
    from lxml import html

    tree = html.document_fromstring(page.text.encode(), parser=html.HTMLParser(encoding="utf-8"))
    elements: Any = tree.xpath(CONTENT.get(page.url.split("/")[2], "//body"))
    if not elements:
        return ""
    for foreign in elements[0].xpath(FOOTERS):
        foreign.drop_tree()
    parts = [p.text_content() for p in elements[0].iter("p")] if paragraphs else elements[0].itertext()
    return " ".join(" ".join(parts).split())


def _extractors() -> dict[str, Callable[[str], str]]:
    """Our two, and the same libraries by themselves."""
    from resiliparse.extract.html2text import extract_plain_text
    from trafilatura import extract

    from openseek.data.sources.page_text import main_text

    shared: dict[str, Any] = {"include_comments": False, "include_tables": True}
    return {
        "ours, trafilatura": lambda page: main_text(page, "trafilatura"),
        "ours, resiliparse": lambda page: main_text(page, "resiliparse"),
        "trafilatura fast": lambda page: extract(page, fast=True, **shared) or "",
        "trafilatura fast, recall": lambda page: extract(page, fast=True, favor_recall=True, **shared) or "",
        "trafilatura full": lambda page: extract(page, **shared) or "",
        "resiliparse": lambda page: extract_plain_text(page, main_content=True, alt_texts=False),
    }


def _quality(case: str, pages: list[tuple[Html, str]]) -> Iterator[Row]:
    """F1 and pages per CPU second of every extractor."""
    expected = [_grams(text) for _, text in pages]
    for name, extract in _extractors().items():
        extract(pages[0][0].text)
        before = _spent()
        texts = [extract(page.text) for page, _ in pages]
        seconds = _spent() - before
        score = sum(_f1(_grams(text), grams) for text, grams in zip(texts, expected, strict=True)) / len(pages)
        about = f"{len(pages)} {case}: {name}"
        yield _row(case=about, metric="4-gram F1", value=score, unit="ratio")
        yield _row(case=about, metric="extraction speed", value=len(pages) / seconds, unit="pages per CPU second")


def _grams(text: str) -> Counter[tuple[str, ...]]:
    words = WORD.findall(text)
    return Counter(tuple(words[i : i + 4]) for i in range(max(1, len(words) - 3)))


def _f1(found: Counter[tuple[str, ...]], expected: Counter[tuple[str, ...]]) -> float:
    return 2 * sum((found & expected).values()) / (sum(found.values()) + sum(expected.values()))


def planting_ground() -> dict[str, list[tuple[str, Callable[[str], bool]]]]:
    """Pages and the test of what is main text in them, by kind."""
    ground = {
        kind: [_ground(page, _content(page, paragraphs=True)) for page in _pages(name)]
        for kind, name in (("English manuals", MANUALS), ("Chinese manuals", CHINESE))
    }
    if CORPORA.is_dir():
        ground["articles"] = [_ground(page, " ".join(text.split())) for page, text in _truth()]
    return ground


def _ground(page: Html, main: str) -> tuple[str, Callable[[str], bool]]:
    return page.text, lambda text: text in main


def _survival() -> Iterator[Row]:
    """Share of planted formulas and code lines that each extractor gives back."""
    extractors = _extractors()
    for kind, ground in planting_ground().items():
        pages = list(planted_pages(ground))
        formulas, lines = sum(len(p.formulas) for p in pages), sum(len(p.lines) for p in pages)
        shares: dict[str, tuple[float, float]] = {}
        for name in ("ours, trafilatura", "ours, resiliparse", "trafilatura fast, recall", "resiliparse"):
            kept = [survived(page, extractors[name](page.html)) for page in pages]
            shares[name] = sum(len(k) for k, _ in kept) / formulas, sum(n for _, n in kept) / lines
        about = f"{len(pages)} {kind} with {formulas} formulas and {lines} lines of code planted"
        pairs = (("ours, trafilatura", "trafilatura fast, recall"), ("ours, resiliparse", "resiliparse"))
        for ours, theirs in pairs:
            for i, metric in enumerate(("formulas that survive", "code lines that survive")):
                value = {"value": shares[ours][i], "peer": f"plain {theirs}", "peer_value": shares[theirs][i]}
                yield _row(case=f"{about}: {ours}", metric=metric, unit="share", **value)


def _charsets() -> Iterator[Row]:
    """Share of the Chinese pages that come out as they were written, with and without what they declare."""
    from openseek.data.sources.charset import decode

    truth = CORPORA / "zh_web/zh_web_truth.jsonl"
    if not truth.exists():
        return
    told = {row["url"]: row["charset"] for row in map(json.loads, truth.read_text().splitlines())}
    pages = [page for page in _pages(CHINESE) if page.url in told]
    label = re.compile(rb"charset\s*=\s*[\"']?[-\w]+")
    for case, declare in (("as they are", None), ("without a declaration", b""), ("declared shift_jis", b"shift_jis")):
        right = 0
        for page in pages:
            body = page.body if declare is None else label.sub(b"charset=" + declare if declare else b"", page.body)
            decoded = decode(body, page.declared if declare is None else declare.decode() or None)
            right += decoded is not None and decoded.text == body.decode(told[page.url])
        yield _row(
            case=f"{len(pages)} pages in UTF-8, GBK and Big5, {case}",
            metric="pages decoded right",
            value=right / len(pages),
            unit="share",
        )


def _spent() -> float:
    """CPU seconds of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _speed() -> Iterator[Row]:
    """Whole reading of archives beside datatrove's reader and extractor; both extract in a helper process."""
    from openseek.data.sources import Source, page_worker, warc
    from openseek.data.sources.record import Limits
    from openseek.data.sources.record import Row as Document
    from openseek.raw_files import RawFile

    files = [_file(name) for name in (ARTICLES, MANUALS)] if CORPORA.is_dir() else [_file(MANUALS)]
    # trafilatura 1.11 calls its fast mode so.
    options = {"no_fallback": True, "favor_recall": True, "include_tables": True}
    # By turns, the best of each: a machine that others use is not the same a minute later.
    peers: list[Any] = []
    turns: dict[Any, list[tuple[float, int]]] = {"trafilatura": [], "resiliparse": []}
    for _ in range(TURNS):
        peers.append(peer(DATATROVE, {"files": [str(path) for path in files], "options": options}))
        for extractor, found in turns.items():
            before, kept = _spent(), 0
            for path in files:
                source: Any = Source("web", str(path), extractor=extractor)
                items = warc.read(RawFile.at(path), source, Limits(16 << 20, 1000.0))
                kept += sum(isinstance(item, Document) for item in items)
            # A helper's time counts once it has ended.
            page_worker.end_idle()
            found.append((_spent() - before, kept))
    theirs = min((told for told in peers if told), key=lambda told: told["seconds"], default=None)
    for extractor, found in turns.items():
        seconds, kept = min(found)
        speed = kept / seconds
        yield _row(
            case=f"{kept} pages of {len(files)} archives, formulas and code kept, {extractor}",
            metric="archive to text",
            value=speed,
            unit="pages per CPU second",
            peer=f"datatrove WarcReader + Trafilatura {theirs['trafilatura']} in its fast mode"
            if theirs
            else "datatrove",
            peer_value=theirs["kept"] / theirs["seconds"] if theirs else None,
        )
