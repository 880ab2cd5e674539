"""CCI4.0's Chinese rules at their edges, for Chinese only."""

import pytest

from openseek.data.filters.chinese import ChineseQuality
from openseek.data.transform import apply

LINE = "一二三四五六七八九。"


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (LINE * 10, []),
        (LINE * 9 + LINE[:9], ["chinese_min_characters"]),
        ("\n".join([LINE] * 20), []),
        ("\n".join([LINE[:9]] * 20), ["chinese_characters_per_line"]),
        (LINE * 2000, []),
        (LINE * 2000 + "完", ["chinese_max_characters"]),
        ("一二三四五六七八九十" * 31, ["chinese_max_sentence"]),
        ("天。地！" * 30, ["chinese_min_sentence"]),
        ("plain words " * 20 + LINE, ["chinese_ideographs"]),
    ],
)
def test_rules(documents, text: str, rules: list[str]) -> None:
    _, dropped = apply([ChineseQuality()], documents([text], lang="zh"), task="filter")
    assert dropped["rule"].to_pylist() == rules
    _, dropped = apply([ChineseQuality()], documents([text], lang="en"), task="filter")
    assert dropped.num_rows == 0
