"""Cuts a small WARC file out of larger ones by copying whole gzip members: every record stays byte for byte."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType
from files import rank
from licences import origin_of_url

Exchange = list[bytes]


def exchanges(path: Path) -> tuple[bytes, dict[str, tuple[Exchange, str, int, int]]]:
    """The warcinfo member, and for each url the members of its exchange (request, response, metadata), the content
    type, the status and the size of the response; only urls whose pages are under a licence of ours."""
    data = path.read_bytes()
    with path.open("rb") as stream:
        records = [
            (
                record.stream_pos,
                record.record_type,
                record.headers.get("WARC-Target-URI"),
                record.http_headers.status_code if record.record_type == WarcRecordType.response else 0,
                (record.http_headers.get("Content-Type") or "")
                if record.record_type == WarcRecordType.response
                else "",
                record.content_length,
            )
            for record in ArchiveIterator(stream, parse_http=True)
        ]
    ends = [record[0] for record in records[1:]] + [len(data)]
    information, found = b"", {}
    for (start, kind, url, status, content_type, size), end in zip(records, ends, strict=True):
        if kind == WarcRecordType.warcinfo:
            information = data[start:end]
        elif url and origin_of_url(url):
            members, known_type, known_status, known_size = found.get(url, ([], "", 0, 0))
            members.append(data[start:end])
            found[url] = (members, content_type or known_type, status or known_status, max(known_size, size))
    return information, found


def cut(paths: list[Path], target: Path, per_origin: dict[str, int], largest: int = 40_000) -> Counter[str]:
    """Write `target`: for each origin so many good HTML pages, and all the 404s, images and plain texts there are.

    Returns the number of responses by origin.
    """
    pages: dict[str, list[tuple[str, Exchange]]] = {}
    others: list[tuple[str, Exchange]] = []
    information = b""
    for path in paths:
        first, found = exchanges(path)
        information = information or first
        for url, (members, content_type, status, size) in found.items():
            if size > largest:
                continue
            if status == 200 and content_type.startswith("text/html"):
                pages.setdefault(str(origin_of_url(url)), []).append((url, members))
            else:
                others.append((url, members))
    chosen = list(others)
    for origin, count in per_origin.items():
        chosen += sorted(pages.get(origin, []), key=lambda page: rank(page[0]))[:count]
    chosen.sort(key=lambda page: rank(page[0]))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(information + b"".join(member for _, members in chosen for member in members))
    return Counter(str(origin_of_url(url)) for url, _ in chosen)
