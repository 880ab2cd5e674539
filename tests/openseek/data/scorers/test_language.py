"""Languages, scripts and the cases in which the letters overrule the model."""

import pyarrow as pa
import pytest

from openseek.data.scorers.language import identify, scores


def texts(*values: str) -> pa.Array:
    return pa.array(values, pa.large_string())


@pytest.mark.parametrize(
    ("text", "lang", "script"),
    [
        ("The quick brown fox jumps over the lazy dog and runs away from the hunters.", "en", "Latn"),
        ("THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG AND RUNS AWAY.", "en", "Latn"),
        ("我们在这里讨论的是中国的历史和文化。", "zh", "Hans"),
        ("我們在這裡討論的是中國的歷史和文化。", "zh", "Hant"),
        ("意懶還須步，愁多不更嗔。蕭蕭寒著樹，咄咄老侵人。", "zh", "Hant"),
        ("これは日本語の文章です。漢字とかなが混ざっています。", "ja", "Jpan"),
        ("이것은 한국어로 쓰인 문장입니다.", "ko", "Kore"),
        ("Это предложение написано на русском языке.", "ru", "Cyrl"),
        ("Le renard brun saute par-dessus le chien paresseux et s'enfuit.", "fr", "Latn"),
        ("使用 git commit 命令提交更改，然后运行 git push 推送到远程仓库 origin main。", "zh", "Hans"),
        ("12345 ... 67", "", "Zyyy"),
        ("", "", "Zyyy"),
    ],
)
def test_identify(text: str, lang: str, script: str) -> None:
    found = identify(texts(text))
    assert (found.langs, found.scripts) == ([lang], [script])
    assert 0 <= found.probabilities[0] <= 1
    assert found.probabilities[0] > 0.3 or not lang


def test_a_batch_gives_what_its_texts_give_alone() -> None:
    several = (
        "Une histoire que personne ne veut garder.",
        "",
        "漢字轉換",
        "A story to be told.",
        "\n\n",
        "👩‍👩‍👧 שלום",
    )
    found = identify(texts(*several))
    for i, text in enumerate(several):
        alone = identify(texts(text))
        assert (alone.langs[0], alone.scripts[0]) == (found.langs[i], found.scripts[i])
    assert identify(texts()).langs == []
    assert identify(texts("nothing", *several).slice(1)).langs == found.langs


def test_a_known_language_is_taken_and_the_script_still_counted() -> None:
    found = identify(texts("x = 1 # 漢字轉換", "我們在這裡討論", "我們在這裡討論"), ["en", "zh", ""])
    assert found.langs == ["en", "zh", "zh"]
    assert found.scripts[1:] == ["Hant", "Hant"]
    assert found.probabilities[:2].tolist() == [1.0, 1.0]


def test_quotes_in_the_other_script_do_not_change_a_documents_script() -> None:
    assert identify(texts("他在文章里引用了“漢字”两个字，并说这是旧的写法。")).scripts == ["Hans"]


def test_a_word_of_kana_makes_chinese_no_japanese() -> None:
    chinese = "他在文章里引用了日文的の这个字，并说这是旧的写法，今天的人们已经不再这样写了。"
    assert identify(texts(chinese)).langs == ["zh"]
    assert identify(texts("漢字の変換と学校の話")).langs == ["ja"]


def test_scores_are_of_the_language_said_to_be_the_texts_own() -> None:
    text = "The quick brown fox jumps over the lazy dog and runs away from the hunters."
    right, wrong, unknown = scores(texts(text, text, text), ["en", "zh", "tlh"])
    assert right > 0.8 > 0.1 > wrong
    assert unknown == 0
