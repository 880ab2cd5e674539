"""Raw files at a URL, through fsspec: listed, told apart by what the server says of them, opened with bounded memory.

Signatures and accounts in a URL serve to open a file; no message, manifest or log shows them.
"""

import io
import urllib.parse
from collections.abc import Iterable
from typing import Any, BinaryIO

PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs==2026.9.0"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs==2026.10.1"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    "hf": "huggingface_hub",
}
# What tells one state of a file from another, best first; the last four are good only beside the size.
STATES = ("ETag", "etag", "checksum", "Content-MD5", "md5Hash", "sha256", "blob_id", "sha")
STATES += ("Last-Modified", "LastModified", "last_modified", "created")
WILDCARDS = frozenset("*[")
BUFFER_BYTES = 1 << 20
READ_AHEAD_BYTES = 4 << 20


def shown(url: str) -> str:
    """A URL without account, password, query and fragment: the form for messages. Local paths stay."""
    if "://" not in url:
        return url
    address = urllib.parse.urlsplit(url)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _fixed(url: str) -> tuple[str, bool]:
    """(the part of a URL before its first component with a wildcard, whether there is one); a query is no wildcard."""
    path = url.partition("?")[0] if _is_web(url) else url
    parts = path.split("/")
    wild = WILDCARDS if _is_web(url) else WILDCARDS | {"?"}
    first = next((i for i, part in enumerate(parts) if wild & set(part)), None)
    return (path, False) if first is None else ("/".join(parts[:first]), True)


def remote_files(pattern: str) -> list[tuple[str, str, int, str]]:
    """(URL, path below the source root, bytes, state) of the files that a URL, a glob or a published list names.

    Several URLs may be given, with spaces between them. ValueError, without secrets, for what cannot be had.
    """
    from openseek.raw_index import indexed, is_indexed

    words = pattern.split()
    if len(words) > 1:
        named = [(url, urllib.parse.urlsplit(url).path) for url in words]
        root = _common_root([path for _, path in named])
        return [_told(url, path[len(root) :]) for url, path in named]
    if is_indexed(pattern):
        return [_told(url, relative) for url, relative in indexed(pattern)]
    fixed, is_glob = _fixed(pattern)
    try:
        found = _listed(pattern, fixed, is_glob)
    except Exception as error:
        raise _unreachable(pattern, error) from None
    if not found:
        raise ValueError(f"raw input {shown(pattern)} names no file: give an existing file, a folder or a glob")
    return sorted(found, key=lambda item: item[1])


def _common_root(paths: list[str]) -> str:
    folders = [path.rpartition("/")[0] + "/" for path in paths]
    root = folders[0]
    while not all(folder.startswith(root) for folder in folders):
        root = root.rstrip("/").rpartition("/")[0] + "/"
    return root


def _listed(pattern: str, fixed: str, is_glob: bool) -> list[tuple[str, str, int, str]]:
    system, path = _system(pattern)
    if not is_glob:
        told = system.info(path)
        if told["type"] == "file":
            return [(pattern, fixed.rpartition("/")[2], _size(told, pattern), _state(told, pattern))]
        found: Any = system.find(path, detail=True)
    else:
        found = system.glob(path, detail=True)
    root = _system(fixed)[1].rstrip("/") + "/"
    names = {name: told for name, told in found.items() if told["type"] == "file"}
    visible = {n: told for n, told in names.items() if is_glob or not n.rpartition("/")[2].startswith(".")}
    return [
        (system.unstrip_protocol(name), name.removeprefix(root), _size(told, name), _state(told, name))
        for name, told in visible.items()
    ]


def _told(url: str, relative: str) -> tuple[str, str, int, str]:
    try:
        system, path = _system(url)
        told = system.info(path)
        return url, relative, _size(told, url), _state(told, url)
    except Exception as error:
        raise _unreachable(url, error) from None


def _system(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url)
    except ImportError:
        protocol = url.partition("://")[0]
        remedy = f"install {PACKAGES[protocol]}" if protocol in PACKAGES else "install the package that fsspec names"
        raise ValueError(f"{shown(url)}: reading {protocol}:// needs another package: {remedy}") from None


def _unreachable(url: str, error: Exception) -> ValueError:
    """What went wrong, without the library's own words: they hold the URL with its signature."""
    if isinstance(error, ValueError) and str(error).startswith(shown(url).partition("*")[0]):
        return error
    status = getattr(error, "status", "")
    what = f"{type(error).__name__} {status}".strip()
    return ValueError(
        f"raw input {shown(url)} cannot be had ({what}): look at the address, the network and the credentials "
        f"(they come from the environment)"
    )


def _size(told: dict[str, Any], url: str) -> int:
    if told.get("size") is None:
        raise ValueError(f"{shown(url)}: the server does not tell its size: copy the file to a folder and give that")
    return int(told["size"])


def _state(told: dict[str, Any], url: str) -> str:
    """The etag, or whatever else the server tells of the file's state."""
    for name in STATES:
        if told.get(name):
            return f"{name.lower()} {told[name]}"
    raise ValueError(
        f"{shown(url)}: the server tells neither etag nor time of change, so that a changed file could not be noticed: "
        f"copy the file to a folder and give that"
    )


class _Remote(io.RawIOBase):
    """An fsspec file whose errors are OSErrors that show no secret."""

    def __init__(self, inner: Any, url: str) -> None:
        self._inner, self._url = inner, url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._call(self._inner.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._call(self._inner.seek, offset, whence)

    def tell(self) -> int:
        return self._call(self._inner.tell)

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()

    def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            raise OSError(f"{shown(self._url)}: {type(error).__name__} while reading") from None


def open_remote(url: str) -> BinaryIO:
    """The bytes at a URL, seekable, read ahead in bounded steps."""
    try:
        system, path = _system(url)
        inner = system.open(path, "rb", block_size=READ_AHEAD_BYTES, cache_type="readahead")
    except Exception as error:
        raise OSError(str(_unreachable(url, error))) from None
    return io.BufferedReader(_Remote(inner, url), BUFFER_BYTES)


def names(files: Iterable[tuple[str, str, int, str]]) -> list[list[Any]]:
    """What a fingerprint counts of remote files: path below the root, bytes, state."""
    return [[relative, size, state] for _, relative, size, state in files]
