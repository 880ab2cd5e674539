"""Contents by id: order, damage, mismatches, sizes, encodings, what is not asked for, a store that fails at first."""

import gzip
import hashlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from openseek.data.sources import Source
from openseek.data.sources.content import Content, fetch
from openseek.data.sources.record import Bad, Item, Row, Rows, Skipped

Put = Callable[..., str]


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def git_id(data: bytes) -> str:
    return sha1(b"blob %d\0" % len(data) + data)


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """`put(data, identity="", stored=None)`: a content in the store; returns its id."""

    def write(data: bytes, identity: str = "", stored: bytes | None = None) -> str:
        identity = identity or sha1(data)
        (tmp_path / identity).write_bytes(gzip.compress(data) if stored is None else stored)
        return identity

    return write


def fetched(root: Path | str, rows: list[Any], **options: Any) -> list[Item]:
    """Rows given as an id, or as (id, meta)."""
    pairs = [row if isinstance(row, tuple) else (row, {}) for row in rows]
    items = [Row(10 * i, identity, meta=meta) for i, (identity, meta) in enumerate(pairs)]
    content = Content(column="blob_id", root=str(root), **{"pause_seconds": 0.001, **options})
    return list(fetch(iter(items), Source("code", "p", content=content)))


def test_texts_come_in_order_with_their_id_kept(put: Put, tmp_path: Path) -> None:
    ids = [put(b"print(%d)\n" % n) for n in range(200)]
    rows = fetched(tmp_path, [(identity, {"detected_licenses": ["MIT"]}) for identity in ids], at_once=3)
    assert [row.text for row in rows if isinstance(row, Row)] == [f"print({n})\n" for n in range(200)]
    assert [row.position for row in rows if isinstance(row, Row)] == [10 * n for n in range(200)]
    assert isinstance(rows[7], Row)
    assert rows[7].meta == {"detected_licenses": ["MIT"], "blob_id": ids[7]}


def test_items_that_are_no_rows_keep_their_place(put: Put, tmp_path: Path) -> None:
    import pyarrow as pa

    ids = [put(b"a = %d\n" % n) for n in range(3)]
    columns = Rows((1, 2), pa.array(ids[1:], pa.large_string()), ('{"path": "b"}', "{}"))
    items: list[Item] = [Row(0, ids[0]), Bad(5, "no JSON"), columns, Skipped(9, "no_text")]
    source = Source("code", "p", content=Content(column="blob_id", root=str(tmp_path)))
    got = list(fetch(iter(items), source))
    assert [item.position for item in got if not isinstance(item, Rows)] == [0, 5, 1, 2, 9]
    assert [item.text for item in got if isinstance(item, Row)] == ["a = 0\n", "a = 1\n", "a = 2\n"]
    assert got[2].meta == {"path": "b", "blob_id": ids[1]}  # type: ignore[union-attr]


def test_what_is_not_wanted_is_dropped_by_name_and_not_asked_for(put: Put, tmp_path: Path) -> None:
    wanted = put(b"x = 1\n")
    rows: list[Any] = [
        (wanted, {"license_type": "permissive", "is_vendor": False, "is_generated": None}),
        ("1" * 40, {"license_type": "permissive", "is_vendor": True}),
        ("2" * 40, {"license_type": "permissive", "is_generated": True}),
        ("3" * 40, {"license_type": "no_license"}),
        ("4" * 40, {"license_type": "permissive", "length_bytes": 5 << 20}),
        ("../../etc/passwd", {"license_type": "permissive"}),
        (wanted, {}),
    ]
    # Not one of the others is in the store: asked for, they would be missing.
    kept, vendored, generated, licence, large, odd, bare = fetched(tmp_path, rows, licence_types=("permissive",))
    assert isinstance(kept, Row)
    told = [(item.rule, item.detail) for item in (vendored, generated, licence) if isinstance(item, Skipped)]
    assert told == [("vendored", "1" * 40), ("generated", "2" * 40), ("licence_type", "no_license " + "3" * 40)]
    assert isinstance(large, Bad) and "5242880 bytes, above content.max_bytes 4194304" in large.error
    assert isinstance(odd, Bad) and "no id of a content" in odd.error
    assert isinstance(bare, Bad) and bare.missing_column == "license_type"
    # With the columns unnamed, everything is fetched.
    everything = fetched(tmp_path, rows[:4], vendored_column="", generated_column="")
    assert [item.rule for item in everything if isinstance(item, Skipped)] == ["content_missing"] * 3


def test_damage_and_mismatches_are_quarantined_and_missing_ones_dropped(put: Put, tmp_path: Path) -> None:
    packed = gzip.compress(b"def f():\n    return 1\n" * 50)
    rows = [
        put(b"sound\n"),
        "f" * 40,
        put(b"cut", stored=packed[:-12]),
        put(b"flipped", stored=packed[:20] + b"\0\0\0\0" + packed[24:]),
        put(b"", identity="e" * 40, stored=b""),
        put(b"other bytes\n", identity="a" * 40),
        put(b" \n\n"),
    ]
    sound, missing, cut, flipped, empty, other, blank = fetched(tmp_path, rows)
    assert isinstance(sound, Row)
    assert missing == Skipped(10, "content_missing", detail="f" * 40)
    for item, reason in ((cut, "damaged (cut off)"), (flipped, "damaged (Error"), (empty, "no gzip"), (other, "match")):
        assert isinstance(item, Bad) and reason in item.error, item
    assert isinstance(blank, Skipped) and (blank.rule, blank.value) == ("no_text", 3)
    (unchecked,) = fetched(tmp_path, ["a" * 40], digest="none")
    assert isinstance(unchecked, Row)


def test_an_id_is_either_sha1_or_as_the_config_says(put: Put, tmp_path: Path) -> None:
    data = b"package main\n"
    ids = [put(data), put(data, git_id(data))]
    assert [type(item) for item in fetched(tmp_path, ids)] == [Row, Row]
    assert [type(item) for item in fetched(tmp_path, ids, digest="sha1")] == [Row, Bad]
    assert [type(item) for item in fetched(tmp_path, ids, digest="sha1_git")] == [Bad, Row]


def test_a_mirror_may_hold_contents_unpacked_if_their_id_vouches_for_them(put: Put, tmp_path: Path) -> None:
    identity = put(b"plain = True\n", stored=b"plain = True\n")
    assert [type(item) for item in fetched(tmp_path, [identity])] == [Row]
    assert [type(item) for item in fetched(tmp_path, [identity], digest="none")] == [Bad]


def test_a_large_content_is_never_unpacked_as_a_whole(put: Put, tmp_path: Path) -> None:
    import tracemalloc

    bomb = put(b"\0" * (200 << 20))
    tracemalloc.start()
    (item,) = fetched(tmp_path, [bomb], max_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(item, Bad) and "more bytes, unpacked, above content.max_bytes 1048576" in item.error
    assert peak < 16 << 20
    at_limit = put(b"a" * (1 << 20))
    assert isinstance(fetched(tmp_path, [at_limit], max_bytes=1 << 20)[0], Row)


def test_encodings_are_the_row_s_then_utf8(put: Put, tmp_path: Path) -> None:
    chinese, western = "# 注释\n".encode("gb18030"), "# é\n".encode("latin-1")
    rows: list[Any] = [
        (put(chinese), {"src_encoding": "GB18030"}),
        (put(western), {"src_encoding": "ISO-8859-1"}),
        (put("# ü\n".encode()), {"src_encoding": "no-such-code"}),
        (put("\ufeff# bom\n".encode()), {"src_encoding": "UTF-8"}),
        (put(western), {"src_encoding": "UTF-8"}),
        (put(western), {}),
        (put(western), {"src_encoding": None}),
    ]
    got = fetched(tmp_path, rows)
    assert [item.text for item in got if isinstance(item, Row)] == [
        "# 注释\n",
        "# é\n",
        "# ü\n",
        "# bom\n",
        "# \ufffd\n",
        "# \ufffd\n",
    ]
    assert isinstance(got[4], Bad) and "neither UTF-8 nor UTF-8" in got[4].error


def test_a_store_that_has_none_is_the_wrong_one(tmp_path: Path) -> None:
    rows = [f"{n:040d}" for n in range(40)]
    assert len(fetched(tmp_path, rows[:31])) == 31
    with pytest.raises(
        ValueError, match=r"none of the first 32 contents of 'code'.*\(content_missing\): set content.root"
    ):
        fetched(tmp_path, rows)
    with pytest.raises(ValueError, match="is no folder"):
        fetched(tmp_path / "nowhere", rows)


def test_the_rows_ahead_are_few(put: Put, tmp_path: Path) -> None:
    ids = [put(b"n = %d\n" % n) for n in range(100)]
    taken = 0

    def rows() -> Iterator[Item]:
        nonlocal taken
        for taken, identity in enumerate(ids, 1):
            yield Row(taken, identity)

    made = fetch(rows(), Source("code", "p", content=Content(column="blob_id", root=str(tmp_path), at_once=4)))
    next(made)
    assert taken == 9
    made.close()  # type: ignore[attr-defined]


@pytest.fixture
def flaky(tmp_path: Path) -> Iterator[tuple[str, Counter[str], dict[str, list[int]]]]:
    """A store over http; `answers[id]` are the codes that it gives before the content; requests are counted."""
    asked: Counter[str] = Counter()
    answers: dict[str, list[int]] = {}
    running = {"now": 0, "most": 0}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            with lock:
                asked[name] += 1
                running["now"] += 1
                running["most"] = asked["most at once"] = max(running["most"], running["now"])
                code = answers[name].pop(0) if answers.get(name) else 200
            time.sleep(0.01)
            found = tmp_path / name
            data = found.read_bytes() if code == 200 and found.exists() else b""
            # Before the answer: the next request comes when the client has it.
            with lock:
                running["now"] -= 1
            self.send_response(code if code != 200 or found.exists() else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/content", asked, answers
    server.shutdown()
    server.server_close()


def test_a_store_that_fails_at_first_is_asked_again(
    put: Put, flaky: tuple[str, Counter[str], dict[str, list[int]]]
) -> None:
    root, asked, answers = flaky
    ids = [put(b"v = %d\n" % n) for n in range(12)]
    answers[ids[1]], answers[ids[2]], answers[ids[3]] = [503, 503], [500] * 9, [403]
    got = fetched(root, [*ids, "9" * 40], attempts=4, at_once=5)
    kinds = [type(item) for item in got]
    assert kinds == [Row, Row, Bad, Bad, *[Row] * 8, Skipped]
    assert [asked[identity] for identity in ids[:4]] == [1, 3, 4, 1]
    assert asked["9" * 40] == 1
    assert "could not be had in 4 attempts" in got[2].error  # type: ignore[union-attr]
    assert "could not be had in 1 attempts" in got[3].error  # type: ignore[union-attr]
    assert 1 < asked["most at once"] <= 5


def test_nobody_there_is_an_answer_too(put: Put) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (item,) = fetched(f"http://127.0.0.1:{port}/content", ["1" * 40], attempts=2)
    assert isinstance(item, Bad) and "could not be had in 2 attempts" in item.error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": ""}, "Content.root is empty"),
        ({"root": "https://me:secret@host/content"}, "names an account or a signature for host"),
        ({"root": "https://host/content?X-Amz-Signature=abc"}, "names an account or a signature"),
        ({"at_once": 0}, "Content.at_once is 0"),
        ({"attempts": 0}, "Content.attempts is 0"),
        ({"max_bytes": 0}, "Content.max_bytes is 0"),
        ({"timeout_seconds": 0.0}, "timeout_seconds above 0"),
    ],
)
def test_wrong_contents_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Content(**{"column": "blob_id", "root": "/content", **options})
    assert "secret" not in str(caught.value) and "abc" not in str(caught.value)


def test_every_content_of_the_shared_corpus_has_the_id_it_claims(shared: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(shared / "code" / "the-stack-v2" / "data" / "train-00000-of-00001.parquet")
    rows = [(row["blob_id"], row) for row in table.to_pylist()]
    got = Counter(type(item).__name__ for item in fetched(shared / "code" / "swh-content", rows, digest="sha1_git"))
    unwanted = sum(bool(row["is_vendor"] or row["is_generated"]) for _, row in rows)
    assert got == {"Row": 880 - unwanted, "Skipped": unwanted}
    # These ids are git's: read as plain sha1 not one would be what it claims.
    wrong = fetched(shared / "code" / "swh-content", [identity for identity, _ in rows[:20]], digest="sha1")
    assert {type(item) for item in wrong} == {Bad}
