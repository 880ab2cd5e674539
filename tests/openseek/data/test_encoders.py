"""Every engine beside the tokenizers library, on texts that are hard to cut into words."""

import random
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from openseek.data import encoders
from openseek.data.encoders import CompiledBPE, Encoded, Judge, Kitoken, Tiktoken, differing, first_equal
from openseek.data.split_patterns import NotUnderstood
from openseek.data.tokenizer import QWEN_PATTERN, Tokenize, train

DEEPSEEK = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
ALPHABET = [
    *"aabcdest'\"  \n\n\t\r.,!?-_(){}<>|0123456789é中文数据かナ한ßſKİ",
    *(
        "'s",
        "'LL",
        "\r\n",
        "  ",
        "\u00a0",
        "\u3000",
        "\u2028",
        "\x85",
        "\x0b",
        "\x1c",
        "e\u0301",
        "\u0915\u094d",
        "🎉👩‍👩‍👧",
    ),
    *(
        "Ⅷ",
        "²",
        "½",
        "٣",
        "𝟘",
        "\U0001e290",
        "\U00031350",
        "\U000e0041",
        "\ue000",
        "\ufeff",
        "\u200d",
        "ǅ",
        "the",
        "def",
    ),
]


def texts(count: int = 300, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    hard = ["", " ", "\n", "x" * 3000, " " * 500 + "x", "ab " * 400, "'", "\r\n\r\n  \n", "é" * 200, "aaab" * 900]
    anything = "".join(chr(point) for point in rng.sample(range(0x110000), 3000) if not 0xD800 <= point < 0xE000)
    return [*hard, anything, *("".join(rng.choices(ALPHABET, k=rng.randint(1, 120))) for _ in range(count))]


def column(some: list[str]) -> pa.Array:
    return pa.array(some, pa.large_string())


def bpe(*patterns: str, size: int = 700) -> Tokenizer:
    """A byte-level BPE with these patterns, trained on the hard texts."""
    tokenizer = Tokenizer(models.BPE())
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not patterns)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False
    )
    tokenizer.train_from_iterator(texts(400, 5), trainer)
    return tokenizer


def own() -> Tokenizer:
    return train(texts(400, 5), Tokenize(vocab_size=700))


def gpt2() -> Tokenizer:
    return bpe()


def qwen() -> Tokenizer:
    tokenizer = bpe(QWEN_PATTERN)
    tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def deepseek() -> Tokenizer:
    tokenizer = bpe(*DEEPSEEK)
    tokenizer.add_tokens([AddedToken("<|User|>"), AddedToken("ca")])
    return tokenizer


def whole_words() -> Tokenizer:
    """Some vocabulary entries that no merge makes."""
    made = bpe()
    vocabulary = made.get_vocab(with_added_tokens=False)
    vocabulary |= {word: 5000 + i for i, word in enumerate(("thedef", "xxxxx", "Ġthe" * 30))}
    model = models.BPE(vocab=vocabulary, merges=[("a", "b"), ("d", "e")], ignore_merges=True)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = made.pre_tokenizer
    return tokenizer


@pytest.mark.parametrize("make", [own, gpt2, qwen, deepseek, whole_words])
def test_compiled_ids_are_the_librarys_on_every_text(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    some = [*texts(), "thedef xxxxx <|User|> ca <|endoftext|>"]
    engine, judge = CompiledBPE(tokenizer), Judge(tokenizer)
    wanted = judge.encode(column(some))
    assert len(differing(engine.encode(column(some)), wanted)) == 0
    # What it remembers, and where a column begins, change nothing.
    for start, stop in ((0, len(some)), (3, 9), (50, 51), (0, 0)):
        part = column(some).slice(start, stop - start)
        assert len(differing(engine.encode(part), judge.encode(part))) == 0
    assert (engine.judged > 0) == (make in (qwen, deepseek))
    left = engine.judged
    engine.encode(column(["It's a plain text.\n", "这是中文, 3.5。", "naïve한국 हिन्दी ไม้"]))
    assert engine.judged == left


def test_very_long_texts_are_cut_as_for_the_library() -> None:
    tokenizer = own()
    some = column(["short", "ab\n" * 200_000 + "x" * 1_500_000 + "数" * 300_000, "", "short"])
    assert len(differing(CompiledBPE(tokenizer).encode(some), Judge(tokenizer).encode(some))) == 0
    pieces, owners = encoders.cut(some)
    assert owners is not None
    assert owners.tolist() == [0, 1, 1, 1, 2, 3]
    assert "".join(pieces.to_pylist()[1:4]) == some[1].as_py()


def test_a_wrong_rank_is_noticed() -> None:
    tokenizer = own()
    engine = CompiledBPE(tokenizer)
    compiled, _ = encoders._compiled(tokenizer.to_str())
    used = np.flatnonzero(compiled.program.merges[:, 0] >= 0)
    values = compiled.program.merges[used, 1].copy()
    try:
        compiled.program.merges[used, 1] = (1000 - (values >> 32)) << 32 | (values & 0xFFFFFFFF)
        different = differing(engine.encode(column(texts())), Judge(tokenizer).encode(column(texts())))
    finally:
        compiled.program.merges[used, 1] = values
    assert len(different) > 50


def test_a_full_memory_of_words_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openseek.data.bpe_program.WORD_SLOTS", 1 << 7)
    monkeypatch.setattr("openseek.data.bpe_program.WORD_TOKENS", 300)
    encoders._compiled.cache_clear()
    tokenizer = own()
    engine = CompiledBPE(tokenizer)
    assert len(differing(engine.encode(column(texts())), Judge(tokenizer).encode(column(texts())))) == 0
    encoders._compiled.cache_clear()


@pytest.mark.parametrize("make", [gpt2, own])
def test_kitoken_with_the_patterns_themselves(make: Callable[[], Tokenizer]) -> None:
    some = column(["it's 'sfu'\n'short' and  two 12 words", "中文 数据 3.5"])
    tokenizer = make()
    assert len(differing(Kitoken(tokenizer).encode(some), Judge(tokenizer).encode(some))) == 0


def test_tiktoken() -> None:
    tokenizer, some = gpt2(), column(texts())
    assert len(differing(Tiktoken(tokenizer).encode(some), Judge(tokenizer).encode(some))) < 5
    with pytest.raises(NotUnderstood, match="one pattern, this one has 2"):
        Tiktoken(own())


def test_the_gate_takes_the_first_engine_with_equal_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, tokenizer = column(texts(30)), own()
    assert first_equal(tokenizer, sample, ("compiled", "tokenizers")) == ("compiled", {})
    name, refused = first_equal(tokenizer, sample, ("tiktoken", "compiled"))
    assert name == "compiled"
    assert "one pattern" in refused["tiktoken"]

    class Reversed(Judge):
        def encode(self, texts: pa.Array) -> Encoded:
            right = super().encode(texts)
            return Encoded(right.ids[::-1], right.lengths)

    monkeypatch.setitem(encoders.ENGINES, "compiled", Reversed)
    name, refused = first_equal(tokenizer, sample, ("compiled",))
    assert name == "tokenizers"
    assert "other ids on" in refused["compiled"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: setattr(t, "normalizer", normalizers.Lowercase()), "changes texts with Lowercase"),
        (lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Whitespace()), "not made of bytes"),
        (lambda t: setattr(t, "model", models.WordPiece({"a": 0}, unk_token="a")), "model is WordPiece"),
        (lambda t: setattr(t, "model", models.BPE(vocab={"a": 0}, merges=[])), "lacks 255 of the 256 bytes"),
        (lambda t: setattr(t.model, "dropout", 0.1), "BPE has dropout"),
    ],
)
def test_tokenizers_beyond_the_kernels_are_left_to_the_library(change: Callable[[Tokenizer], None], why: str) -> None:
    tokenizer = gpt2()
    change(tokenizer)
    with pytest.raises(NotUnderstood, match=why):
        CompiledBPE(tokenizer)
    assert first_equal(tokenizer, column(["a"]), ("compiled",))[0] == "tokenizers"
