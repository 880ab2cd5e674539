"""Items in documents: overlaps by definition, variants that are found, phrases that are not, answers, bad input."""

import random
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from openseek.data import contamination
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
    healthy = contamination._pieces

    def forgetful(data: Any, offsets: Any, ngram: Any, sieve: Any, *rest: Any) -> Any:
        return healthy(data, offsets, ngram, sieve & np.uint64(0x0101010101010101), *rest)

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
