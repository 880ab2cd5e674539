"""Golden cases of Gopher's rules: a document that just keeps a limit and one that just breaks it."""

import pytest

from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.transform import Filter, apply

# 60 different words with stop words among them; mean length 4.4
WORDS = [
    f"{a}{b}"
    for a in ("ri", "ma", "to", "ne", "pu", "ka", "so", "li")
    for b in ("ver", "son", "nal", "gle", "tic", "per", "dow")
]
PROSE = " ".join(["the", "and", "of", "to", *WORDS])


def broken(step: Filter, batch) -> dict[str, float]:
    _, dropped = apply([step], batch, task="filter")
    return dict(zip(dropped["rule"].to_pylist(), dropped["value"].to_pylist(), strict=True))


def test_prose_breaks_nothing(documents) -> None:
    assert broken(GopherQuality(), documents([PROSE])) == {}
    assert broken(GopherRepetition(), documents([PROSE])) == {}


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        (" ".join(PROSE.split()[:49]), "gopher_min_words", 49),
        (PROSE + " a" * 100_000, "gopher_max_words", 100_060),
        ("the of " + "a " * 58, "gopher_min_mean_word_length", (3 + 2 + 58) / 60),
        ("the of " + "extraordinarily " * 58, "gopher_max_mean_word_length", (3 + 2 + 58 * 15) / 60),
        (PROSE + " #" * 7, "gopher_hash_ratio", 7 / 67),
        (PROSE.replace(" ", "... ", 7), "gopher_ellipsis_ratio", 7 / 67),
        ("- " + PROSE.replace(" ", "\n- "), "gopher_bullet_lines", 1.0),
        (PROSE.replace(" ", "…\n", 3), "gopher_ellipsis_lines", 3 / 4),
        (PROSE + " 12" * 16, "gopher_alpha_words", 60 / 76),
        (PROSE + " ," * 16, "gopher_alpha_words", 60 / 76),
        ("the " + " ".join(WORDS), "gopher_stop_words", 1),
    ],
)
def test_quality_rules(documents, text: str, rule: str, value: float) -> None:
    assert broken(GopherQuality(), documents([text]))[rule] == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (PROSE + " #" * 6, "gopher_hash_ratio"),
        (PROSE.replace(" ", "... ", 6), "gopher_ellipsis_ratio"),
        (PROSE + " 12" * 15, "gopher_alpha_words"),
        (" ".join(PROSE.split()[:50]), "gopher_min_words"),
        ("the of " + " ".join(WORDS), "gopher_stop_words"),
    ],
)
def test_quality_limits_are_kept_when_just_met(documents, text: str, rule: str) -> None:
    assert rule not in broken(GopherQuality(), documents([text]))


def test_punctuation_is_a_word_where_shares_are_taken_and_none_where_words_are_counted(documents) -> None:
    fifty = " ".join(PROSE.split()[:49])
    assert broken(GopherQuality(), documents([fifty + " , , , ,"]))["gopher_min_words"] == 49
    assert "gopher_min_words" not in broken(GopherQuality(), documents([fifty.replace(" ", "-", 1) + " and"]))
    assert "gopher_hash_ratio" not in broken(GopherQuality(), documents([PROSE + " #" * 7 + " ." * 10]))


def test_punctuation_can_be_left_out_of_the_share_of_words_with_a_letter(documents) -> None:
    text = PROSE + " ," * 16 + " 12" * 15
    assert broken(GopherQuality(), documents([text]))["gopher_alpha_words"] == pytest.approx(60 / 91)
    assert broken(GopherQuality(punctuation_counts=False), documents([text])) == {}


def test_stop_words_count_in_small_letters(documents) -> None:
    assert broken(GopherQuality(), documents(["The OF " + " ".join(WORDS)]))["gopher_stop_words"] == 0


def test_other_languages_and_sources_are_left_alone(documents) -> None:
    assert broken(GopherQuality(), documents(["太短"], lang="zh")) == {}
    assert broken(GopherQuality(), documents(["x = 1"], source="code")) == {}
    assert broken(GopherQuality(except_sources=()), documents(["x = 1"], source="code")) != {}


def test_repetition_of_lines_and_paragraphs(documents) -> None:
    lines = [f"{w} {v}" for w, v in zip(WORDS[:14], WORDS[14:28], strict=True)]
    text = "\n".join(lines[:10] + lines[:6])
    found = broken(GopherRepetition(), documents([text]))
    assert found["repetition_lines"] == pytest.approx(6 / 16)
    share = sum(len(line) for line in lines[:6]) / len(text)
    assert found["repetition_line_characters"] == pytest.approx(share)
    assert "repetition_paragraphs" not in found
    found = broken(GopherRepetition(), documents(["\n\n".join(lines[:10] + lines[:6])]))
    assert found["repetition_paragraphs"] == pytest.approx(6 / 16)
    kept = broken(GopherRepetition(), documents(["\n".join(lines + lines[:6])]))
    assert "repetition_lines" not in kept


def test_repetition_of_ngrams(documents) -> None:
    phrase = "nobody expects this phrase here "
    text = (PROSE + " ") * 1 + phrase * 4
    found = broken(GopherRepetition(), documents([text]))
    assert found["repetition_duplicate_5gram"] == pytest.approx(3 * len(phrase.replace(" ", "")) / len(text))
    twice = "ha ho " * 20 + PROSE
    assert broken(GopherRepetition(), documents([twice]))["repetition_top_2gram"] > 0.2


def test_in_chinese_only_long_runs_of_characters_count(documents) -> None:
    sentences = [f"第{c}章说的是另外一件事情，" for c in "一二三四五六七八九十甲乙丙丁戊己庚辛壬癸"]
    names = "".join(f"{s}张三丰说，" for s in sentences)
    assert broken(GopherRepetition(), documents([names], lang="zh", script="Hans")).keys() <= {
        "repetition_duplicate_10_characters"
    }
    looped = "从前有座山，山里有座庙，庙里有个老和尚在讲故事。" * 10
    assert "repetition_duplicate_10_characters" in broken(GopherRepetition(), documents([looped], lang="zh"))
    assert (
        broken(
            GopherRepetition(max_duplicate_lines=1),
            documents(["".join(chr(0x4E00 + i) for i in range(400))], lang="zh"),
        )
        == {}
    )
