"""The suppression list: what must not be used or published any more, by id, address, domain, repository or author.

A file of JSON lines. The first is {"version": ..., "note": ...}; each further one is {"kind": ..., "value": ...,
"reason": ..., "date": ...}, of which kind and value are needed. What matches:

- id: the document's id, or what its source calls it (id, blob_id, content_id, warc_record_id), or the id of the
  document that a generated one was made from; exactly as written.
- url: the address without scheme, fragment and a slash at its end; the host in any case, the rest as written.
- domain: the host and every host below it.
- repository: owner/name in any case, from the source's column or from an address at a code host.
- author: a name, or an e-mail address, in any case, as the source's columns of authors give them.
"""

import dataclasses
import datetime
import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from openseek.data.sources.record import Bad, Item, Row, Rows, Skipped
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    import pyarrow as pa

RULE = "suppressed"
KEYS = {"kind", "value", "reason", "date"}
ID_COLUMNS = ("id", "blob_id", "content_id", "warc_record_id", "parent")
URL_COLUMNS = ("url", "source_url", "repo_url")
REPOSITORY_COLUMNS = ("repo_name", "repository", "repo", "repo_url")
AUTHOR_COLUMNS = ("author", "authors", "author_name", "author_email", "committer", "committer_name", "committer_email")
CODE_HOSTS = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitee.com")
MAILED = re.compile(r"([^<>]*)<([^<>]+)>")
# Strings and words in the first bytes of a record that could not be read.
STRINGS = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"\'<>,;]+)')


@dataclasses.dataclass(frozen=True)
class Suppression:
    """A list that was read: the values of each kind in the form in which they are compared."""

    version: str
    """Version of the list, told beside each row that it drops."""
    values: dict[str, frozenset[str]]
    """Kind -> values."""

    def match(self, ids: Iterable[str], urls: Iterable[str], meta: dict[str, Any]) -> str:
        """Which entry holds for a document, as "KIND VALUE (list VERSION)"; "" when none does."""
        urls = (*urls, *_named(meta, URL_COLUMNS))
        found = {
            "id": lambda: (*ids, *_named(meta, ID_COLUMNS)),
            "url": lambda: map(address, urls),
            "domain": lambda: (name for url in urls for name in _domains(url)),
            "repository": lambda: filter(None, map(repository, (*_named(meta, REPOSITORY_COLUMNS), *_hosted(urls)))),
            "author": lambda: (name for author in _named(meta, AUTHOR_COLUMNS) for name in _names(author)),
        }
        for kind, values in self.values.items():
            for value in found[kind]():
                if value in values:
                    return self.told(kind, value)
        return ""

    def told(self, kind: str, value: str) -> str:
        """What is recorded beside a row that an entry drops."""
        return f"{kind} {value} (list {self.version})"


def address(url: str) -> str:
    """An address as it is compared: without scheme, fragment and last slash, its host in lower case."""
    rest = url.strip().partition("#")[0].partition("://")
    host, slash, path = (rest[2] or rest[0]).removeprefix("//").partition("/")
    return (host.lower() + slash + path).rstrip("/")


def domain(url: str) -> str:
    """The host of an address in lower case and ASCII form, without port, account and a dot at its end."""
    host = re.split(r"[/?]", address(url))[0].rpartition("@")[2]
    host = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
    try:
        return host.encode("idna").decode().strip(".").lower() if not host.isascii() else host.strip(".")
    except UnicodeError:
        return host


def repository(name: str) -> str:
    """owner/name in lower case, from that or from an address at a code host; "" for anything else."""
    path = address(name)
    host, _, rest = path.partition("/")
    if "://" in name or host in CODE_HOSTS:
        path = rest if host.removeprefix("www.") in CODE_HOSTS else ""
    parts = path.lower().split("/")
    return f"{parts[0]}/{parts[1].removesuffix('.git')}" if len(parts) >= 2 and all(parts[:2]) else ""


def author(name: str) -> str:
    """A name or an e-mail address in one case, with single spaces."""
    return " ".join(name.casefold().split())


def _domains(url: str) -> Iterator[str]:
    """The host of an address and all domains that it belongs to."""
    parts = domain(url).split(".")
    return (".".join(parts[i:]) for i in range(len(parts)))


def _hosted(urls: Iterable[str]) -> Iterator[str]:
    return (url for url in urls if domain(url).removeprefix("www.") in CODE_HOSTS)


def _names(given: str) -> Iterator[str]:
    """The name, and name and address apart where it is written as `NAME <ADDRESS>`."""
    yield author(given)
    if match := MAILED.fullmatch(given.strip()):
        yield from map(author, match.groups())


def _named(meta: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    """The strings in these columns, at the top or inside a column that is an object (dolma's metadata)."""
    for place in (meta, *(value for value in meta.values() if isinstance(value, dict))):
        for name in names:
            value = place.get(name)
            if isinstance(value, str):
                yield value
            elif isinstance(value, list):
                yield from (item for item in value if isinstance(item, str))


FORMS: dict[str, Callable[[str], str]] = {
    "id": str.strip,
    "url": address,
    "domain": domain,
    "repository": repository,
    "author": author,
}
"""Kind -> the form in which its values are compared."""


def load(path: str) -> Suppression:
    """Read a list; ValueError names file, line and remedy. Read once a process, unless the file changes."""
    local = "://" not in path
    if local and not os.path.isfile(path):
        raise ValueError(f"suppression list {path!r} is not there: give an existing file")
    return _loaded(path, os.stat(path).st_mtime_ns if local else 0)


@functools.lru_cache(maxsize=4)
def _loaded(path: str, changed: int) -> Suppression:
    version, values = "", {kind: set() for kind in FORMS}
    with RawFile(path, os.path.basename(path), 0).open() as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    record = json.loads(line.decode("utf-8-sig"))
                    if not isinstance(record, dict):
                        raise ValueError("no JSON object")
                    if not version:
                        version = _version(record)
                    else:
                        kind, value = _entry(record)
                        values[kind].add(value)
                except ValueError as error:
                    raise ValueError(f"suppression list {path}, line {number}: {error}") from error
    if not version:
        raise ValueError(f'suppression list {path} is empty: its first line is {{"version": ..., "note": ...}}')
    return Suppression(version, {kind: frozenset(found) for kind, found in values.items() if found})


def _version(record: dict[str, Any]) -> str:
    version = record.get("version")
    if not isinstance(version, str) or not version.strip() or "kind" in record:
        raise ValueError('the first line must be {"version": "...", "note": "..."}, with a version that is text')
    return version.strip()


def _entry(record: dict[str, Any]) -> tuple[str, str]:
    """Kind and value of an entry, in the form in which they are compared."""
    if unknown := sorted(record.keys() - KEYS):
        raise ValueError(f"{', '.join(unknown)} is unknown: an entry has {', '.join(sorted(KEYS))}")
    kind, value = record.get("kind"), record.get("value")
    if kind not in FORMS:
        raise ValueError(f"kind is {kind!r}: give one of {', '.join(FORMS)}")
    if not isinstance(value, str) or not (compared := FORMS[kind](value)):
        remedy = " as owner/name" if kind == "repository" else ""
        raise ValueError(f"value is {value!r}: give the {kind}{remedy}")
    if kind == "domain" and ("." not in compared or re.search(r"[^\w.-]", compared)):
        raise ValueError(f"value is {value!r}: give a domain such as example.org, which covers all hosts below it")
    if "date" in record:
        datetime.date.fromisoformat(str(record["date"]))
    return kind, compared


def held(items: Iterator[Item], listed: Suppression, source: str, relative: str) -> Iterator[Item]:
    """The items of a file, with those that the list names dropped: no word of them is kept, in quarantine neither."""
    from openseek.data.document import document_id

    for item in items:
        if isinstance(item, Rows):
            ids = [document_id(source, relative, position) for position in item.positions]
            yield from _sound(item, _matches(listed, ids, item.url, item.meta))
        elif isinstance(item, Row):
            entry = listed.match((document_id(source, relative, item.position),), (item.url,), item.meta)
            yield Skipped(item.position, RULE, detail=entry) if entry else item
        elif isinstance(item, Bad):
            entry = _in_head(item, listed, document_id(source, relative, item.position))
            yield Skipped(item.position, RULE, detail=entry) if entry else item
        else:
            yield item


def _sound(rows: Rows, entries: list[str]) -> Iterator[Item]:
    """The rows without those that an entry names, in order."""
    start = 0
    for index, entry in enumerate(entries):
        if entry:
            if index > start:
                yield rows.slice(start, index)
            yield Skipped(rows.positions[index], RULE, detail=entry)
            start = index + 1
    if start < len(rows):
        yield rows.slice(start, len(rows)) if start else rows


def _matches(listed: Suppression, ids: Sequence[str], urls: Sequence[str], metas: Sequence[str]) -> list[str]:
    """For each row the entry that names it, or ""; empty columns stand for rows without."""
    import orjson

    urls, metas = urls or [""] * len(ids), metas or [""] * len(ids)
    return [
        listed.match((identity,), (url or "",), orjson.loads(meta) if meta and meta != "{}" else {})
        for identity, url, meta in zip(ids, urls, metas, strict=True)
    ]


def _in_head(item: Bad, listed: Suppression, identity: str) -> str:
    """The entry that a record which could not be read seems to fall under: any string in its first bytes counts."""
    text = item.head.decode("utf-8", "replace")
    words = [a or b for a, b in STRINGS.findall(text)]
    for kind, values in listed.values.items():
        forms: Iterable[str] = (identity,) if kind == "id" else ()
        if kind == "domain":
            forms = (name for word in words if "://" in word for name in _domains(word))
        elif kind == "author":
            forms = (name for word in words for name in _names(word))
        for form in (*forms, *map(FORMS[kind], words)):
            if form in values:
                return listed.told(kind, form)
    return ""


def matches(batch: "pa.RecordBatch", listed: Suppression) -> list[str]:
    """For each document of a batch the entry that names it, or ""."""
    return _matches(listed, *(batch.column(name).to_pylist() for name in ("id", "url", "meta")))
