import base64
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from benchmarks.deepseek_tokenizer import Absent, fetch
from openseek.data.encoders import CompiledBPE, Judge, differing
from openseek.data.tokenizer import (
    QWEN_PATTERN,
    RankFile,
    Tokenize,
    encode,
    train,
    vocabulary_size,
)
from openseek.data.tokenizer_files import from_ranks, read_ranks, read_tokenizer

TEXTS = [
    "It's the quick brown fox, isn't it? It costs 1234 dollars.\n\n",
    "今天天气很好，我们去公园散步。\n",
    "def f(x):\n\treturn x ** 2  # naïve 🎉\r\n",
    "aaaa aaaaaaa <|im_start|> " + "ab" * 40,
]


def ranks() -> dict[bytes, int]:
    """Ranks as tiktoken has them: bytes first, then longer and longer tokens."""
    rng, found = random.Random(0), [bytes([i]) for i in range(256)]
    data = "".join(TEXTS).encode() * 2
    for size in (2, 2, 3, 4, 6):
        for _ in range(60):
            start = rng.randrange(len(data) - size)
            token = data[start : start + size]
            parts = ((token[:i], token[i:]) for i in range(1, size))
            if token not in found and any(a in found and b in found for a, b in parts):
                found.append(token)
    return {token: rank for rank, token in enumerate(found)}


def rank_file(path: Path) -> Path:
    lines = (base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks().items())
    path.write_bytes(b"".join(lines))
    return path


def test_ranks_give_the_ids_of_tiktoken(tmp_path: Path) -> None:
    import tiktoken

    read = read_ranks(rank_file(tmp_path / "small.tiktoken"))
    assert read == ranks()
    tokenizer = from_ranks(read, RankFile())
    theirs = tiktoken.Encoding("t", pat_str=QWEN_PATTERN, mergeable_ranks=read, special_tokens={})
    assert encode(tokenizer, TEXTS) == [theirs.encode_ordinary(text) for text in TEXTS]
    assert len(RankFile().all_special_tokens) == 208 == 151_851 - 151_643
    assert vocabulary_size(tokenizer) == len(read) + 208
    assert tokenizer.token_to_id("<|endoftext|>") == len(read)
    texts = pa.array(TEXTS, pa.large_string())
    assert len(differing(CompiledBPE(tokenizer).encode(texts), Judge(tokenizer).encode(texts))) == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"hello\n", r"line 1, is no `base64 rank`"),
        (b"!!! 3\n", r"line 1, is no `base64 rank`"),
        (b"YQ== 0\nYg== x\n", r"line 2, is no `base64 rank`"),
        (b"YQ== 0\n", "lacks 255 of the 256 bytes"),
    ],
)
def test_damaged_rank_files_are_named(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "t.tiktoken").write_bytes(content)
    with pytest.raises(ValueError, match=why):
        read_ranks(tmp_path / "t.tiktoken")


def test_a_folder_names_further_special_tokens(tmp_path: Path) -> None:
    trained = train(TEXTS, Tokenize(vocab_size=300))
    trained.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<eos>"}, "unk_token": None}))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["<a>"]}))
    files = sorted(tmp_path.iterdir())
    tokenizer, added = read_tokenizer(files, Tokenize(end_of_document="<eos>", extra_special_tokens=("<fim>",)))
    assert sorted(added) == ["<a>", "<eos>", "<fim>"]
    assert {tokenizer.token_to_id(name) for name in added} == {vocabulary_size(trained) + i for i in range(3)}
    with pytest.raises(ValueError, match=r"has no token '<end>' \(tokenize.end_of_document\).*<\|endoftext\|>"):
        read_tokenizer(files, Tokenize(end_of_document="<end>"))
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json is not valid JSON"):
        read_tokenizer(files, Tokenize())


def test_none_or_two_tokenizers_are_refused(tmp_path: Path) -> None:
    for name in ("a.tiktoken", "b.tiktoken"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match="matches 2 files and 2 tokenizers"):
        read_tokenizer(sorted(tmp_path.iterdir()), Tokenize(tokenizer="x"))
    with pytest.raises(ValueError, match="matches 0 files"):
        read_tokenizer([], Tokenize(tokenizer="x"))


def test_deepseek_v3(tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        folder = fetch(tmp_path_factory.getbasetemp().parent / "deepseek_v3")
    except Absent as error:
        pytest.skip(str(error))
    config = Tokenize(end_of_document="<｜end▁of▁sentence｜>")
    tokenizer, added = read_tokenizer(sorted(folder.iterdir()), config)
    assert vocabulary_size(tokenizer) == 128_815 + len(added)
    assert added == ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
    texts = pa.array([*TEXTS, "한국어 ไทย हिन्दी", "<｜User｜>hi", "١٢٣ 12345"], pa.large_string())
    assert isinstance(tokenizer, Tokenizer)
    engine = CompiledBPE(tokenizer)
    assert len(differing(engine.encode(texts), Judge(tokenizer).encode(texts))) == 0
    assert engine.judged == 1
