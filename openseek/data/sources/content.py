"""Text that is fetched by id: rows of the-stack-v2 and python-edu name a blob of Software Heritage and hold no text."""

import dataclasses
import hashlib
import re
import time
import urllib.parse
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from openseek.data.sources.record import Bad, Item, Row, Rows, Skipped

if TYPE_CHECKING:
    from openseek.data.sources import Source

Get = Callable[[str, int], bytes]
LONGEST_PAUSE_SECONDS = 60.0
NETWORK_PACKAGES = frozenset(
    ("aiohttp", "aiobotocore", "botocore", "gcsfs", "google", "httpx", "huggingface_hub", "requests", "urllib3")
)
BUSY = {408, 425, 429, 500, 502, 503, 504}
GZIP_MAGIC = b"\x1f\x8b"
BOM = "\ufeff"
HEAD_BYTES = 4096
ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*")
# Contents after which a store that gave none is taken for the wrong one.
ENOUGH = 32


@dataclasses.dataclass(frozen=True)
class Content:
    """Where the text of a row is fetched, by the id that the row holds."""

    column: str = ""
    """Column of the id, such as blob_id; empty: the text stands in the row."""
    root: str = field(default="", metadata={"runtime": True})
    """Folder or URL below which each id is a gzip file; any mirror gives the same bytes, so it is not fingerprinted."""
    encoding_column: str = "src_encoding"
    """Column of the character set; rows without one are UTF-8, with U+FFFD for what is not."""
    vendored_column: str = "is_vendor"
    """Column that is true for copies of other people's code: not fetched (rule vendored); empty: fetched."""
    generated_column: str = "is_generated"
    """Column that is true for generated code: not fetched (rule generated); empty: fetched."""
    licence_type_column: str = "license_type"
    """Column of the type of licence (rule licence_type)."""
    licence_types: tuple[str, ...] = ()
    """Types of licence that are fetched; none: all."""
    size_column: str = "length_bytes"
    """Column of the size, so that what is too large is not fetched; it may be missing."""
    max_bytes: int = 4 << 20
    """A content above this size, unpacked, goes to quarantine and never is in memory as a whole."""
    digest: Literal["any", "sha1", "sha1_git", "none"] = "any"
    """What the id is: sha1 of the bytes (Software Heritage's bucket), sha1_git (a git blob), either, unchecked."""
    at_once: int = field(default=16, metadata={"runtime": True})
    """Requests under way at a time, for each file that is read."""
    attempts: int = field(default=6, metadata={"runtime": True})
    """Times a content is asked for before it goes to quarantine."""
    pause_seconds: float = field(default=0.5, metadata={"runtime": True})
    """Wait before the second attempt; it doubles each time, and up to half of it more is added at random."""
    timeout_seconds: float = field(default=60.0, metadata={"runtime": True})
    """Longest wait for one answer over http."""

    def __post_init__(self) -> None:
        if self.column and not self.root:
            raise ValueError(f"Content.root is empty: say where the contents of {self.column!r} lie (folder or URL)")
        address = urllib.parse.urlsplit(self.root)
        if address.scheme and ("@" in address.netloc or address.query):
            raise ValueError(
                f"Content.root names an account or a signature for {address.hostname}: give the plain address, "
                f"credentials come from the environment"
            )
        for name in ("max_bytes", "at_once", "attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"Content.{name} is {getattr(self, name)}: give at least 1")
        if self.pause_seconds < 0 or self.timeout_seconds <= 0:
            raise ValueError("Content.pause_seconds must be at least 0 and timeout_seconds above 0")


def fetch(items: Iterator[Item], source: "Source") -> Iterator[Item]:
    """The same items in the same order, with each row's text, which is an id, replaced by what the id stands for.

    A row that is not wanted or whose content is not there is dropped by name; one that could not be had, or is not what
    its id says, goes to quarantine. ValueError when not one of the first contents can be had.
    """
    content = source.content
    get = store(content)
    waiting: deque[Item | Future[_Answer]] = deque()
    answers = had = 0
    pool = ThreadPoolExecutor(content.at_once, thread_name_prefix="content")
    try:
        for ready in _ahead(items, waiting, pool, content, get):
            if isinstance(ready, _Answer):
                answers, had = answers + 1, had + ready.had
                if answers == ENOUGH and not had:
                    told = ready.item.rule if isinstance(ready.item, Skipped) else getattr(ready.item, "error", "")
                    raise ValueError(
                        f"none of the first {ENOUGH} contents of {source.name!r} can be had below {content.root} "
                        f"({told}): set content.root to where they lie"
                    )
                yield ready.item
            else:
                yield ready
    finally:
        pool.shutdown(cancel_futures=True)


class _Answer(NamedTuple):
    """What became of a row whose content was asked for; `had`: whether the store gave anything."""

    item: Item
    had: bool


def _ahead(
    items: Iterator[Item],
    waiting: "deque[Item | Future[_Answer]]",
    pool: ThreadPoolExecutor,
    content: Content,
    get: Get,
) -> "Iterator[Item | _Answer]":
    """Ask for contents ahead of their turn, for twice as many items as there are requests at once."""
    single = (one for item in items for one in (item.rows() if isinstance(item, Rows) else (item,)))
    for item in single:
        if isinstance(item, Row):
            item = unwanted(item, content) or item
        waiting.append(pool.submit(_answer, item, content, get) if isinstance(item, Row) else item)
        if len(waiting) > 2 * content.at_once:
            yield _result(waiting.popleft())
    while waiting:
        yield _result(waiting.popleft())


def _result(head: "Item | Future[_Answer]") -> "Item | _Answer":
    return head.result() if isinstance(head, Future) else head


def unwanted(row: Row, content: Content) -> Item | None:
    """Why a row's content is not even asked for; None when it is."""
    for column, rule in ((content.vendored_column, "vendored"), (content.generated_column, "generated")):
        if column and row.meta.get(column):
            return Skipped(row.position, rule, detail=row.text)
    if content.licence_types:
        if (column := content.licence_type_column) not in row.meta:
            shown = ", ".join(sorted(row.meta)) or "none"
            return Bad(row.position, f"the column {column!r} is missing (columns: {shown})", missing_column=column)
        if row.meta[column] not in content.licence_types:
            return Skipped(row.position, "licence_type", detail=f"{row.meta[column]} {row.text}")
    size = row.meta.get(content.size_column)
    if isinstance(size, int) and size > content.max_bytes:
        return _too_large(row, f"{size} bytes", content)
    if not ID.fullmatch(row.text):
        return Bad(row.position, f"{row.text[:80]!r} is no id of a content (column {content.column!r})")
    return None


def _too_large(row: Row, size: str, content: Content) -> Bad:
    return Bad(row.position, f"content {row.text}: {size}, above content.max_bytes {content.max_bytes}")


def _answer(row: Row, content: Content, get: Get) -> _Answer:
    """Ask for one row's content until it is had, is known to be missing, or the attempts are used up."""
    random = Random(row.text)
    pause = content.pause_seconds
    for attempt in range(1, content.attempts + 1):
        try:
            # Gzip adds little to what does not compress: more bytes than this hold more than the limit, unpacked.
            stored = get(row.text, content.max_bytes + (content.max_bytes >> 8) + 1024)
            return _Answer(_filled(row, stored, content), True)
        except FileNotFoundError:
            return _Answer(Skipped(row.position, "content_missing", detail=row.text), False)
        except Exception as error:
            if not of_the_store(error):
                raise
            reason = f"{type(error).__name__}: {error}".replace(content.root, "")
            if attempt == content.attempts or not _may_pass(error):
                said = f"content {row.text} could not be had in {attempt} attempts ({reason[:200]})"
                return _Answer(Bad(row.position, said), False)
        time.sleep(min(pause * (1 + random.random() / 2), LONGEST_PAUSE_SECONDS))
        pause *= 2
    raise AssertionError("the last attempt returns")


def of_the_store(error: Exception) -> bool:
    """Whether an error is the store's or the network's, and no mistake of ours."""
    return isinstance(error, OSError | EOFError) or type(error).__module__.split(".")[0] in NETWORK_PACKAGES


def _may_pass(error: Exception) -> bool:
    """Whether asking again may help: not for what is forbidden or wrongly asked."""
    status = getattr(error, "status", None)
    return not isinstance(error, PermissionError) and (not isinstance(status, int) or status in BUSY)


def _filled(row: Row, stored: bytes, content: Content) -> Item:
    """The row with the text of its content, or why it has none."""
    try:
        data = _unpacked(stored, row.text, content)
    except zlib.error as error:
        return Bad(row.position, f"content {row.text} is damaged ({error})", stored[:HEAD_BYTES])
    if data is None:
        return _too_large(row, "more bytes, unpacked", content)
    if content.digest != "none" and not _is(data, row.text, content):
        return Bad(row.position, f"content {row.text} does not match its id ({content.digest})", data[:HEAD_BYTES])
    named = row.meta.get(content.encoding_column)
    text = _decoded(data, named if isinstance(named, str) else "")
    if text is None:
        return Bad(row.position, f"content {row.text} is neither {named} nor UTF-8", data[:HEAD_BYTES])
    if not text.strip():
        return Skipped(row.position, "no_text", len(text), 1, row.text)
    return dataclasses.replace(row, text=text, meta={**row.meta, content.column: row.text})


def _unpacked(stored: bytes, identity: str, content: Content) -> bytes | None:
    """The bytes of a gzip file, or None for more than `max_bytes` of them; a mirror may hold them unpacked."""
    if not stored.startswith(GZIP_MAGIC):
        if content.digest != "none" and _is(stored, identity, content):
            return stored if len(stored) <= content.max_bytes else None
        raise zlib.error("no gzip file")
    member = zlib.decompressobj(wbits=31)
    data = member.decompress(stored, content.max_bytes + 1)
    if len(data) > content.max_bytes:
        return None
    if not member.eof:
        raise zlib.error("cut off")
    return data


def _is(data: bytes, identity: str, content: Content) -> bool:
    """Whether these bytes have this id, as the config says how ids are made."""
    plain = hashlib.sha1(data, usedforsecurity=False)
    blob = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    blob.update(data)
    allowed = {"sha1": (plain,), "sha1_git": (blob,), "any": (plain, blob)}[content.digest]
    return identity.lower() in [digest.hexdigest() for digest in allowed]


def _decoded(data: bytes, encoding: str) -> str | None:
    """The text in the encoding that the row names, else in UTF-8; without a name UTF-8 with U+FFFD for what is not."""
    if not encoding:
        return data.decode("utf-8", "replace").removeprefix(BOM)
    for name in (encoding, "utf-8"):
        try:
            return data.decode(name).removeprefix(BOM)
        except (UnicodeError, LookupError):
            continue
    return None


def store(content: Content) -> Get:
    """A function that gives the stored bytes of an id, at most so many; FileNotFoundError when there is none."""
    if "://" not in content.root:
        folder = Path(content.root).expanduser()
        if not folder.is_dir():
            raise ValueError(f"Content.root {content.root} is no folder: give the folder or URL of the contents")

        def read(identity: str, most: int) -> bytes:
            with open(folder / identity, "rb") as file:
                return file.read(most)

        return read
    options: dict[str, Any] = {}
    if content.root.startswith(("http://", "https://")):
        import aiohttp

        options = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=content.timeout_seconds)}}
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(content.root, **options)
    except ImportError as error:
        raise ValueError(f"Content.root {content.root}: {error}") from error
    return lambda identity, most: system.cat_file(f"{root.rstrip('/')}/{identity}", start=0, end=most)
