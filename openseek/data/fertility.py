"""How well a tokenizer fits texts: fertility, compression and coverage (Rust et al., 2021; Petrov et al., 2023)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

WORD = re.compile(r"\w+")
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003347f]")


def fertility(texts: Sequence[str], ids: Sequence[np.ndarray], single_bytes: np.ndarray) -> dict[str, Any]:
    """One row of the table for some texts and their token ids.

    documents, bytes, tokens; bytes_per_token; tokens_per_word over the texts where less than a tenth of the
    characters are Han; tokens_per_han over those where more than half are; byte_tokens, the share of tokens that are a
    single byte of a longer character: what the vocabulary does not cover. None where there is nothing to divide by.
    """
    size = sum(len(text.encode()) for text in texts)
    count = sum(len(tokens) for tokens in ids)
    spelt = sum(int(single_bytes[tokens].sum()) for tokens in ids)
    words = in_words = han = in_han = 0
    for text, tokens in zip(texts, ids, strict=True):
        ideographs = len(HAN.findall(text))
        if ideographs * 10 < len(text):
            words, in_words = words + len(WORD.findall(text)), in_words + len(tokens)
        elif ideographs * 2 > len(text):
            han, in_han = han + ideographs, in_han + len(tokens)
    return {
        "documents": len(texts),
        "bytes": size,
        "tokens": count,
        "bytes_per_token": _ratio(size, count),
        "tokens_per_word": _ratio(in_words, words),
        "tokens_per_han": _ratio(in_han, han),
        "byte_tokens": _ratio(spelt, count),
    }


def single_byte_ids(vocabulary: dict[str, int], size: int) -> np.ndarray:
    """[size] bool: tokens that are one byte beyond ASCII."""
    from openseek.data.bpe_program import byte_characters

    found = np.zeros(size, bool)
    ids = [vocabulary.get(letter, -1) for letter in byte_characters()[128:]]
    found[[i for i in ids if i >= 0]] = True
    return found


def _ratio(value: int, by: int) -> float | None:
    return round(value / by, 4) if by else None
