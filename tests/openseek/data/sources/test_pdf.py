"""PDF files: text layers, chapters of the outline, running headers, broken words, damage."""

from pathlib import Path
from threading import Thread

import pytest

from openseek.data.sources import Source, pdf
from openseek.data.sources.record import Bad, Item, Limits, Row, Skipped
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=100_000, expansion=1000)


def document(pages: list[list[str]], outline: dict[str, int] | None = None, trailer: str = "") -> bytes:
    """A PDF of lines of text; `outline`: titles with their pages."""
    titles = list(outline or {})
    first, last = 4 + 2 * len(pages), 4 + 2 * len(pages) + len(titles)
    objects = {1: "<</Type/Catalog/Pages 2 0 R" + (f"/Outlines {last} 0 R>>" if titles else ">>")}
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects[2] = f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>"
    objects[3] = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
    for i, lines in enumerate(pages):
        drawn = "".join(f"BT /F 10 Tf 50 {750 - 14 * n} Td ({line}) Tj ET\n" for n, line in enumerate(lines) if line)
        objects[4 + 2 * i] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {5 + 2 * i} 0 R/Resources<</Font<</F 3 0 R>>>>>>"
        )
        objects[5 + 2 * i] = f"<</Length {len(drawn)}>>stream\n{drawn}endstream"
    for n, title in enumerate(titles):
        after = f"/Next {first + n + 1} 0 R" if n + 1 < len(titles) else ""
        page = 4 + 2 * (outline or {})[title]
        objects[first + n] = f"<</Title({title})/Parent {last} 0 R{after}/Dest[{page} 0 R/Fit]>>"
    if titles:
        objects[last] = f"<</Type/Outlines/First {first} 0 R/Last {last - 1} 0 R/Count {len(titles)}>>"
    objects[last + 1] = "<</Title(A Book)/Author(Ann)>>"
    out, offsets = b"%PDF-1.4\n", {}
    for number in sorted(objects):
        offsets[number] = len(out)
        out += f"{number} 0 obj\n{objects[number]}\nendobj\n".encode("latin-1")
    table = f"xref\n0 {last + 2}\n0000000000 65535 f \n"
    table += "".join(
        f"{offsets[n]:010d} 00000 n \n" if n in offsets else "0000000000 00000 f \n" for n in range(1, last + 2)
    )
    end = f"trailer<</Size {last + 2}/Root 1 0 R/Info {last + 1} 0 R{trailer}>>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + table.encode() + end.encode()


def read(tmp_path: Path, data: bytes, split: str = "", name: str = "a.pdf") -> list[Item]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(pdf.read(RawFile.at(path), Source("books", str(path), split=split), LIMITS))  # type: ignore[arg-type]


PAGES = [[f"Line one of page {i} of the book,", "and line two of it."] for i in range(4)]


def test_a_file_is_a_document_with_what_it_says_of_itself(tmp_path: Path) -> None:
    (item,) = read(tmp_path, document(PAGES))
    assert isinstance(item, Row)
    assert item.text == "\n".join(line for page in PAGES for line in page)
    assert item.meta == {
        **{"path": "a.pdf", "title": "A Book", "author": "Ann", "pages": 4, "pages_without_text": 0, "first_page": 1}
    }


def test_chapters_of_the_outline(tmp_path: Path) -> None:
    data = document(PAGES, {"First": 1, "Second": 2, "Second too": 2})
    items = read(tmp_path, data, "chapter")
    assert [(i.position, i.meta.get("chapter"), i.meta["first_page"]) for i in items if isinstance(i, Row)] == [
        (0, None, 1),
        (1, "First", 2),
        (2, "Second / Second too", 3),
    ]
    assert "\n".join(i.text for i in items if isinstance(i, Row)) == "\n".join(line for page in PAGES for line in page)
    assert len(read(tmp_path, data)) == 1


def test_running_headers_and_page_numbers_go_and_the_text_stays(tmp_path: Path) -> None:
    def body(i: int) -> list[str]:
        word = ["zero", "one", "two", "three", "four", "five"][i]
        return [f"The text of page number {word} begins here,", f"and goes on with {word}."]

    pages = [
        ["Left Title" if i % 2 else f"{i + 1} Right Title", *body(i), "Repeated.", *body(i), f"- {i + 1} -"]
        for i in range(6)
    ]
    (item,) = read(tmp_path, document(pages))
    assert isinstance(item, Row)
    assert "Title" not in item.text and "- 3 -" not in item.text
    assert item.text.split("\n") == [line for i in range(6) for line in (*body(i), "Repeated.", *body(i))]
    # Three pages prove nothing.
    (item,) = read(tmp_path, document(pages[:3]))
    assert isinstance(item, Row) and item.text.count("Title") == 3


def test_broken_words_are_whole_again(tmp_path: Path) -> None:
    lines = [
        "This is a demon-",
        "stration of well-",
        "known words by the Franco-",
        "Prussian, who are well-known",
        "1-2.",
    ]
    (item,) = read(tmp_path, document([lines]))
    assert isinstance(item, Row)
    assert " ".join(item.text.split()) == (
        "This is a demonstration of well-known words by the Franco-Prussian, who are well-known 1-2."
    )


def test_scanned_pages_are_counted_and_scanned_files_dropped(tmp_path: Path) -> None:
    (item,) = read(tmp_path, document([[], []]))
    assert item == Skipped(0, "no_text_layer", 0, 1, "2 pages")
    (item,) = read(tmp_path, document([*PAGES, [], ["7"]]))
    assert isinstance(item, Row)
    assert (item.meta["pages"], item.meta["pages_without_text"]) == (6, 2)


def test_encrypted_damaged_and_foreign_files_are_quarantined(tmp_path: Path) -> None:
    locked = (
        "/Encrypt<</Filter/Standard/V 2/R 3/Length 128/P -4/O<" + "41" * 32 + ">/U<" + "42" * 32 + ">>>/ID[<00><00>]"
    )
    for data, error in (
        (document(PAGES, trailer=locked), "encrypted"),
        (b"", "no PDF"),
        (b"PK\3\4", "no PDF"),
        (b"%PDF-1.4\n" + bytes(range(256)) * 10, "damaged"),
    ):
        (item,) = read(tmp_path, data)
        assert isinstance(item, Bad) and error in item.error, data[:40]


def test_a_long_document_is_quarantined(tmp_path: Path) -> None:
    (item,) = read(tmp_path, document([["x" * 90] * 50] * 30))
    assert isinstance(item, Bad) and "max_record_bytes" in item.error


def test_threads_read_side_by_side(tmp_path: Path) -> None:
    found: list[Item] = []
    threads = [
        Thread(target=lambda n=n: found.extend(read(tmp_path, document(PAGES), name=f"{n}.pdf"))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len({item.text for item in found if isinstance(item, Row)}) == 1


@pytest.mark.parametrize("position", range(0, 100, 10))
def test_damage_anywhere_ends_in_an_item(tmp_path: Path, position: int) -> None:
    data = bytearray(document(PAGES, {"First": 1}))
    start = len(data) * position // 100
    data[start : start + 40] = b"\xff" * 40
    items = read(tmp_path, bytes(data), "chapter")
    assert items and all(isinstance(item, Row | Bad | Skipped) for item in items)
