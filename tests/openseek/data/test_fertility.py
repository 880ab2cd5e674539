import numpy as np
import pytest
from tokenizers import Tokenizer

from openseek.data.fertility import fertility, single_byte_ids
from openseek.data.tokenizer import Tokenize, encode, train


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train(["the model reads text " * 50], Tokenize(vocab_size=300))


def row(tokenizer: Tokenizer, texts: list[str]) -> dict:
    ids = [np.array(i, np.int64) for i in encode(tokenizer, texts)]
    return fertility(texts, ids, single_byte_ids(tokenizer.get_vocab(), 300))


def test_words_and_han_are_counted_apart(tokenizer: Tokenizer) -> None:
    english = row(tokenizer, ["the model", "reads text"])
    assert english["documents"] == 2
    assert english["bytes"] == 19
    assert english["tokens_per_word"] == english["tokens"] / 4
    assert (english["tokens_per_han"], english["byte_tokens"]) == (None, 0.0)
    chinese = row(tokenizer, ["模型训练数据"])
    # No merge is known: a token a byte.
    assert (chinese["tokens_per_han"], chinese["byte_tokens"], chinese["bytes_per_token"]) == (3.0, 1.0, 1.0)
    assert chinese["tokens_per_word"] is None
    assert row(tokenizer, [""])["bytes_per_token"] is None
