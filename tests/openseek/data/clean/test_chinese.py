"""Traditional becomes simplified in Chinese, and only there."""

import pytest

from openseek.data.clean.chinese import SimplifyChinese, simplify


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [
        ("漢字轉換：頭髮發展，後來乾淨。", "汉字转换：头发发展，后来干净。"),
        ("乾隆皇帝著名的著作", "乾隆皇帝著名的著作"),
        ("已经是简体的句子，头发发展。", "已经是简体的句子，头发发展。"),
    ],
)
def test_simplify(traditional: str, simplified: str) -> None:
    assert simplify(traditional) == simplified
    assert simplify(simplified) == simplified


def test_chinese_documents_change_script_and_japanese_ones_stay(documents) -> None:
    text = "漢字轉換"
    batch = SimplifyChinese()(documents([text], lang="zh", script="Hant"))
    assert batch.select(["text", "script"]).to_pylist() == [{"text": "汉字转换", "script": "Hans"}]
    japanese = documents(["漢字の変換、學校"], lang="ja", script="Jpan")
    assert SimplifyChinese()(japanese).equals(japanese)
    quoting = SimplifyChinese()(documents(["他引用了“漢字”"], lang="zh", script="Hans"))
    assert quoting["text"].to_pylist() == ["他引用了“汉字”"]
