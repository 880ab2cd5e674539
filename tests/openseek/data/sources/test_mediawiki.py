"""MediaWiki dumps: pages, other namespaces, damage, hostile XML, the sample of English Wikipedia."""

import bz2
import gzip
import tracemalloc
from pathlib import Path

import pytest

from openseek.data.sources import Source, mediawiki
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Rows, Skipped
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=100_000, expansion=1000)
HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="de">\n<siteinfo>'
    "<base>https://de.wikipedia.org/wiki/Wikipedia:Hauptseite</base><namespaces>"
    '<namespace key="0" case="first-letter" /><namespace key="6" case="first-letter">Datei</namespace>'
    '<namespace key="14" case="first-letter">Kategorie</namespace></namespaces></siteinfo>\n'
)
END = "</mediawiki>\n"


def page(number: int, text: str, ns: int = 0, rest: str = "", model: str = "wikitext") -> str:
    return (
        f"<page><title>Seite {number}</title><ns>{ns}</ns><id>{number}</id>{rest}<revision><id>{number + 1000}</id>"
        f"<timestamp>2024-01-02T03:04:05Z</timestamp><model>{model}</model>"
        f'<text xml:space="preserve">{text}</text></revision></page>\n'
    )


PAGES = [
    page(1, "'''Eins''' ist [[Zahl|eine Zahl]] &amp; 数字 &lt;ref&gt;x&lt;/ref&gt;. [[Datei:a.png|mini|Bild]]"),
    page(2, "Diskussion", ns=1),
    page(3, "#WEITERLEITUNG [[Eins]]", rest='<redirect title="Eins" />'),
    page(4, "#redirect [[Eins]]"),
    page(5, "return {}", model="Scribunto"),
    page(6, "{{Vorlage}}"),
    page(7, "Sieben."),
]


def read(path: Path, data: bytes, limits: Limits = LIMITS) -> list[Item]:
    path.write_bytes(data)
    return list(mediawiki.read(RawFile.at(path), Source("wiki", str(path)), limits))


@pytest.mark.parametrize("form", ["plain", "gz", "bz2", "multistream"])
def test_articles_are_documents_and_the_rest_is_accounted_for(tmp_path: Path, form: str) -> None:
    parts = [part.encode() for part in (HEAD, *PAGES, END)]
    data = b"".join(parts)
    pack = {"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "multistream": bytes}[form]
    stored = b"".join(map(bz2.compress, parts)) if form == "multistream" else pack(data)
    items = read(tmp_path / "a.xml", stored)
    assert [item.rule if isinstance(item, Skipped) else type(item) for item in items] == [
        *(Row, "namespace", "redirect", "redirect", "content_model", "no_text", Row)
    ]
    first = items[0]
    assert isinstance(first, Row)
    assert (first.text, first.lang) == ("Eins ist eine Zahl & 数字 .", "de")
    assert (first.url, first.date) == ("https://de.wikipedia.org/wiki/Seite_1", "2024-01-02T03:04:05Z")
    assert first.meta == {"title": "Seite 1", "page_id": 1, "revision_id": 1001}
    assert all(data[item.position :].startswith(b"<page>") for item in items if not isinstance(item, Rows))


def test_pages_that_are_no_xml_and_long_ones_cost_only_themselves(tmp_path: Path) -> None:
    pages = [
        PAGES[0],
        page(20, "a <b> c"),
        page(21, "x" * 3_000_000),
        page(22, "&undeclared;"),
        page(23, "y" * 100_001),
        page(24, "[[a|" * 2000),
        "<page><title>no revision</title><ns>0</ns></page>",
        PAGES[6],
    ]
    data = (HEAD + "".join(pages) + END).encode()
    tracemalloc.start()
    items = read(tmp_path / "a.xml", data)
    assert [type(item) for item in items] == [Row, Bad, Bad, Bad, Bad, Bad, Bad, Row]
    errors = [item.error for item in items if isinstance(item, Bad)]
    for error, told in zip(
        errors, ("no XML", "3000", "no XML", "more than 100000", "opened and not", "no revision"), strict=True
    ):
        assert told in error
    tracemalloc.stop()


def test_entities_of_its_own_are_never_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE mediawiki [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    items = read(tmp_path / "a.xml", (bomb + HEAD + page(1, "&b;") + page(2, "&f;") + PAGES[6] + END).encode())
    assert [type(item) for item in items] == [Bad, Bad, Row]
    inner = f"<page>{bomb}<title>t</title></page>"
    assert [type(item) for item in read(tmp_path / "a.xml", (HEAD + inner + PAGES[6] + END).encode())] == [Bad, Row]


def test_of_a_history_the_newest_revision_is_read(tmp_path: Path) -> None:
    old = "<revision><id>1</id><timestamp>2020-01-01T00:00:00Z</timestamp><text>Alt.</text></revision>"
    (item,) = read(tmp_path / "a.xml", (HEAD + page(1, "Neu.", rest=old) + END).encode())
    assert isinstance(item, Row)
    assert (item.text, item.meta["revision_id"]) == ("Neu.", 1001)


@pytest.mark.parametrize("keep", ["half a page", "all pages", "bz2"])
def test_a_cut_dump_is_a_break_after_the_whole_pages(tmp_path: Path, keep: str, drain) -> None:
    data = (HEAD + "".join(page(i, f"Text {i}.") for i in range(500)) + END).encode()
    cut = {"half a page": data[:-60], "all pages": data[: -len(END)], "bz2": bz2.compress(data)[:-50]}[keep]
    path = tmp_path / "a.xml"
    path.write_bytes(cut)
    items, broken = drain(mediawiki.read(RawFile.at(path), Source("wiki", str(path)), LIMITS))
    assert all(isinstance(item, Row) for item in items)
    assert len(items) == {"half a page": 499, "all pages": 500}.get(keep, len(items))
    assert "cut off" in broken.reason


def test_after_a_damaged_stream_the_next_one_is_read(tmp_path: Path) -> None:
    chunks = [HEAD] + ["".join(page(i, f"Text {i}.") for i in range(s, s + 50)) for s in range(0, 200, 50)] + [END]
    stored = [bz2.compress(chunk.encode()) for chunk in chunks]
    stored[2] = stored[2][:60] + bytes(30) + stored[2][90:]
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(b"".join(stored))
    limits = Limits(100_000, 1000, resync=True)
    items = list(mediawiki.read(RawFile.at(path), Source("wiki", str(path)), limits))
    texts = {item.text for item in items if isinstance(item, Row)}
    assert {f"Text {i}." for i in (*range(50), *range(100, 200))} <= texts
    assert [type(item) for item in items if not isinstance(item, Row)] == [Bad]
    with pytest.raises(BrokenStream, match="damaged"):
        list(mediawiki.read(RawFile.at(path), Source("wiki", str(path)), LIMITS))


def test_other_files_are_refused_and_empty_ones_have_no_pages(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no MediaWiki dump"):
        read(tmp_path / "a.xml", b"<rss><page>no</page></rss>")
    assert read(tmp_path / "a.xml", b"") == []


def test_names_of_dump_parts_tell_the_format() -> None:
    source = Source("wiki", "p")
    for name in (
        "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
        "zhwiki.xml.bz2",
        "a.xml-p1p2.gz",
    ):
        assert source.format_of(RawFile(name, name, 1)) == "mediawiki"


def test_the_sample_of_wikipedia_comes_whole(shared: Path) -> None:
    (path,) = (shared / "dolma" / "wiki_dump").glob("*.bz2")
    items = list(mediawiki.read(RawFile.at(path), Source("wiki", str(path)), Limits(16 << 20, 1000)))
    rules = [item.rule for item in items if isinstance(item, Skipped)]
    rows = [item for item in items if isinstance(item, Row)]
    assert (len(items), rules.count("redirect"), rules.count("namespace"), len(rules)) == (206, 99, 1, 100)
    assert [row.meta["title"] for row in rows[:2]] == ["Anarchism", "Autism"]
    assert rows[0].text.startswith("Anarchism is a political philosophy that advocates self-governed societies")
    # Markup is left in formulas only.
    import re

    for row in rows:
        plain = re.sub(r"\$[^$]*\$", "", row.text)
        assert not re.search(r"\{\{|\}\}|\{\||<ref|<!--|\[\[File:|\[\[Category:|'''", plain), row.meta["title"]
