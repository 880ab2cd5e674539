"""A small model with a tokenizer, for the tests of measurement."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from openseek.model.config import ModelConfig
from openseek.model.transformer import Transformer

SPECIAL = ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Byte-level BPE over a little English and Chinese."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    made.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    text = [
        "the quick brown fox jumps over the lazy dog and answers every question",
        "问题 答案 数学 语文 历史 地理",
    ] * 20
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=384, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(text, trainer)
    return made


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer) -> Transformer:
    """Random weights large enough that scores differ clearly."""
    torch.manual_seed(3)
    config = ModelConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, max_position_embeddings=128
    )
    model = Transformer(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(6)
    return model.eval()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few rows of each benchmark."""
    folder = tmp_path_factory.mktemp("benchmarks")
    words = ["fox", "dog", "question", "answer", "lazy", "brown", "quick", "over"]
    rows = {
        "mmlu": [
            {"question": f"Which {w} is {i}?", "options": words[i % 4 : i % 4 + 4], "answer": "ABCD"[i % 4]}
            for i, w in enumerate(words * 2)
        ],
        "agieval_zh": [
            {
                "passage": f"语文{i // 2}",
                "question": f"历史 {i}",
                "options": ["(A)数学", "(B)地理"],
                "label": "AB"[i % 2],
            }
            for i in range(8)
        ],
        "gsm8k": [{"question": f"What is {i} + {i}?", "answer": f"Twice {i}.\n#### {2 * i}"} for i in range(5)],
        "lambada": [{"text": f"the quick brown fox {i} jumps over the lazy {w}"} for i, w in enumerate(words)],
    }
    rows["lambada"].append(rows["lambada"][0])
    for name, items in rows.items():
        text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder
