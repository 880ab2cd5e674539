"""Web archives: the HTML pages of successful responses, as their main text (trafilatura).

On 120 news pages with hand-made truth trafilatura's fast mode reached 4-gram F1 0.97 at 13 ms a page, resiliparse 0.90
at 1.7 ms: a page is extracted once, its text is trained on for ever.
"""

import io
import logging
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openseek.data.sources.charset import decode
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Skipped
from openseek.data.sources.streams import BlockReader
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

HTML_TYPES = ("text/html", "application/xhtml+xml")
HEAD_BYTES = 4096


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """An item a response record; request, metadata and warcinfo records are no documents and are not counted.

    Position: offset of the record in the file, or in the decompressed bytes where one gzip member holds many records.
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    stream = BlockReader(path, limits)
    position = 0
    try:
        archive: Any = ArchiveIterator
        for record in archive(stream, record_types=WarcRecordType.response, stream_detect=False):
            position = stream.file_offset(record.stream_pos)
            item = _page(position, record, source, limits)
            if stream.broken is not None and isinstance(item, Bad) and not item.head:
                # Nothing but the WARC header is left of this record: it is the one that the file was cut in.
                break
            yield item
    except OSError as error:
        if stream.error is None and stream.broken is None:
            if position == 0:
                raise ValueError(f"{path} is no WARC file ({error}): set the format of its source") from error
            raise BrokenStream(position, f"the record after this one is damaged ({error})") from error
    if stream.error is not None:
        raise stream.error
    if stream.broken is not None:
        raise stream.broken


def _page(position: int, record: Any, source: "Source", limits: Limits) -> Item:
    """The item of one response record."""
    headers = record.http_headers
    if headers is None or headers.status_code is None:
        return Bad(position, "the response has no HTTP header", record.reader.read(HEAD_BYTES))
    if headers.status_code != 200:
        return Skipped(position, "http_status", headers.status_code, 200)
    kind = (record.http_content_type or "").lower()
    if kind not in HTML_TYPES:
        return Skipped(position, "content_type", detail=kind or "none")
    body = record.reader.read(min(record.content_length, limits.record_bytes + 1))
    if len(body) > limits.record_bytes:
        return Skipped(position, "record_bytes", record.content_length, limits.record_bytes)
    if len(body) < record.content_length:
        raise BrokenStream(
            position, f"the record ends after {len(body)} of {record.content_length} bytes", body[:HEAD_BYTES]
        )
    try:
        body = _decoded(body, headers, limits)
    except (OSError, zlib.error) as error:
        return Bad(position, f"the body is damaged ({error})", body[:HEAD_BYTES])
    if len(body) > limits.record_bytes:
        return Skipped(position, "record_bytes", len(body), limits.record_bytes)
    page = decode(body, record.http_charset)
    if page is None:
        return Bad(position, "no character set fits the page", body[:HEAD_BYTES])
    text = main_text(page)
    if not text:
        return Skipped(position, "no_text", len(page), 1, "nothing left after extraction")
    meta = {"warc_record_id": record.record_id or "", "html_bytes": len(body)}
    url, date = record.headers.get("WARC-Target-URI") or "", record.headers.get("WARC-Date") or ""
    return Row(position, text, url=url, date=date, lang=source.lang, meta=meta)


def _decoded(body: bytes, headers: Any, limits: Limits) -> bytes:
    """The body without chunks and content encoding, at most one byte more than the limit of it."""
    from fastwarc.stream_io import BrotliReader, ChunkedReader, GzipReader

    reader: Any = io.BytesIO(body)
    if "chunked" in (headers.get("Transfer-Encoding") or "").lower():
        reader = ChunkedReader(reader)
    coding = (headers.get("Content-Encoding") or "").lower()
    if coding in ("gzip", "x-gzip", "deflate"):
        reader = GzipReader(reader, zlib=coding == "deflate")
    elif coding == "br":
        reader = BrotliReader(reader)
    return reader.read(limits.record_bytes + 1)


def main_text(page: str) -> str:
    """The main text of an HTML page; "" when there is none."""
    from trafilatura import extract

    # It warns of every page without text; we count them as dropped.
    logging.getLogger("trafilatura").setLevel(logging.ERROR)
    return extract(page, fast=True, include_comments=False, include_tables=True) or ""
