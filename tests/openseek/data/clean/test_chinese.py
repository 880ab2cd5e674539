"""Traditional becomes simplified in Chinese, and only there."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openseek.data import chinese_kernels
from openseek.data.chinese_kernels import HAN, MARKED, chinese_table
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


def test_japanese_under_a_wrong_language_stays(documents) -> None:
    japanese = documents(["漢字の変換と學校の話をしている"], lang="zh", script="Jpan")
    assert SimplifyChinese()(japanese).equals(japanese)
    quoting = documents(
        ["他引用了日文的の字，漢字轉換的規則在這裡說明得很清楚，讀者可以參考。"], lang="zh", script="Hant"
    )
    assert SimplifyChinese()(quoting)["text"].to_pylist()[0].startswith("他引用了日文的の字，汉字转换")


def test_the_scan_misses_no_document(documents, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted((samples / "zh_edu").glob("*.parquet"))
    texts = [text for file in files for text in pq.read_table(file, columns=["text"])["text"].to_pylist()]
    texts = [text for text in texts if not re.search("[ぁ-ヺ]", text)]
    texts += ["沈思往事", "", "\n", "反覆無常\r\n藉口"]
    expected = [simplify(text) for text in texts]
    batch = documents(texts, lang="zh", script="Hans")
    assert SimplifyChinese()(batch)["text"].to_pylist() == expected != texts
    # A character left out must show.
    table = chinese_table().copy()
    table[ord("沈")] = HAN
    monkeypatch.setattr(chinese_kernels, "chinese_table", lambda: table)
    assert SimplifyChinese()(batch)["text"].to_pylist() != expected


def test_every_phrase_of_the_dictionary_holds_a_marked_character(tmp_path: Path) -> None:
    package = importlib.util.find_spec("opencc")
    assert package is not None
    folder = Path((package.submodule_search_locations or [""])[0]) / "clib"
    phrases = tmp_path / "phrases.txt"
    dictionary = folder / "share" / "opencc" / "TSPhrases.ocd2"
    command = [folder / "bin" / "opencc_dict", "-i", dictionary, "-f", "ocd2", "-o", phrases, "-t", "text"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    table, seen = chinese_table(), 0
    for line in phrases.read_text(encoding="utf-8").splitlines():
        old, _, new = line.partition("\t")
        if old != new.split(" ")[0]:
            seen += 1
            assert any(table[ord(character)] & MARKED for character in old), old
    assert seen > 100
