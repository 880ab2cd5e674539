"""Raw files at URLs: listing, states for fingerprints, no secret in any message."""

import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from openseek import raw_files, remote_files
from openseek.artifact import canonical
from openseek.data.sources import Source

LINES = b"".join(json.dumps({"text": f"text {i}"}).encode() + b"\n" for i in range(3000))
SECRET = "X-Signature=very-secret"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves LINES with an etag and ranges below /data/, without either state below /bare/, 403 below /shut/."""

    etag = '"one"'

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        if not self.path.startswith(("/data/", "/bare/")):
            self.send_error(403 if self.path.startswith("/shut/") else 404)
            return
        begin, end = 0, len(LINES)
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or end - 1) + 1, end)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(end - begin))
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(LINES)}")
        if self.path.startswith("/data/"):
            self.send_header("ETag", self.etag)
        self.end_headers()
        if body:
            self.wfile.write(LINES[begin:end])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_address[1]}"
    served.shutdown()
    served.server_close()


@pytest.fixture
def memory() -> Iterator[str]:
    import fsspec

    system = fsspec.filesystem("memory")
    for name in ("set/en/a.jsonl", "set/en/b.jsonl.gz", "set/zh/c.jsonl", "set/zh/.hidden", "set/notes.txt"):
        system.pipe(f"/{name}", gzip.compress(LINES) if name.endswith("gz") else LINES)
    yield "memory://set"
    system.rm("/set", recursive=True)


def test_folders_and_globs_give_paths_below_their_fixed_part(memory: str) -> None:
    assert [file.relative for file in raw_files.find(memory)] == [
        "en/a.jsonl",
        "en/b.jsonl.gz",
        "notes.txt",
        "zh/c.jsonl",
    ]
    assert [f.relative for f in raw_files.find(f"{memory}/*/*.jsonl")] == ["en/a.jsonl", "zh/c.jsonl"]
    (file,) = raw_files.find(f"{memory}/en/a.jsonl")
    assert (file.relative, file.name, file.size) == ("a.jsonl", "a.jsonl", len(LINES))
    with file.open() as opened:
        opened.seek(-20, 2)
        assert opened.read() == LINES[-20:]


def test_a_web_file_counts_by_its_etag_and_opens_with_its_signature(server: str, monkeypatch) -> None:
    url = f"{server}/data/deep/a.jsonl?{SECRET}"
    (file,) = raw_files.find(url)
    assert (file.relative, file.size, str(file)) == ("a.jsonl", len(LINES), f"{server}/data/deep/a.jsonl")
    assert SECRET not in repr(file)
    with file.open() as opened:
        assert opened.read() == LINES
    before = canonical(Source("s", url))
    assert before["path"] == [["a.jsonl", len(LINES), 'etag "one"']]
    assert SECRET not in json.dumps(before)
    monkeypatch.setattr(Handler, "etag", '"two"')
    assert canonical(Source("s", url)) != before


def test_several_urls_stand_side_by_side(server: str) -> None:
    found = raw_files.find(f"{server}/data/en/a.jsonl {server}/data/zh/a.jsonl")
    assert [file.relative for file in found] == ["en/a.jsonl", "zh/a.jsonl"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("bare/a.jsonl", "tells neither etag nor time of change"),
        ("shut/a.jsonl", "cannot be had .*credentials"),
        ("none/a.jsonl", "cannot be had"),
    ],
)
def test_errors_name_the_remedy_and_no_secret(server: str, path: str, message: str) -> None:
    url = f"{server.replace('http://', 'http://user:password@')}/{path}?{SECRET}"
    with pytest.raises(ValueError, match=message) as caught:
        raw_files.raw_listing(url)
    assert "secret" not in str(caught.value)
    assert "password" not in str(caught.value)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ValueError, match=r"gs://bucket/a: reading gs:// needs another package: install gcsfs=="):
        raw_files.find("gs://bucket/a")


def test_s3_paths_reach_s3fs() -> None:
    system, path = remote_files._system("s3://bucket/data/a.jsonl")
    assert (type(system).__name__, path) == ("S3FileSystem", "bucket/data/a.jsonl")


def test_urls_are_refused_where_local_files_are_wanted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="https://host/a is a URL, and this reads local files"):
        raw_files.raw_files("https://user:pw@host/a?sig=1")
