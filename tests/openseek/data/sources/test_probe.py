"""A probe: columns found and missing, contents, places that are not there or never answer."""

import dataclasses
import json
import socket
import time
from pathlib import Path

import pytest

from openseek.data.sources import Source
from openseek.data.sources.content import Content
from openseek.data.sources.probe import Unreachable, probe


def test_columns_are_compared_with_the_first_sound_record(tmp_path: Path) -> None:
    rows = ['{"text": "", "url": ""}', json.dumps({"text": "hello", "url": "u", "score": 1})]
    (tmp_path / "b.jsonl").write_text("".join(row + "\n" for row in rows))
    (tmp_path / "c.jsonl").write_text("not read\n")
    source = Source("s", str(tmp_path))
    assert probe(source, ("url", "score"), 30).columns == ("score", "text", "url")
    with pytest.raises(ValueError, match=r"b.jsonl has no column 'id'; it has score, text, url"):
        probe(source, ("url", "id"), 30)
    with pytest.raises(ValueError, match=r"'body' is missing \(columns: score, text, url\)"):
        probe(dataclasses.replace(source, text_column="body"), (), 30)


def test_a_content_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "ids.jsonl").write_text(json.dumps({"blob_id": "a" * 40, "is_vendor": True}) + "\n")
    store = tmp_path / "store"
    store.mkdir()
    content = Content(column="blob_id", root=str(store), digest="none")
    source = Source("s", str(tmp_path / "ids.jsonl"), content=content)
    with pytest.raises(ValueError, match="content a+ is not in"):
        probe(source, ("is_vendor",), 30)
    import gzip

    (store / ("a" * 40)).write_bytes(gzip.compress(b"x = 1\n"))
    assert "6 characters" in probe(source, ("is_vendor",), 30).content


def test_nobody_there_and_no_answer_are_told_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(Unreachable, match=rf"cannot reach http://127.0.0.1:{port}/.*no answer within 1 s"):
            probe(Source("s", f"http://127.0.0.1:{port}/a.jsonl"), (), 1)
        assert time.monotonic() - started < 5
    with pytest.raises(Unreachable, match="cannot reach"):
        probe(Source("s", f"http://127.0.0.1:{port}/a.jsonl"), (), 20)
    with pytest.raises(ValueError, match="is not there"):
        probe(Source("s", str(tmp_path / "nowhere.jsonl")), (), 20)
