"""Languages, scripts and the cases in which the letters overrule the model."""

import pytest

from openseek.data.scorers.language import chinese_script, identify, scores


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
    (guess,) = identify([text])
    assert (guess.lang, guess.script) == (lang, script)
    assert 0 <= guess.probability <= 1
    assert guess.probability > 0.3 or not lang


def test_quotes_in_the_other_script_do_not_change_a_documents_script() -> None:
    assert chinese_script("他在文章里引用了“漢字”两个字，并说这是旧的写法。") == "Hans"


def test_scores_are_of_the_language_said_to_be_the_texts_own() -> None:
    text = "The quick brown fox jumps over the lazy dog and runs away from the hunters."
    right, wrong = scores([text, text], ["en", "zh"])
    assert right > 0.8 > 0.1 > wrong
