from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from openseek.data import tokenizer as subject
from openseek.data.tokenizer import SPECIAL_TOKENS, Tokenize

TEXTS = [
    "The quick brown fox jumps over the lazy dog. It costs 1234 dollars in 2024.\n\n",
    "今天天气很好，我们去公园散步。机器学习模型训练数据。\n",
    "def f(x):\n\treturn x ** 2  # naïve 🎉👩‍👩‍👧\r\n",
    "∑ᵢ xᵢ² ≤ 1 \u200b \ufeff café e\u0301",
    "",
    " ",
    "<|endoftext|> spelt out, and <|im_end|> too",
]


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return subject.train(TEXTS * 40, Tokenize(vocab_size=400))


def test_special_tokens_come_first(trained: Tokenizer) -> None:
    assert [trained.token_to_id(name) for name in SPECIAL_TOKENS] == [0, 1, 2, 3]
    assert 260 < subject.vocabulary_size(trained) <= 400


@pytest.mark.parametrize("text", [*TEXTS, "unseen: ελληνικά 한국어 𠀀 \x00 \x7f", "\n\n\n   \t x"])
def test_decoding_gives_the_text_back(trained: Tokenizer, text: str) -> None:
    (ids,) = subject.encode(trained, [text])
    assert trained.decode(ids, skip_special_tokens=False) == text
    assert all(i >= len(SPECIAL_TOKENS) for i in ids)


def test_digits_are_single_tokens(trained: Tokenizer) -> None:
    (ids,) = subject.encode(trained, ["in 2024"])
    assert [trained.id_to_token(i) for i in ids][-4:] == ["2", "0", "2", "4"]


def test_training_is_deterministic(trained: Tokenizer) -> None:
    for _ in range(3):
        assert subject.train(iter(TEXTS * 40), Tokenize(vocab_size=400)).to_str() == trained.to_str()


def test_pieces_of_long_texts_give_the_same_tokens(trained: Tokenizer) -> None:
    text = "".join(f"Line number {i} 第{i}行 of text;\n\nwith gaps\n" for i in range(300))
    pieces = list(subject.split(text, 1000))
    assert "".join(pieces) == text
    assert len(pieces) > 10
    assert all(len(piece) <= 1000 for piece in pieces)
    whole = subject.encode(trained, [text])[0]
    assert [i for piece in subject.encode(trained, pieces) for i in piece] == whole


@pytest.mark.parametrize("text", ["x" * 2500, "\n" * 2500, "", "ab\n" * 800, "!\n" * 1200])
def test_pieces_of_texts_without_a_good_place(text: str) -> None:
    pieces = list(subject.split(text, 1000))
    assert "".join(pieces) == text
    assert all(len(piece) <= 1000 for piece in pieces)


def test_given_tokenizer_gets_the_special_tokens_it_lacks(tmp_path: Path, trained: Tokenizer) -> None:
    plain = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "<|endoftext|>": 2}, merges=[]))
    plain.add_special_tokens(["<|endoftext|>"])
    plain.save(str(tmp_path / "given.json"))
    loaded = subject.load(tmp_path / "given.json")
    assert [loaded.token_to_id(name) for name in SPECIAL_TOKENS] == [2, 3, 4, 5]
    assert subject.vocabulary_size(loaded) == 6
    trained.save(str(tmp_path / "own.json"))
    assert subject.load(tmp_path / "own.json").to_str() == trained.to_str()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"hello": 1}')
    with pytest.raises(ValueError, match=r"t\.json is no tokenizer\.json"):
        subject.load(tmp_path / "t.json")


def test_choice_by_id() -> None:
    ids = [f"{i:032x}" for i in range(20_000)]
    held = subject.chosen(ids, 0.1, 0)
    assert held.mean() == pytest.approx(0.1, abs=0.01)
    assert (subject.chosen(ids[::-1], 0.1, 0)[::-1] == held).all()
    assert (subject.chosen(ids, 0.2, 0) >= held).all()
    assert (subject.chosen(ids, 0.1, 1) & held).mean() == pytest.approx(0.01, abs=0.005)
    assert not subject.chosen(ids, 0.0, 0).any()
    assert subject.chosen(ids, 3.5, 0).all()


def test_unigram_entropy() -> None:
    train, held = np.array([7, 0, 0, 1]), np.array([3, 0, 0, 1])
    expected = -(3 * np.log(8 / 12) + np.log(2 / 12)) / 4
    assert subject.unigram_entropy(train, held) == pytest.approx(expected)
    assert subject.unigram_entropy(train, held * 0) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocab_size": 100}, "vocab_size is 100: it must be at least 260"),
        ({"sample_bytes": 0}, "sample_bytes is 0"),
        ({"heldout_fraction": 1.0}, "heldout_fraction is 1.0"),
        ({"vocab_size": 260, "extra_special_tokens": ("<fim>",)}, "it must be at least 261"),
        ({"engines": ("compiled", "rust")}, r"engines names \['rust'\]: they are compiled, kitoken"),
        ({"check_fraction": 1.5}, "check_fraction is 1.5"),
        ({"stratify_by": "words"}, "stratify_by is 'words': give source, lang or source_lang"),
        ({"sample_shares": {"zh": 1.0}}, "source_lang with sample_shares"),
        ({"stratify_by": "lang", "sample_shares": {"zh": 0.0}}, "sample_shares are .*: each must be above 0"),
        ({"quality_column": "score_quality"}, "give a column and rising bounds, or neither"),
        ({"quality_column": "score_quality", "quality_bounds": (0.5, 0.2)}, "quality_bounds are"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tokenize(**fields)
