"""Electronic books: chapters in order, metadata, damage, hostile archives."""

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from openseek.data.sources import Source, epub
from openseek.data.sources.record import Bad, Bomb, BrokenStream, Item, Limits, Row, Rows, Skipped
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=200_000, expansion=1000)
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>'
DUBLIN = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'


def chapter(title: str, body: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://x/x.dtd">'
        f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title><style>p {{}}</style></head>'
        f"<body><h1>{title}</h1>{body}</body></html>"
    )


def book(chapters: Mapping[str, str | bytes], extra: dict[str, str | bytes] | None = None, spine: str = "") -> bytes:
    items = "".join(f'<item id="i{n}" href="{h}" media-type="application/xhtml+xml"/>' for n, h in enumerate(chapters))
    items += '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
    refs = (
        spine or "".join(f'<itemref idref="i{n}"/>' for n in reversed(range(len(chapters)))) + '<itemref idref="nav"/>'
    )
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><metadata {DUBLIN}><dc:title>The Book</dc:title>'
        "<dc:creator>Ann</dc:creator><dc:creator>Bo</dc:creator><dc:language>zh</dc:language>"
        "<dc:rights>CC BY 4.0</dc:rights><dc:date>1901</dc:date></metadata>"
        f"<manifest>{items}</manifest><spine>{refs}</spine></package>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/content.opf", package)
        for name, data in {**{f"OEBPS/{n}": d for n, d in chapters.items() if "/.." not in n}, **(extra or {})}.items():
            archive.writestr(name, data)
    return out.getvalue()


def read(tmp_path: Path, data: bytes, split: str = "", limits: Limits = LIMITS) -> list[Item]:
    path = tmp_path / "a.epub"
    path.write_bytes(data)
    return list(epub.read(RawFile.at(path), Source("books", str(path), split=split), limits))  # type: ignore[arg-type]


TWO = {
    "b.xhtml": chapter("Second", "<p>Two.</p>"),
    "a.xhtml": chapter("First", "<p>One.</p><p>שלום 👩‍👩‍👧 e\u0301</p>"),
}


def test_chapters_come_in_the_order_of_the_spine_with_what_the_book_says_of_itself(tmp_path: Path) -> None:
    items = read(tmp_path, book(TWO))
    assert [(i.position, i.text) for i in items if isinstance(i, Row)] == [
        (0, "First\n\nOne.\n\nשלום 👩‍👩‍👧 e\u0301"),
        (1, "Second\n\nTwo."),
    ]
    first = items[0]
    assert isinstance(first, Row)
    assert (first.date, first.meta["title"], first.meta["author"]) == ("1901", "The Book", ["Ann", "Bo"])
    assert (first.meta["language"], first.meta["rights"], first.meta["chapter"]) == ("zh", "CC BY 4.0", "First")
    (whole,) = read(tmp_path, book(TWO), "file")
    assert isinstance(whole, Row)
    assert whole.text == "First\n\nOne.\n\nשלום 👩‍👩‍👧 e\u0301\n\nSecond\n\nTwo."


def test_paragraphs_headings_code_formulas_and_lists_keep_their_form(tmp_path: Path) -> None:
    body = (
        "<p>A&nbsp;line<br/>and &eacute;\n another <i>word</i>."
        "<a epub:type='noteref' href='#n' xmlns:epub='e'>1</a></p>"
        "<h2>Part</h2><pre>def f():\n    return <b>1</b>\n\n\n# end</pre><ul><li>x</li><li>y</li></ul>"
        "<p><math xmlns='http://www.w3.org/1998/Math/MathML' alttext='x^2'><mi>x</mi></math> and <math display='block'>"
        "<semantics><mi>y</mi><annotation encoding='application/x-tex'>\\frac{y}{2}</annotation></semantics></math></p>"
        "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table><script>x()</script>"
        "<ruby>漢<rt>かん</rt></ruby><a id='q'/>tail<p/><div>last"
    )
    (item,) = read(tmp_path, book({"a.xhtml": chapter("Head", body).replace("</body></html>", "")}))
    assert isinstance(item, Row)
    assert item.text == (
        "Head\n\nA line\nand é another word.\n\nPart\n\ndef f():\n    return 1\n\n\n# end\n\n- x\n\n- y\n\n$x^2$ and "
        "$$\\frac{y}{2}$$\n\na | b\n\nc | d\n\n漢tail\n\nlast"
    )


def test_a_chapter_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    chapters: dict[str, str | bytes] = {
        "e.xhtml": chapter("Good", "<p>End.</p>"),
        "long.xhtml": chapter("Long", "<p>" + "ab " * 100_000 + "</p>"),
        "empty.xhtml": "<html><body/></html>",
        "../../../etc/passwd": "",
        "nul.xhtml": b"a\0b",
        **TWO,
    }
    items = read(tmp_path, book(chapters))
    assert [type(item) for item in items] == [Row, Row, Bad, Bad, Skipped, Bad, Row]
    errors = [item.error for item in items if isinstance(item, Bad)]
    assert "NUL" in errors[0] and "does not hold it" in errors[1] and "max_record_bytes" in errors[2]
    assert [item.position for item in items if not isinstance(item, Rows)] == list(range(7))
    (bad,) = read(tmp_path, book(chapters), "file")
    assert isinstance(bad, Bad)


def test_damage_within_one_member_is_found_by_its_checksum(tmp_path: Path) -> None:
    data = bytearray(book(TWO))
    start = data.index(b"OEBPS/b.xhtml") + len("OEBPS/b.xhtml")
    data[start + 20 : start + 40] = bytes(20)
    assert [type(item) for item in read(tmp_path, bytes(data))] == [Row, Bad]


def test_entities_are_never_expanded(tmp_path: Path) -> None:
    lols = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE html [<!ENTITY l0 "lol">{lols}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    page = bomb + "<html xmlns='http://www.w3.org/1999/xhtml'><body><p>a &l9; b &f; c</p></body></html>"
    (item,) = read(tmp_path, book({"a.xhtml": page}))
    assert isinstance(item, Row)
    assert item.text == "a b c"


def test_cut_encrypted_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(BrokenStream, match="cut off"):
        read(tmp_path, book(TWO)[:-100])
    with pytest.raises(BrokenStream, match="cut off"):
        read(tmp_path, b"")
    with pytest.raises(ValueError, match="is no EPUB"):
        read(tmp_path, b"%PDF-1.4")
    drm = '<encryption><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></encryption>'
    (bad,) = read(tmp_path, book(TWO, {"META-INF/encryption.xml": drm}))
    assert isinstance(bad, Bad) and "copy protection" in bad.error
    fonts = '<encryption><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></encryption>'
    assert len(read(tmp_path, book(TWO, {"META-INF/encryption.xml": fonts}))) == 2
    (bad,) = read(tmp_path, book({}, spine="<itemref idref='x'/>"))
    assert isinstance(bad, Bad) and "names no chapter" in bad.error


def test_bombs_are_not_unpacked(tmp_path: Path) -> None:
    with pytest.raises(Bomb, match="beyond max_expansion 100"):
        read(tmp_path, book(TWO, {"OEBPS/big": b"0" * (80 << 20)}), limits=Limits(200_000, 100))
    with pytest.raises(Bomb, match="more than 20000"):
        read(tmp_path, book(TWO, {f"x/{n}": b"" for n in range(20_001)}))
    # One whose directory lies about its size is cut at the limit of a record.
    data = bytearray(book({"a.xhtml": chapter("Long", "<p>" + "0" * 3_000_000)}))
    entry = data.rindex(b"PK\1\2", 0, data.rindex(b"OEBPS/a.xhtml"))
    data[entry + 24 : entry + 28] = struct.pack("<I", 100)
    (item,) = read(tmp_path, bytes(data))
    assert not isinstance(item, Row) or len(item.text) < 200_000
