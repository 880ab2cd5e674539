"""Look at one file of a source: is it there, has it the columns that the catalogue says, can its content be had."""

import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from openseek.data.sources import READERS, Source
from openseek.data.sources.content import fetch, of_the_store
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Rows
from openseek.raw_files import RawFile

LIMITS = Limits(16 << 20, 1000.0)
LOOKED_AT = 100


class Unreachable(ValueError):
    """The place of a source gives no answer."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """What the first record of a source's first file showed."""

    file: str
    """Its path below the source root."""
    columns: tuple[str, ...]
    """The columns of the record."""
    content: str
    """What became of the content that it names; "" for rows that hold their text."""


def probe(source: Source, wanted: tuple[str, ...], seconds: float) -> Probe:
    """Read the first record; ValueError names the columns found where one is missing, or the place that is silent."""
    return _within(seconds, lambda: _probe(source, wanted), source)


def _probe(source: Source, wanted: tuple[str, ...]) -> Probe:
    file = first_file(source)
    # Columns that a row takes apart stay in its meta under their own names.
    plain = dataclasses.replace(source, url_column="", date_column="", licence_column="")
    row = _first_row(READERS[source.format_of(file)](file, plain, LIMITS), file)
    columns = {*row.meta, source.content.column or source.text_column}
    if missing := [name for name in wanted if name not in columns]:
        raise ValueError(
            f"{file.relative} has no column {', '.join(map(repr, missing))}; it has {', '.join(sorted(columns))}: "
            f"the set has changed, or is not the one that the catalogue means"
        )
    return Probe(file.relative, tuple(sorted(columns)), _content(row, source) if source.content.column else "")


def first_file(source: Source) -> RawFile:
    """The first file of a source, in the order in which ingest reads them."""
    from openseek.artifact import raw_files

    if "://" in source.path:
        return _first_remote(source.path)
    root, files = raw_files(source.path)
    return RawFile(str(files[0]), str(files[0].relative_to(root)), files[0].stat().st_size)


def _first_remote(pattern: str) -> RawFile:
    """The first file of a URL, of a glob below one, or of a published list."""
    from fsspec.core import url_to_fs

    from openseek.raw_index import indexed, is_indexed

    if is_indexed(pattern):
        url, relative = indexed(pattern)[0]
        system, path = url_to_fs(url)
    else:
        system, path = url_to_fs(pattern)
        if set("*?[") & set(path):
            found = sorted(system.glob(path))
            if not found:
                raise ValueError(f"{pattern} names no file: look at the address and the glob")
            path = found[0]
        url, relative = system.unstrip_protocol(path), path.rpartition("/")[2]
    return RawFile(url, relative, system.info(path)["size"])


def _first_row(items: Iterator[Item], file: RawFile) -> Row:
    bad = "none is a document"
    try:
        for item in islice(items, LOOKED_AT):
            if isinstance(item, Row):
                return item
            if isinstance(item, Rows):
                return next(item.rows())
            if isinstance(item, Bad):
                bad = item.error
    except BrokenStream as broken:
        bad = broken.reason
    raise ValueError(f"{file.relative}: no sound record among the first {LOOKED_AT}: {bad}")


def _content(row: Row, source: Source) -> str:
    """What asking for one row's content gives, whether or not its row is wanted."""
    content = dataclasses.replace(
        source.content, vendored_column="", generated_column="", licence_types=(), size_column="", attempts=1
    )
    (item,) = fetch(iter([row]), dataclasses.replace(source, content=content))
    if isinstance(item, Row):
        return f"content {row.text}: {len(item.text)} characters"
    raise ValueError(item.error if isinstance(item, Bad) else f"content {row.text} is not in {source.content.root}")


def _within(seconds: float, look: Callable[[], Probe], source: Source) -> Probe:
    """The answer of `look`, unless the network takes longer: nothing waits for a thread that is stuck there."""
    answers: queue.Queue[Any] = queue.Queue()

    def run() -> None:
        try:
            answers.put(look())
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=run, daemon=True, name="probe").start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise Unreachable(f"cannot reach {source.path}: no answer within {seconds:g} s") from None
    if isinstance(answer, Probe):
        return answer
    if isinstance(answer, Exception) and of_the_store(answer):
        said = " ".join(str(answer).split())[:200] or type(answer).__name__
        raise Unreachable(f"cannot reach {source.path}: {said}") from answer
    raise answer
