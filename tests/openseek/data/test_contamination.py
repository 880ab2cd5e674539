"""Items in documents: overlaps by definition, variants that are found, phrases that are not, answers, bad input."""

import random
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from openseek.data import contamination, gram_index
from openseek.data.contamination import NO_ANSWER, WITH, WITHOUT, Hits, find_items
from openseek.data.gram_index import build_index
from openseek.data.ngrams import BenchmarkItem, Decontaminate
from openseek.data.words import hash_words

QUESTION = "A farmer has 17 sheep and buys 5 more every day for 3 days, how many sheep has the farmer now?"
CHINESE = "小明有三个苹果，小红又给了他五个苹果，请问小明现在一共有几个苹果？"
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)} | {" ": "\u3000"})


def column(*texts: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def find(texts: list[str], items: list[Any], **options: Any) -> Hits:
    config = Decontaminate(**options)
    index = build_index([BenchmarkItem(item) if isinstance(item, str) else item for item in items], config)
    return find_items(column(*texts), index, config)


def pairs(hits: Hits) -> list[tuple[int, int]]:
    return list(zip(hits.rows.tolist(), hits.items.tolist(), strict=True))


def made_up(seed: int, count: int) -> tuple[list[str], random.Random]:
    """Items of 13 to 60 words from a vocabulary with common and rare words, a third of them Chinese."""
    rng = random.Random(seed)
    words = [f"w{int(1.004 ** rng.randrange(2000))}x" for _ in range(3000)]
    han = [chr(0x4E00 + int(1.004 ** rng.randrange(1900))) for _ in range(3000)]
    items = []
    for number in range(count):
        size = rng.randint(20, 60)
        chosen = rng.choices(han, k=size) if number % 3 == 0 else rng.choices(words, k=size)
        items.append(("" if number % 3 == 0 else " ").join(chosen) + "?")
    return items, rng


def plain_overlap(item: str, text: str) -> float:
    """Longest common subsequence of the words over the item's words, by definition."""
    words, held = hash_words(item).tolist(), hash_words(text).tolist()
    row = [0] * (len(held) + 1)
    for x in words:
        diagonal = 0
        for j, y in enumerate(held):
            row[j + 1], diagonal = diagonal + 1 if x == y else max(row[j + 1], row[j]), row[j + 1]
    return row[-1] / len(words)


def test_overlaps_are_those_of_the_definition() -> None:
    """Items with a word lost here and there, alone in their documents, where the definition sees no other words."""
    items, rng = made_up(1, 60)
    texts = []
    for item in items:
        words = item.split() if " " in item else list(item)
        at = rng.randrange(5, len(words) - 6)
        texts.append((" " if " " in item else "").join(words[:at] + words[at + 1 :]))
    hits = find(texts, items, min_bits=0)
    found = {(r, i): o for r, i, o in zip(hits.rows, hits.items, hits.overlaps, strict=True)}
    for row, text in enumerate(texts):
        assert found[row, row] == pytest.approx(plain_overlap(items[row], text))
        assert found[row, row] < 1
    assert len(found) == len(items)


VARIANTS = {
    "exact": lambda item: item,
    "upper case": str.upper,
    "spaces": lambda item: item.replace(" ", " \n\t "),
    "wide signs": lambda item: item.translate(WIDE),
    "first 60 %": lambda item: item[: int(len(item) * 0.62)],
    "one word in ten lost": lambda item: " ".join(w for i, w in enumerate(item.split()) if i % 10 != 9),
}


def recall(variant: str) -> float:
    items, _ = made_up(2, 300)
    texts = [f"Some words before it. {VARIANTS[variant](item)} And some after it." for item in items]
    return len(set(pairs(find(texts, items))) & {(i, i) for i in range(len(items))}) / len(items)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_found(variant: str) -> None:
    assert recall(variant) >= (0.98 if variant == "first 60 %" else 1.0)


def test_the_recall_test_would_see_a_sieve_that_forgets_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deliberate bug: one bit of the sieve in eight is lost."""
    healthy: Any = contamination._pieces

    def forgetful(*arguments: Any) -> Any:
        sieve = arguments[5] & np.uint64(0x0101010101010101)
        return healthy(*arguments[:5], sieve, *arguments[6:])

    monkeypatch.setattr(contamination, "_pieces", forgetful)
    assert recall("exact") < 1.0


def test_clean_text_of_the_same_words_holds_nothing() -> None:
    items, rng = made_up(3, 300)
    shuffled = []
    for item in items:
        words = item.split() if " " in item else list(item)
        rng.shuffle(words)
        shuffled.append(" ".join(words))
    assert pairs(find(shuffled, items)) == []


@pytest.mark.parametrize(
    ("text", "item"),
    [
        (f"Problem 3. {QUESTION} Answer: 32", 0),
        (QUESTION.replace("every day", "each day"), 0),
        (QUESTION[:63], 0),
        (f"例题：{CHINESE}解：八个。", 1),
        (QUESTION[:30], None),
        (QUESTION[45:], None),
        ("farmer sheep day days buys", None),
    ],
)
def test_beginnings_are_found_and_other_parts_are_not(text: str, item: int | None) -> None:
    hits = find(["clean text before", text], [QUESTION, CHINESE])
    assert pairs(hits) == ([] if item is None else [(1, item)])


def test_a_template_decides_nothing() -> None:
    form = "Which of the following statements about the subject is not true"
    items = [f"{form}: {chr(97 + i % 26) * 3}{i}?" for i in range(2000)]
    assert pairs(find([f"{form} in general?"], items)) == []


def test_parts_with_much_between_them_are_one_item() -> None:
    first, second = QUESTION[:58], QUESTION[58:]
    (overlap,) = find([first + " (a note of the editor: " + "la di da " * 8 + ") " + second], [QUESTION]).overlaps
    assert overlap > 0.9


def test_all_owners_are_named() -> None:
    hits = find(
        [QUESTION], [QUESTION, QUESTION + " Explain.", "other words that nobody has used yet", QUESTION.upper()]
    )
    assert pairs(hits) == [(0, 0), (0, 3), (0, 1)]
    assert hits.overlaps.tolist() == pytest.approx([1, 1, 21 / 22])


def test_spans_are_bytes_of_the_text() -> None:
    text = f"é前 {QUESTION} after"
    hits = find(["x", text], [QUESTION])
    assert text.encode()[hits.starts[0] : hits.stops[0]].decode().strip() == QUESTION


def test_short_items_are_found_only_as_whole_documents() -> None:
    texts = ["compute 3+4=? please", "3-4=?", " 3+4=?\n", "\uff13\uff0b\uff14\uff1d\uff1f", "on page 81", "", "81"]
    assert pairs(find(texts, ["3+4=?", "81", "", "?"])) == [(2, 0), (3, 0)]


LIGHT = ["Which of the following is a correct statement?", "下列关于它的各种说法中，正确的是"]
FORMS = [LIGHT[0].replace("?", f" about {chr(97 + i % 26) * 3}{i}?") for i in range(400)] + [
    f"{LIGHT[1]}其中第{chr(0x4E00 + i)}种" for i in range(400)
]


@pytest.mark.parametrize("variant", ["exact", "upper case", "spaces", "wide signs"])
@pytest.mark.parametrize("around", ["{}", "Before it.\n{}\nAfter it.", "they say {} and so on", "前面{}后面"])
def test_items_that_are_hardly_more_than_a_form_are_found_word_for_word(variant: str, around: str) -> None:
    """Each weighs less than `min_bits`, and its n-grams have 400 owners."""
    items = LIGHT + FORMS
    hits = find([around.format(VARIANTS[variant](item)) for item in LIGHT], items)
    found = {(row, item): bits for row, item, bits in zip(hits.rows, hits.items, hits.bits, strict=True)}
    for number in range(len(LIGHT)):
        assert 15 <= found[number, number] < 30


@pytest.mark.parametrize(
    "changed", ["Which of the following is a false statement?", "下列关于它的各种说法中，不正确的是"]
)
def test_a_form_with_a_change_is_not_found(changed: str) -> None:
    assert pairs(find([changed, "of the following is a correct statement"], LIGHT + FORMS)) == []


def test_every_item_of_eight_words_is_found_in_any_running_text() -> None:
    items, rng = made_up(4, 400)
    short = [" ".join(item.split()[:8]) if " " in item else item[:8] for item in items]
    texts = [f"{rng.choice(items)} {item} {rng.choice(items)}" for item in short]
    hits = find(texts, short + items)
    assert {(n, n) for n in range(len(short))} <= set(pairs(hits))


def test_the_test_of_short_items_would_see_a_lost_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deliberate bug: the last item has no anchor."""
    healthy = gram_index._anchors
    monkeypatch.setattr(gram_index, "_anchors", lambda *arguments: healthy(*arguments)[:1])
    hits = find(LIGHT, LIGHT + FORMS)
    assert {(n, n) for n in range(len(LIGHT))} & set(pairs(hits)) == {(0, 0)}


BEGINNING = "Convert the repeating decimal zero point"
DECIMAL = BEGINNING + " seven to a"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (BEGINNING, True),
        (f"Some text. {BEGINNING}\nMore text", True),
        (f"Exercise 3: {BEGINNING}. Then go on", True),
        (f"<li>{BEGINNING}</li>", True),
        (f"and {BEGINNING.lower()} four by hand", False),
        (f"{BEGINNING} four by hand", False),
        (f"let me {BEGINNING}", False),
        (f"1.{BEGINNING}", False),
        ("Convert the repeating decimals zero point", False),
        ("Convert the repeating\n", False),
    ],
)
def test_a_short_beginning_counts_where_it_stands_alone(text: str, found: bool) -> None:
    assert pairs(find([text], [DECIMAL, QUESTION])) == ([(0, 0)] if found else [])


def test_a_light_beginning_is_a_phrase_wherever_it_stands() -> None:
    items = [f"What is the difference between {chr(97 + i % 26) * 3}{i} and that" for i in range(3000)]
    assert pairs(find(["What is the difference between", "Q: What is the difference between\nthem?"], items)) == []


def test_items_of_five_to_seven_words_must_stand_alone() -> None:
    item = "Who painted Guernica in Paris?"
    texts = [f"Question: {item}", f"asked {item.lower()[:-1]} at noon", item[:-1], item.upper(), "Who painted it?"]
    assert pairs(find(texts, [item])) == [(0, 0), (2, 0), (3, 0)]


@pytest.mark.parametrize(
    ("text", "start", "stop", "alone"),
    [
        ("ab cd", 0, 5, True),
        ("x. ab cd? y", 3, 10, True),
        ("x ab cd? y", 2, 9, False),
        ("x. ab cd y", 3, 9, False),
        ("一。甲乙！丙", 6, 15, True),
        ("一甲乙！丙", 3, 12, False),
        ("- ab cd\n\nx", 2, 9, True),
        ("x" + " " * 70 + "ab", 71, 73, True),
        ("3.5 4.6", 2, 4, False),
    ],
)
def test_what_stands_alone(text: str, start: int, stop: int, alone: bool) -> None:
    assert contamination.stands_alone(np.frombuffer(text.encode(), np.uint8), start, stop) is alone


def test_of_an_item_said_often_in_one_document_the_best_is_told() -> None:
    text = f"{QUESTION[:63]}.\n{QUESTION.replace('5 more', '6 more')}\n{QUESTION}\n{QUESTION[:63]}"
    hits = find([text], [QUESTION])
    assert (pairs(hits), hits.overlaps.tolist()) == ([(0, 0)], [1.0])


ANSWERED = BenchmarkItem(QUESTION, "32")
LONG = BenchmarkItem(QUESTION, "He buys 5 sheep on each of 3 days, which makes 15 sheep more, so he has 32 sheep.")


@pytest.mark.parametrize(
    ("item", "text", "expected"),
    [
        (ANSWERED, f"{QUESTION} Answer: 32.", WITH),
        (ANSWERED, f"Answer: 32. Question: {QUESTION}", WITH),
        (ANSWERED, f"{QUESTION} Answer: 33.", WITHOUT),
        (ANSWERED, f"{QUESTION} {'la ' * 200} 32", WITHOUT),
        (ANSWERED, f"{QUESTION} The year 1932, or 320.", WITHOUT),
        (BenchmarkItem(QUESTION, "every day"), QUESTION, WITHOUT),
        (LONG, f"{QUESTION} {LONG.answer.replace('which', 'that')}", WITH),
        (LONG, f"{QUESTION} 32 is what comes out of it.", WITHOUT),
        (BenchmarkItem(QUESTION), f"{QUESTION} 32", NO_ANSWER),
    ],
)
def test_an_item_with_its_answer_is_told_from_one_without(item: BenchmarkItem, text: str, expected: int) -> None:
    assert find([text], [item]).with_answer.tolist() == [expected]


def test_an_answer_alone_matches_nothing() -> None:
    assert pairs(find(["72", "The answer is 72.", "72 72 72"], [BenchmarkItem(QUESTION, "72")])) == []


def test_one_word_a_million_times_takes_linear_time() -> None:
    """Beside items of that word, which lead back to themselves from every place."""
    items = ["a " * 200, "a " * 12 + QUESTION, QUESTION]
    find(["a a"], items, min_bits=0)
    seconds = []
    for count in (200_000, 800_000):
        begin = time.process_time()
        hits = find(["a " * count, ""], items, min_bits=0)
        seconds.append(time.process_time() - begin)
        assert (0, 0) in pairs(hits)
    assert seconds[1] < 12 * max(seconds[0], 0.02)


def test_nothing_to_look_for() -> None:
    assert pairs(find(["a text of ten words or more than that in fact"], [])) == []
    assert pairs(find([], [QUESTION])) == []


def test_a_task_of_the_same_form_is_not_the_item() -> None:
    """Each word is rare enough by itself; all of them together are what the items of one benchmark begin with."""
    ends = [f"{a} {b} of a given {c}" for a in ("sum", "first", "last") for b in ("row", "tree") for c in ("a1", "b2")]
    items = [f"Write a python function to find the {end}{i}." for i in range(20) for end in ends] + made_up(5, 5000)[0]
    changed = "Write a python function to find the longest of a given list."
    assert pairs(find([changed], items)) == []
    assert (0, 0) in pairs(find([f"Please {items[0]} Then test it"], items))
