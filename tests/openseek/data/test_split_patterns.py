import pytest
from tokenizers import Regex, pre_tokenizers

from openseek.data.split_patterns import GPT2, Item, NotUnderstood, members, parse, stages

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def test_patterns_of_known_tokenizers_are_understood() -> None:
    gpt2 = parse(GPT2).alternatives
    assert len(gpt2) == 13 - 1
    assert gpt2[0] == (Item("'", literal=True), Item("s", literal=True))
    assert [item.look for item in gpt2[-2]] == [0, 2]
    llama = parse(LLAMA3).alternatives
    assert llama[2] == (Item("'", literal=True), Item("(?i:r)"), Item("(?i:e)"))
    assert (llama[8][0].least, llama[8][0].most) == (1, 3)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\p{L}++", "without giving back"),
        (r"\p{L}+?", "without giving back"),
        (r"(a|b)+", "repeats a group"),
        (r"a+(?:b|c)", "group behind a repeat"),
        (r"(?<=a)b", r"uses \(\?<"),
        (r"\bword", r"uses \\b"),
        (r"^a", r"uses \^"),
        (r"a*", "match nothing"),
        (r"(?!ab)c", "further than one character"),
        (r"(?i:ss)", "folds the case"),
        (r"[abc", "ends nowhere"),
        (r"(?:a", r"unmatched \("),
        (r"a)", r"unmatched \)"),
    ],
)
def test_what_is_beyond_is_named(pattern: str, why: str) -> None:
    with pytest.raises(NotUnderstood, match=why):
        parse(pattern)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (None, "no pre-tokenizer"),
        ({"type": "Whitespace"}, "splits words with Whitespace"),
        ({"type": "ByteLevel", "add_prefix_space": True}, "space before a text"),
        ({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Removed", "invert": True}, "Split"),
        ({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]}, "not the last"),
    ],
)
def test_other_pre_tokenizers_are_named(spec: dict, why: str) -> None:
    with pytest.raises(NotUnderstood, match=why):
        stages(spec)


@pytest.mark.parametrize("atom", [r"\p{L}", r"[^\s\p{L}\p{N}]", r"(?i:s)", r"[\p{Lu}\p{M}]"])
def test_classes_are_the_librarys(atom: str) -> None:
    found = members(Item(atom))
    splitter = pre_tokenizers.Split(Regex(atom), "removed")
    for point in [
        *range(0x3000),
        0x17F,
        0x212A,
        0xFB06,
        0x1D7CE,
        0x20000,
        0x3347F,
        0x50000,
        0xE0100,
        0xF1234,
        0x10FFFD,
    ]:
        assert found[point] == (not splitter.pre_tokenize_str(chr(point)))
