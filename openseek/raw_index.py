"""Files that a published list names: for hosts that cannot be listed, such as Common Crawl's and Dolma's.

The form is INDEX#GLOB: INDEX is the URL of a text file, plain or gzip, with one path or URL a line; GLOB is held
against the end of each. A path stands below the root of INDEX's host.
"""

import urllib.parse
import zlib
from pathlib import PurePosixPath

MOST_BYTES = 256 << 20
_WILDCARDS = frozenset("*?[")


def is_indexed(pattern: str) -> bool:
    """Whether a raw path is of the form INDEX#GLOB."""
    return "://" in pattern and "#" in pattern


def indexed(pattern: str) -> list[tuple[str, str]]:
    """(URL, path below the part of the glob without wildcards) of each file, sorted by URL; ValueError for none."""
    index, _, glob = pattern.partition("#")
    parts = PurePosixPath(glob).parts
    fixed = next((i for i, part in enumerate(parts) if _WILDCARDS & set(part)), len(parts) - 1)
    found = []
    for line in _lines(index):
        url = line if "://" in line else _below_host(index, line)
        path = PurePosixPath(urllib.parse.urlsplit(url).path)
        if path.match(glob):
            found.append((url, "/".join(path.parts[len(path.parts) - len(parts) + fixed :])))
    if not found:
        raise ValueError(
            f"the list {index} names no file that ends in {glob!r}: look at its lines, and change the glob"
        )
    return sorted(found)


def _below_host(index: str, path: str) -> str:
    address = urllib.parse.urlsplit(index)
    return f"{address.scheme}://{address.netloc}/{path.lstrip('/')}"


def _lines(index: str) -> list[str]:
    import fsspec

    with fsspec.open(index, "rb") as file:
        data: bytes = file.read(MOST_BYTES + 1)  # type: ignore[union-attr]
    if data.startswith(b"\x1f\x8b"):
        data = zlib.decompressobj(wbits=31).decompress(data, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"the list {index} is longer than {MOST_BYTES} bytes: is it a list of paths?")
    return [line.strip() for line in data.decode("utf-8").splitlines() if line.strip()]
