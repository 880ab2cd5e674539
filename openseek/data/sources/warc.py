"""Web archives: WARC files, whose HTML pages become their main text, and WET files, whose texts stay as they are."""

import io
import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from openseek.data.sources.charset import decode
from openseek.data.sources.page_worker import Outcome, Page, Setting, Workers, page_workers
from openseek.data.sources.record import Bad, Item, Limits, Row, Skipped
from openseek.data.sources.warc_records import HEAD_BYTES, Record, Records, http_head
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

HTML_TYPES = ("text/html", "application/xhtml+xml")
CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_:.-]+)", re.IGNORECASE)
CREDENTIALS = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#@]*@")
BATCH_PAGES = 32
BATCH_BYTES = 4 << 20


class _Pending(NamedTuple):
    """A page on its way through the extractor, and what its document will have beside the text."""

    position: int
    page: Page
    about: dict[str, Any]


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """An item a response or conversion record; request, metadata and warcinfo records are not counted.

    Position: offset of the record in the file, or in the decompressed bytes where one gzip member holds many records.
    """
    setting = Setting(source.extractor, limits.page_seconds, limits.page_memory_bytes)
    with page_workers(setting) as workers:
        batch: list[Item | _Pending] = []
        size = pages = 0
        records = iter(Records(path, limits))
        while True:
            try:
                record = next(records, None)
            except Exception:
                # What came before the damage is sound, and is given before the damage is told.
                yield from _through(batch, workers, limits)
                raise
            if record is None:
                break
            item = record if isinstance(record, Bad) else _item(record, source, limits)
            batch.append(item)
            if isinstance(item, _Pending):
                size, pages = size + len(item.page.body), pages + 1
            if pages >= BATCH_PAGES or size >= BATCH_BYTES or len(batch) >= 1024:
                yield from _through(batch, workers, limits)
                batch, size, pages = [], 0, 0
        yield from _through(batch, workers, limits)


def _through(batch: list[Item | _Pending], workers: Workers, limits: Limits) -> list[Item]:
    """The batch with its pages extracted."""
    outcomes = iter(workers.extract([item.page for item in batch if isinstance(item, _Pending)]))
    return [_done(item, next(outcomes), limits) if isinstance(item, _Pending) else item for item in batch]


def _done(pending: _Pending, outcome: Outcome, limits: Limits) -> Item:
    """The item of a page that went through the extractor."""
    if outcome.kind == "late":
        # The value is the limit: how far beyond it the page would have gone nobody knows.
        return Skipped(pending.position, "page_seconds", limits.page_seconds, limits.page_seconds)
    if outcome.kind == "failed":
        return Bad(pending.position, outcome.text, pending.page.body[:HEAD_BYTES])
    return _row(pending.position, outcome.text, outcome.charset, pending.about)


def _row(position: int, text: str, charset: str, about: dict[str, Any]) -> Item:
    if not text.strip():
        return Skipped(position, "no_text", 0, 1, "nothing left after extraction")
    meta = {**about["meta"], "charset": charset}
    return Row(position, text, url=about["url"], date=about["date"], lang=about["lang"], meta=meta)


def _item(record: Record, source: "Source", limits: Limits) -> Item | _Pending:
    """The item of one record, or the page that has to be extracted for it."""
    if record.kind == "conversion":
        return _conversion(record, source, limits)
    status, headers, body = http_head(record.block)
    if status is None:
        return Bad(record.position, "the response has no HTTP header", record.block[:HEAD_BYTES])
    if status != 200:
        return Skipped(record.position, "http_status", status, 200)
    kind = headers.get("content-type", "")
    media = kind.partition(";")[0].strip().lower()
    if media not in HTML_TYPES and media != "text/plain":
        return Skipped(record.position, "content_type", detail=media or "none")
    size = record.size - (len(record.block) - len(body))
    if size > limits.record_bytes:
        return limits.too_long(record.position, size, body[:HEAD_BYTES])
    try:
        whole = _decoded(body, headers, limits)
    except (OSError, zlib.error) as error:
        return Bad(record.position, f"the body is damaged ({error})", body[:HEAD_BYTES])
    if len(whole) > limits.record_bytes:
        return limits.too_long(record.position, len(whole), whole[:HEAD_BYTES])
    declared = CHARSET.search(kind)
    page = Page(whole, declared.group(1) if declared else None)
    about = _about(record, source, len(whole), headers.get("content-language", ""))
    if media in HTML_TYPES:
        return _Pending(record.position, page, about)
    decoded = decode(*page)
    if decoded is None:
        return Bad(record.position, "no character set fits the page", whole[:HEAD_BYTES])
    return _row(record.position, decoded.text, decoded.charset, about)


def _conversion(record: Record, source: "Source", limits: Limits) -> Item:
    """A record of a WET file: text that somebody else extracted."""
    if record.size > limits.record_bytes:
        return limits.too_long(record.position, record.size, record.block[:HEAD_BYTES])
    media = record.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if media != "text/plain":
        return Skipped(record.position, "content_type", detail=media)
    text = record.block.decode("utf-8", "replace")
    return _row(record.position, text, "utf-8", _about(record, source, record.size, ""))


def _about(record: Record, source: "Source", size: int, language: str) -> dict[str, Any]:
    """Address, date, language and meta of a record's document."""
    headers = record.headers
    url = CREDENTIALS.sub(r"\1", headers.get("warc-target-uri", "").strip("<>"))
    meta: dict[str, Any] = {"warc_record_id": headers.get("warc-record-id", ""), "html_bytes": size}
    if record.kind == "conversion":
        meta = {"warc_record_id": headers.get("warc-refers-to", headers.get("warc-record-id", ""))}
    if language := headers.get("warc-identified-content-language", "") or language:
        meta["content_language"] = language
    return {"url": url, "date": headers.get("warc-date", ""), "lang": source.lang, "meta": meta}


def _decoded(body: bytes, headers: dict[str, str], limits: Limits) -> bytes:
    """The body without chunks and content encoding, at most one byte more than the limit of it."""
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    coding = headers.get("content-encoding", "").lower()
    if not chunked and coding not in ("gzip", "x-gzip", "deflate", "br"):
        return body
    from fastwarc.stream_io import BrotliReader, ChunkedReader, GzipReader

    reader: Any = io.BytesIO(body)
    if chunked:
        reader = ChunkedReader(reader)
    if coding in ("gzip", "x-gzip", "deflate"):
        reader = GzipReader(reader, zlib=coding == "deflate")
    elif coding == "br":
        reader = BrotliReader(reader)
    return reader.read(limits.record_bytes + 1)
