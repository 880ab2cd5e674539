"""The page of contamination: what is marked, no text that becomes markup, what the table and the captions say."""

from html.parser import HTMLParser
from typing import Any

import pytest

from openseek.data.contamination_page import (
    COLUMNS,
    HEAD,
    MOST_CHARACTERS,
    Pair,
    excerpts,
    markdown,
    marked,
    page,
    word_spans,
)
from openseek.data.ngrams import Decontaminate

EVIL = "<script>alert('x')</script> [a](http://b) `c` | d"
COUNTS: dict[str, int] = dict(zip(COLUMNS, (1234, 2, 3, 4, 5, 6, 7), strict=True))


def pair(**fields: Any) -> Pair:
    full = {
        **{"benchmark": "gsm", "item": 3, "overlap": 0.875, "with_answer": None, "question": "how many sheep has he"},
        **{
            "answer": "",
            "document": "id0",
            "url": "",
            "before": "Then: ",
            "excerpt": "How many sheep has he",
            "after": "?",
        },
        **fields,
    }
    return Pair(**full)


class Balanced(HTMLParser):
    """Fails where an element closes that is not open; counts what is marked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.marks: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "mark":
            self.marks.append(data)


def test_no_text_becomes_markup() -> None:
    evil = pair(
        **dict.fromkeys(("benchmark", "question", "answer", "document", "url", "before", "excerpt", "after"), EVIL)
    )
    parser = Balanced(page(EVIL, {EVIL: COUNTS}, [evil], Decontaminate()))
    assert parser.open == []
    assert not {"script", "a", "img", "link"} & set(parser.seen)
    assert "".join(parser.marks).count("alert('x')") == 2
    text = markdown(EVIL, {EVIL: COUNTS}, [evil], Decontaminate())
    assert "<script>" not in text
    assert "a](http" not in text
    (row,) = [line for line in text.splitlines() if "1,234" in line]
    assert row.replace("\\|", "").count("|") == len(HEAD) + 1


def test_the_table_has_each_benchmark_and_its_counts() -> None:
    table = {"gsm": COUNTS, "nothing": dict.fromkeys(COLUMNS, 0)}
    text = markdown("title", table, [], Decontaminate())
    assert "| gsm | 1,234 | 2 | 3 | 4 | 5 | 6 | 7 |" in text
    assert "| nothing | 0 | 0 | 0 | 0 | 0 | 0 | 0 |" in text
    made = page("title", table, [], Decontaminate())
    assert '<td class="n">1,234</td>' in made
    assert "<h2" not in made, "no benchmark without a pair has a heading of its own"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"policy": "cut"}, "an item is found, the item's span goes"),
        ({"policy": "tag"}, "the document's metadata names it"),
        ({"act_on": "question_with_answer"}, "an item with its answer is found, such a document goes"),
        (
            {"min_overlap": 0.9, "min_fragment": 0.5, "min_bits": 33},
            "90% of an item's words in order, or its first 50%",
        ),
        ({"min_bits": 33.5}, "33.5 bits"),
        (
            {"min_whole_bits": 12, "min_alone_bits": 26},
            "12 bits; its first 55% as a sentence or line by itself from 26",
        ),
    ],
)
def test_the_rules_stand_on_the_page(options: dict[str, Any], told: str) -> None:
    config = Decontaminate(**options)
    assert told in markdown("t", {}, [], config)
    assert told.replace("'", "&#x27;") in page("t", {}, [], config)


@pytest.mark.parametrize(
    ("with_answer", "told"), [(True, ", with its answer"), (False, ", without its answer"), (None, "id0")]
)
def test_a_pair_says_what_was_found_where(with_answer: bool | None, told: str) -> None:
    text = markdown("t", {"gsm": COUNTS}, [pair(with_answer=with_answer, url="site")], Decontaminate())
    assert f"gsm\\#3: 88% in id0{told.removeprefix('id0')} site" in text
    made = page("t", {"gsm": COUNTS}, [pair(answer="32 sheep")], Decontaminate())
    assert "Answer: 32 sheep" in made
    assert Balanced(made).marks == ["how many sheep has he", "How many sheep has he"]


def test_long_texts_are_cut() -> None:
    long = pair(question="word " * 5000, excerpt="word " * 5000)
    assert len(page("t", {"gsm": COUNTS}, [long], Decontaminate())) < 12 * MOST_CHARACTERS
    assert len(markdown("t", {"gsm": COUNTS}, [long], Decontaminate())) < 6 * MOST_CHARACTERS


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("a b c d", "x a b c y", ("<mark>a b c</mark> d", "x <mark>a b c</mark> y")),
        ("a b c", "b c a", ("a b c", "b c a")),
        ("A, b <c> d", "a b\nC!", ("<mark>A, b &lt;c</mark>&gt; d", "<mark>a b\nC</mark>!")),
        ("a", "b a", ("<mark>a</mark>", "b <mark>a</mark>")),
        ("", "a b", ("", "a b")),
        ("甲乙丙丁", "戊甲乙丙", ("<mark>甲乙丙</mark>丁", "戊<mark>甲乙丙</mark>")),
        ("a b c x d e f", "d e f a b c", ("<mark>a b c</mark> x <mark>d e f</mark>", "<mark>d e f a b c</mark>")),
    ],
)
def test_what_both_have_is_marked(left: str, right: str, expected: tuple[str, str]) -> None:
    assert marked(left, right) == expected


def test_spans_of_words_are_bytes_without_signs() -> None:
    text = "Où, cafe\u0301! 今 x_y"
    hashes, spans = word_spans(text)
    assert [text.encode()[a:b].decode() for a, b in spans] == ["Où", "cafe\u0301", "今", "x_y"]
    assert len(hashes) == 4
    assert word_spans("") == ([], [])


def test_excerpts_say_where_they_were_cut() -> None:
    text = "b" * 500 + "held" + "a" * 500
    before, held, after = excerpts(text, 500, 504)
    assert (before[:3], held, after[-3:]) == ("… b", "held", "a …")
    assert excerpts("before held after", 7, 11) == ("before ", "held", " after")
    assert excerpts("é" * 100 + "held", 200, 204)[0].strip("… ") == "é" * 60, "no broken character"
