"""Electronic books (EPUB 2 and 3): one document a chapter, in reading order, or one a book."""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from openseek.data.sources.chapters import Chapter, Unreadable, documents_only, plain_text, to_items
from openseek.data.sources.record import Bomb, BrokenStream, Item, Limits
from openseek.data.sources.streams import BOMB_FLOOR_BYTES
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

HEAD_BYTES = 4096
MAX_MEMBERS = 20_000
CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
# Encryption of fonts alone is no copy protection.
FONTS = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")
TERMS = ("title", "creator", "language", "rights", "publisher", "identifier", "subject", "date")


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """An item a chapter of the spine. Position: the number of the chapter, from 0.

    Nothing is unpacked to disk. A book that is cut off is a BrokenStream, one that expands too far a Bomb; a chapter
    that cannot be read goes to quarantine and the others stay.
    """
    documents_only(path, source, "epub")
    with path.open() as raw:
        head = raw.read(HEAD_BYTES)
        if head[:2] != b"PK"[: len(head)]:
            raise ValueError(f"{path} is no EPUB (it begins with {head[:16]!r}): set the format of its source")
        try:
            archive = zipfile.ZipFile(raw)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise BrokenStream(
                path.size, f"the EPUB has no directory: it is cut off or damaged ({error})", head
            ) from error
        with archive:
            _check_size(path, archive, limits)
            yield from to_items(_chapters(archive, source.split != "file", path, limits), source, limits)


def _check_size(path: RawFile, archive: zipfile.ZipFile, limits: Limits) -> None:
    members = archive.infolist()
    expanded = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS:
        raise Bomb(0, f"the archive holds {len(members)} files, more than {MAX_MEMBERS}")
    if expanded > max(BOMB_FLOOR_BYTES, limits.expansion * path.size):
        raise Bomb(0, f"{path.size} bytes expand to {expanded}, beyond max_expansion {limits.expansion:g}")


def _chapters(archive: zipfile.ZipFile, split: bool, path: RawFile, limits: Limits) -> Iterator[Chapter | Unreadable]:
    """The chapters of the spine, or one for the whole book."""
    from openseek.data.sources.xhtml import page_text

    meta, spine = _package(archive, limits)
    meta = {"path": path.relative, **meta}
    texts = []
    for name in spine:
        try:
            text, heading = page_text(plain_text(_member(archive, name, limits)))
        except (Unreadable, ValueError) as error:
            problem = Unreadable(f"chapter {name}: {error}", getattr(error, "head", b""))
            if not split:
                # Half a book is no book.
                raise problem from error
            yield problem
            continue
        texts.append(text)
        if split:
            yield Chapter(text, {**meta, "chapter": heading, "member": name})
    if not split:
        yield Chapter("\n\n".join(text for text in texts if text), meta)


def _member(archive: zipfile.ZipFile, name: str, limits: Limits) -> bytes:
    """The bytes of one file of the archive, within the limit whatever its directory says of it."""
    try:
        with archive.open(name) as file:
            data = file.read(limits.record_bytes + 1)
    except KeyError as error:
        raise Unreadable("the archive does not hold it") from error
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        # RuntimeError: it is encrypted.
        raise Unreadable(f"it cannot be unpacked ({error})") from error
    if len(data) > limits.record_bytes:
        raise Unreadable(f"it has more than {limits.record_bytes} bytes (max_record_bytes)", data[:HEAD_BYTES])
    return data


def _package(archive: zipfile.ZipFile, limits: Limits) -> tuple[dict[str, Any], list[str]]:
    """What the package document says of the book, and the files of its spine in order."""
    if ENCRYPTION in archive.namelist():
        found = _member(archive, ENCRYPTION, limits)
        if found.count(b"EncryptionMethod ") > sum(found.count(font) for font in FONTS):
            raise Unreadable("the book is encrypted (copy protection)", found[:HEAD_BYTES])
    container = _xml(_member(archive, CONTAINER, limits), CONTAINER)
    name = next((node.get("full-path") for node in container.iter("{*}rootfile")), None)
    if not name:
        raise Unreadable(f"{CONTAINER} names no package document")
    package = _xml(_member(archive, name, limits), name)
    meta: dict[str, Any] = {}
    for term in TERMS:
        values = [v for node in package.iter(f"{{http://purl.org/dc/elements/1.1/}}{term}") if (v := _text(node))]
        meta["author" if term == "creator" else term] = values[0] if len(values) == 1 else values
    items = {node.get("id"): node for node in package.iter("{*}item")}
    spine = []
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or reference.get("linear") == "no" or "nav" in (item.get("properties") or "").split():
            continue
        if item.get("media-type") in PAGES and item.get("href"):
            # A name that leaves the archive is in no archive: reading it says so.
            target = unquote(item.get("href").partition("#")[0])
            spine.append(posixpath.normpath(posixpath.join(posixpath.dirname(name), target)))
    if not spine:
        raise Unreadable("the package document names no chapter")
    return meta, spine


def _xml(data: bytes, name: str) -> Any:
    import lxml.etree as etree

    parser: Any = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"{name} is no XML ({error})", data[:HEAD_BYTES]) from error


def _text(node: Any) -> str:
    return " ".join("".join(node.itertext()).split())
