"""MediaWiki XML dumps (pages-articles; plain or compressed, multistream too): the articles as plain text.

Pages are found by their tags in the stream of bytes, so memory is bounded and one damaged page costs only itself; each
is then parsed alone, without document type, entities of its own or network.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from openseek.data.sources.chapters import documents_only
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Skipped
from openseek.data.sources.streams import pieces
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source
    from openseek.data.sources.wikitext import Wikitext

HEAD_BYTES = 4096
# Namespaces of the largest wiki take some 10 KiB.
SITE_BYTES = 1 << 20
BEGIN, END, CLOSE = b"<page>", b"</page>", b"</mediawiki>"
TAIL_BYTES = 64
URL_SAFE = "/:;@!$*(),'~&=+"
REDIRECT = re.compile(r"\s*#\s*(?:redirect|重定向|перенаправление|weiterleitung|redirection)\b", re.IGNORECASE)
LANGUAGE = re.compile(rb'xml:lang="([a-zA-Z-]+)"')
BASE = re.compile(rb"<base>([^<]{1,2000})</base>")
NAMESPACE = re.compile(rb'<namespace key="(-?\d+)"[^>]*>([^<]{1,200})</namespace>')


class Site(NamedTuple):
    """What the head of a dump says of its wiki."""

    host: str
    lang: str
    namespaces: dict[str, int]


class Page(NamedTuple):
    """The bytes of one page: `size` of them, of which `data` holds all or, beyond the limit, the first."""

    position: int
    data: bytes
    size: int
    broken: str = ""


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """An item a page; of a page with its history, the newest revision. Position: offset in the decompressed bytes.

    Pages outside the namespace of articles, and redirects, are dropped (rules namespace and redirect).
    """
    from openseek.data.sources.wikitext import Wikitext

    documents_only(path, source, "mediawiki")
    stream, head = pieces(path, limits), b""
    for block in stream:
        if isinstance(block, BrokenStream):
            raise block
        head += block
        if BEGIN in head or len(head) > SITE_BYTES:
            break
    if not head:
        return
    site = _site(path, head.partition(BEGIN)[0])
    markup = Wikitext(site.namespaces, site.lang)
    for page in _pages(chain((head,), stream), limits.record_bytes):
        if page.broken:
            yield Bad(page.position, page.broken, page.data[:HEAD_BYTES])
        elif page.size > limits.record_bytes:
            yield limits.too_long(page.position, page.size, page.data[:HEAD_BYTES])
        else:
            yield _item(page, site, markup, source)


def _site(path: RawFile, head: bytes) -> Site:
    if b"<mediawiki" not in head:
        raise ValueError(f"{path} is no MediaWiki dump (it begins with {head[:40]!r}): set the format of its source")
    base, lang = BASE.search(head), LANGUAGE.search(head)
    names = {name.decode("utf-8", "replace").strip().lower(): int(key) for key, name in NAMESPACE.findall(head)}
    host = urlsplit(base.group(1).decode("utf-8", "replace").strip()).netloc if base else ""
    return Site(host, lang.group(1).decode().lower() if lang else "", names)


def _pages(source: Iterator[bytes | BrokenStream], limit: int) -> Iterator[Page]:
    """The pages in a stream of bytes; one beyond the limit is counted, not kept."""
    buffer, base = b"", 0
    large: Page | None = None
    for block in source:
        if isinstance(block, BrokenStream):
            page = large or Page(base, buffer if buffer.startswith(BEGIN) else b"", len(buffer))
            if block.resume is None:
                raise BrokenStream(page.position, block.reason, page.data[:HEAD_BYTES])
            yield page._replace(broken=block.reason)
            base, buffer, large = base + len(buffer), b"", None
            continue
        buffer += block
        while True:
            mark = buffer.find(END if large else BEGIN)
            if large is None and mark >= 0:
                base, buffer = base + mark, buffer[mark:]
                if (end := buffer.find(END)) >= 0:
                    yield Page(base, buffer[: end + len(END)], end + len(END))
                    base, buffer = base + end + len(END), buffer[end + len(END) :]
                    continue
                if len(buffer) <= limit:
                    break
                large = Page(base, buffer[:HEAD_BYTES], 0)
            elif large is not None and mark >= 0:
                base, buffer = base + mark + len(END), buffer[mark + len(END) :]
                yield large._replace(size=base - large.position)
                large = None
            else:
                # The end may hold the first part of a tag.
                keep = min(len(buffer), TAIL_BYTES)
                base, buffer = base + len(buffer) - keep, buffer[len(buffer) - keep :]
                break
    if large is not None or buffer.startswith(BEGIN):
        position = large.position if large else base
        raise BrokenStream(position, "the last page is cut off", (large.data if large else buffer)[:HEAD_BYTES])
    if CLOSE not in buffer:
        raise BrokenStream(base + len(buffer), "the dump ends without </mediawiki>: it is cut off")


def _item(page: Page, site: Site, markup: "Wikitext", source: "Source") -> Item:
    import lxml.etree as etree

    from openseek.data.sources.wikitext import TooComplex

    # Bounded by max_record_bytes; entities of its own it cannot declare, and unknown ones are an error.
    parser: Any = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        node = etree.fromstring(page.data, parser)
    except etree.XMLSyntaxError as error:
        return Bad(page.position, f"the page is no XML ({error})", page.data[:HEAD_BYTES])
    title, namespace = node.findtext("title") or "", node.findtext("ns") or "0"
    if namespace != "0":
        return Skipped(page.position, "namespace", _number(namespace), 0, title)
    revisions = node.findall("revision")
    if not revisions:
        return Bad(page.position, "the page has no revision", page.data[:HEAD_BYTES])
    revision = max(revisions, key=lambda r: r.findtext("timestamp") or "")
    wikitext = revision.findtext("text") or ""
    if node.find("redirect") is not None or REDIRECT.match(wikitext):
        return Skipped(page.position, "redirect", detail=title)
    model = revision.findtext("model") or "wikitext"
    if model != "wikitext":
        return Skipped(page.position, "content_model", detail=model)
    try:
        text = markup.plain(wikitext)
    except TooComplex as error:
        return Bad(page.position, f"{title}: {error}", page.data[:HEAD_BYTES])
    if not text.strip():
        return Skipped(page.position, "no_text", len(text), 1, title)
    url = f"https://{site.host}/wiki/{quote(title.replace(' ', '_'), safe=URL_SAFE)}" if site.host else ""
    lang = source.lang or (site.lang if len(site.lang) == 2 else "")
    meta = {"title": title, "page_id": _number(node.findtext("id")), "revision_id": _number(revision.findtext("id"))}
    return Row(page.position, text, url=url, date=revision.findtext("timestamp") or "", lang=lang, meta=meta)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.lstrip("-").isdecimal() else None
