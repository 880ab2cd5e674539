"""English words: what comes apart, what stays whole, and that no character is lost."""

import random
import re
import time

import pytest

from openseek.data.english_kernels import split_words
from openseek.data.english_words import LONGEST_SPECIAL, special_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't say it's John's, they'll've", "Do n't say it 's John 's , they 'll 've"),
        ("can’t cannot gonna dont id well Its", "ca n’t can not gon na do nt i d well Its"),
        ("Mr. Smith (e.g., in the U.S.) left.", "Mr. Smith ( e.g. , in the U.S. ) left ."),
        ("IBM. Plan B. word. Word.Next a.b", "IBM . Plan B. word . Word . Next a.b"),
        ("state-of-the-art well- -well a--b", "state - of - the - art well- -well a -- b"),
        ("10km/h 5pm 10 a.m. 5% $5 US$10 3,000 1.5 10-20", "10 km/h 5 pm 10 a.m. 5 % $ 5 US$ 10 3,000 1.5 10 - 20"),
        ("and/or A/B x=y a,b 1,2", "and/or A / B x = y a , b 1,2"),
        ("...hello end... wait…what", "... hello end ... wait … what"),
        ("http://a.b.com/x-y?y=1, foo@bar.com www.foo.org/a/b", "http://a.b.com/x-y?y=1 , foo@bar.com www.foo.org/a/b"),
        ("'quoted' \"both\" [1] **b** #tag foo_bar", "' quoted ' \" both \" [ 1 ] * * b * * # tag foo_bar"),
        ("def f(x): return :-) :( C++", "def f(x ): return :-) :( C++"),
        ("你好，world。กิข", "你 好 ， world 。 กิ ข"),
    ],
)
def test_words(text: str, words: str) -> None:
    assert split_words(text) == words.split()


def test_every_special_word_is_split_as_it_says() -> None:
    for word, parts in special_words().items():
        assert split_words(word) == list(parts), word
        assert len(word) <= LONGEST_SPECIAL


def test_no_character_is_lost() -> None:
    draw = random.Random(7)
    letters = "abzIXs059 .,:;'’\"()[]{}<>-–—~*#&/=+^$€%@_…!?¡°²µ中がกา😀é\u0301\n\t\u00a0"
    texts = ["".join(draw.choices(letters, k=draw.randrange(60))) for _ in range(3000)]
    for text in ["", " ", *texts]:
        assert "".join(split_words(text)) == re.sub(r"\s", "", text), repr(text)


@pytest.mark.parametrize("piece", [".", "-", "'", "a.", "a@b.", "://", "a-", ")", "=(", "1", "…", "http://a@"])
def test_a_long_run_without_white_space_takes_linear_time(piece: str) -> None:
    split_words("warm up")
    times = []
    for size in (20_000, 320_000):
        text, tries = piece * (size // len(piece)), []
        for _ in range(4):
            begin = time.process_time()
            found = split_words(text)
            tries.append(time.process_time() - begin)
            assert "".join(found) == text
        times.append(min(tries))
    # Quadratic time would be 256 times as long, linear time 16 times; the floor keeps a slow tick of the clock out.
    assert times[1] < 100 * max(times[0], 0.02)
