"""The suppression list: what each kind matches and what it does not, wrong lists, records that could not be read."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from openseek.data.document import document_id
from openseek.data.sources.record import Bad, Item, Row, Rows, Skipped
from openseek.data.sources.suppression import Suppression, address, domain, held, load, matches, repository


def written(path: Path, entries: Iterable[dict[str, Any]], version: str = "2026-11") -> str:
    lines = [{"version": version, "note": "for tests"}, *entries]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return str(path)


def listed(tmp_path: Path, kind: str, value: str) -> Suppression:
    return load(
        written(tmp_path / "list.jsonl", [{"kind": kind, "value": value, "reason": "asked", "date": "2026-11-01"}])
    )


def held_rows(found: Suppression, rows: list[Item]) -> list[Item]:
    return list(held(iter(rows), found, "web", "a.jsonl"))


@pytest.mark.parametrize(
    ("kind", "value", "document", "falls"),
    [
        ("id", "<urn:uuid:1>", {"meta": {"warc_record_id": "<urn:uuid:1>"}}, True),
        ("id", "<urn:uuid:1>", {"meta": {"warc_record_id": "<URN:UUID:1>"}}, False),
        ("id", "abc", {"meta": {"metadata": {"id": "abc"}}}, True),
        ("id", "abc", {"meta": {"title": "abc"}}, False),
        ("id", "parent1", {"meta": {"parent": "parent1"}}, True),
        ("url", "https://a.org/Page", {"url": "http://A.org/Page#part"}, True),
        ("url", "a.org/Page", {"url": "https://a.org/Page/"}, True),
        ("url", "https://a.org/Page", {"url": "https://a.org/page"}, False),
        ("url", "https://a.org/Page", {"url": "https://a.org/Page?q=1"}, False),
        ("url", "https://a.org/Page", {"url": "https://a.org/Page/more"}, False),
        ("url", "https://a.org/x", {"meta": {"metadata": {"url": "http://a.org/x"}}}, True),
        ("domain", "example.org", {"url": "https://example.org/x"}, True),
        ("domain", "example.org", {"url": "https://www.deep.Example.org:8080/x"}, True),
        ("domain", "https://example.org/", {"url": "//example.org"}, True),
        ("domain", "example.org", {"url": "https://myexample.org/"}, False),
        ("domain", "example.org", {"url": "https://example.org.evil.com/"}, False),
        ("domain", "example.org", {"url": "https://a.com/example.org"}, False),
        ("domain", "bücher.example", {"url": "https://www.xn--bcher-kva.example/"}, True),
        ("repository", "Owner/Name", {"meta": {"repo_name": "owner/name"}}, True),
        ("repository", "https://github.com/Owner/Name.git", {"meta": {"repo_name": "owner/NAME"}}, True),
        ("repository", "owner/name", {"url": "https://github.com/owner/name/blob/main/a.py"}, True),
        ("repository", "owner/name", {"url": "https://a.org/owner/name"}, False),
        ("repository", "owner/name", {"meta": {"repo_name": "owner/name2"}}, False),
        ("author", "Ada  Lovelace", {"meta": {"author": "ada lovelace"}}, True),
        ("author", "ada@a.org", {"meta": {"metadata": {"authors": ["B", "Ada <ADA@a.org>"]}}}, True),
        ("author", "Ada", {"meta": {"author": "Ada Lovelace"}}, False),
        ("author", "Ada", {"meta": {"title": "Ada"}}, False),
    ],
)
def test_each_kind_matches_what_it_says(
    tmp_path: Path, kind: str, value: str, document: dict[str, Any], falls: bool
) -> None:
    found = listed(tmp_path, kind, value)
    row = Row(3, "some text", url=document.get("url", ""), meta=document.get("meta", {}))
    (item,) = held_rows(found, [row])
    assert isinstance(item, Skipped) == falls
    if isinstance(item, Skipped):
        assert item.rule == "suppressed" and item.detail.startswith(f"{kind} ")
        assert item.detail.endswith("(list 2026-11)")
    # The same from columns, as a columnar reader gives them and as release has them.
    columns = Rows((3,), pa.array(["some text"], pa.large_string()), (json.dumps(row.meta),), (row.url,))
    assert isinstance(held_rows(found, [columns])[0], Skipped) == falls
    batch = pa.RecordBatch.from_pylist([{"id": "1", "url": row.url, "meta": json.dumps(row.meta)}])
    assert [bool(entry) for entry in matches(batch, found)] == [falls]


def test_a_document_s_own_id_is_one_at_ingest_and_at_release(tmp_path: Path) -> None:
    identity = document_id("web", "a.jsonl", 7)
    found = listed(tmp_path, "id", identity)
    assert [type(item) for item in held_rows(found, [Row(7, "a"), Row(8, "b")])] == [Skipped, Row]
    batch = pa.RecordBatch.from_pylist(
        [{"id": identity, "url": None, "meta": "{}"}, {"id": "2", "url": "", "meta": ""}]
    )
    assert matches(batch, found) == [f"id {identity} (list 2026-11)", ""]


def test_columns_are_cut_around_what_falls(tmp_path: Path) -> None:
    found = listed(tmp_path, "domain", "bad.org")
    urls = ("http://a.org", "http://bad.org", "http://x.bad.org", "http://b.org", "http://c.org", "http://bad.org/y")
    columns = Rows(tuple(range(6)), pa.array(list("abcdef"), pa.large_string()), (), urls)
    got = held_rows(found, [columns])
    assert [item.text.to_pylist() if isinstance(item, Rows) else item.position for item in got] == [
        ["a"],
        1,
        2,
        ["d", "e"],
        5,
    ]
    sound = Rows(columns.positions[:1], columns.text[:1], (), urls[:1])
    assert held_rows(found, [sound])[0] is sound


@pytest.mark.parametrize(
    ("kind", "value", "head", "falls"),
    [
        ("url", "https://a.org/x", b'{"url": "http://a.org/x", "text": null}', True),
        ("domain", "a.org", b'{"url": "http://www.a.org/x", "text": nul', True),
        ("repository", "owner/name", b'{"repo_name": "Owner/Name", "te', True),
        ("author", "ada@a.org", b'{"author": "Ada <ada@a.org>", "te', True),
        ("author", "Ada Lovelace", b'{"author": "Ada Lovelace", "te', True),
        ("domain", "a.org", b'{"url": "http://b.org/x", "te', False),
    ],
)
def test_a_broken_record_that_names_what_is_listed_leaves_no_bytes(
    tmp_path: Path, kind: str, value: str, head: bytes, falls: bool
) -> None:
    (item,) = held_rows(listed(tmp_path, kind, value), [Bad(5, "no JSON", head)])
    assert isinstance(item, Skipped if falls else Bad)
    (by_id,) = held_rows(listed(tmp_path, "id", document_id("web", "a.jsonl", 5)), [Bad(5, "no JSON", head)])
    assert isinstance(by_id, Skipped)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty"),
        (['{"kind": "url", "value": "a"}'], r"line 1: the first line must be"),
        (['{"version": 3}'], "line 1: the first line must be"),
        (['{"version": "1"}', "", '{"kind": "url"'], "line 3: Expecting"),
        (['{"version": "1"}', "[1]"], "line 2: no JSON object"),
        (['{"version": "1"}', '{"kind": "user", "value": "a"}'], "line 2: kind is 'user': give one of id, url, domain"),
        (['{"version": "1"}', '{"kind": "url", "value": " "}'], "line 2: value is ' ': give the url"),
        (['{"version": "1"}', '{"kind": "id", "value": 7}'], "line 2: value is 7: give the id"),
        (['{"version": "1"}', '{"kind": "repository", "value": "name"}'], "give the repository as owner/name"),
        (['{"version": "1"}', '{"kind": "domain", "value": "org"}'], "give a domain such as example.org"),
        (['{"version": "1"}', '{"kind": "domain", "value": "*.a.org"}'], "give a domain such as example.org"),
        (['{"version": "1"}', '{"kind": "id", "value": "a", "when": "1"}'], "when is unknown: an entry has date, kind"),
        (['{"version": "1"}', '{"kind": "id", "value": "a", "date": "soon"}'], "line 2: Invalid isoformat"),
    ],
)
def test_a_wrong_list_is_named_with_its_line(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message) as caught:
        load(str(path))
    assert str(path) in str(caught.value)


def test_a_missing_list_is_no_empty_list(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere.jsonl' is not there"):
        load(str(tmp_path / "nowhere.jsonl"))


def test_a_changed_list_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    first = load(written(path, [{"kind": "id", "value": "a"}], "1"))
    assert load(str(path)) is first
    written(path, [], "2")
    os.utime(path, ns=(1, 1))
    assert (load(str(path)).version, load(str(path)).values) == ("2", {})


def test_forms() -> None:
    assert address(" HTTPS://User@A.org/B?c#d ") == "user@a.org/B?c"
    assert domain("http://user:pw@A.org.:80/x") == "a.org"
    assert domain("http://[::1]:80/x") == "::1"
    assert repository("git@host") == ""
    assert repository("gitlab.com/Group/Tool/-/x") == "group/tool"
