"""A byte-level BPE tokenizer of the tokenizers library as the arrays that the compiled encoder runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from openseek.data.encode_kernels import LEAST_CACHED, Program, Words, seed_words
from openseek.data.merge_kernels import add_merges
from openseek.data.split_patterns import CODE_POINTS, CONSUME, Item, NotUnderstood, Stage, members, stages

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WORD_SLOTS, WORD_BYTES, WORD_TOKENS = 1 << 18, 6 << 20, 2 << 20
"""Room of one encoder's memory: half as many words as slots, beside those of the vocabulary."""


@dataclass(frozen=True)
class Compiled:
    """What the compiled encoder needs to know of a tokenizer."""

    program: Program
    seeds: list[tuple[bytes, int]]
    """Words that are one token without any merge (`ignore_merges`)."""
    look_for: tuple[str, ...]
    """Added tokens that the library finds in texts: a text with one of them is left to it."""
    composed: bool
    """Whether texts are brought into NFC first: one that may not be is left to the library."""


def compile_bpe(tokenizer: Tokenizer) -> Compiled:
    """The arrays of a byte-level BPE; NotUnderstood says why a tokenizer has to be left to the library."""
    spec = json.loads(tokenizer.to_str())
    model = spec["model"]
    if model["type"] != "BPE":
        raise NotUnderstood(f"its model is {model['type']}")
    odd = [k for k in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback") if model.get(k)]
    if odd:
        raise NotUnderstood(f"its BPE has {', '.join(odd)}")
    composed = _normal_forms(spec["normalizer"])
    if not _ends_in_bytes(spec["pre_tokenizer"]):
        raise NotUnderstood("its tokens are not made of bytes (no ByteLevel)")
    passes = stages(spec["pre_tokenizer"])
    vocabulary: dict[str, int] = model["vocab"]
    byte_ids = np.array([vocabulary.get(c, -1) for c in byte_characters()], np.int64)
    if (byte_ids < 0).any():
        raise NotUnderstood(f"its vocabulary lacks {int((byte_ids < 0).sum())} of the 256 bytes")
    tables = _split_tables(passes)
    program = Program(**tables, byte_ids=byte_ids, merges=_merge_table(model["merges"], vocabulary))
    added = [token for token in spec["added_tokens"] if not token["special"]]
    seeds: list[tuple[bytes, int]] = []
    if model.get("ignore_merges"):
        values = {c: i for i, c in enumerate(byte_characters())}
        words = ((word, i) for word, i in vocabulary.items() if all(c in values for c in word))
        seeds = [(bytes(values[c] for c in word), i) for word, i in words]
    return Compiled(program, seeds, tuple(token["content"] for token in added), composed)


def byte_characters() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary (GPT-2): itself where it prints."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def _normal_forms(normalizer: dict[str, Any] | None) -> bool:
    """Whether texts become NFC; NotUnderstood for any other change."""
    if normalizer is None:
        return False
    if normalizer["type"] == "Sequence":
        return any([_normal_forms(part) for part in normalizer["normalizers"]])
    if normalizer["type"] != "NFC":
        raise NotUnderstood(f"it changes texts with {normalizer['type']}")
    return True


def _ends_in_bytes(pre_tokenizer: dict[str, Any] | None) -> bool:
    while pre_tokenizer and pre_tokenizer["type"] == "Sequence":
        parts = pre_tokenizer["pretokenizers"]
        pre_tokenizer = parts[-1] if parts else None
    return bool(pre_tokenizer) and pre_tokenizer["type"] == "ByteLevel"


def _split_tables(passes: tuple[Stage, ...]) -> dict[str, np.ndarray]:
    """signatures, member, first, stage_ends, alternative_ends and items of a Program."""
    sequences = [items for stage in passes for items in stage.alternatives]
    atoms = list(dict.fromkeys(Item(i.atom, i.literal) for items in sequences for i in items))
    if len(atoms) > 63 or any(len(stage.alternatives) > 64 for stage in passes):
        raise NotUnderstood("its pattern has too many classes or alternatives")
    masks = np.zeros(CODE_POINTS, np.uint64)
    for place, atom in enumerate(atoms):
        masks |= members(atom).astype(np.uint64) << np.uint64(place)
    unique, signatures = np.unique(masks, return_inverse=True)
    if len(unique) > 256:
        raise NotUnderstood(f"its pattern tells {len(unique)} kinds of characters apart")
    member = np.zeros((max(1, len(atoms)), 256), np.uint8)
    for place in range(len(atoms)):
        member[place, : len(unique)] = unique >> np.uint64(place) & np.uint64(1)
    place_of = {atom: place for place, atom in enumerate(atoms)}
    items = [[place_of[Item(i.atom, i.literal)], i.least, i.most, i.look] for items in sequences for i in items]
    first = np.zeros((len(passes), 256), np.uint64)
    for number, stage in enumerate(passes):
        for place, sequence in enumerate(stage.alternatives):
            for item in sequence:
                if item.look == CONSUME:
                    first[number] |= member[place_of[Item(item.atom, item.literal)]].astype(np.uint64) << np.uint64(
                        place
                    )
                    if item.least:
                        break
    return {
        "signatures": signatures.astype(np.uint8),
        "member": member,
        "first": first,
        "stage_ends": np.cumsum([0, *(len(stage.alternatives) for stage in passes)]),
        "alternative_ends": np.cumsum([0, *(len(items) for items in sequences)]),
        "items": np.array(items, np.int64).reshape(-1, 4),
    }


def _merge_table(merges: list[Any], vocabulary: dict[str, int]) -> np.ndarray:
    """[slots, 2] int64: the merges as an open table."""
    pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in merges]
    rows = [(vocabulary[a], vocabulary[b], vocabulary[a + b]) for a, b in pairs]
    entries = np.array(rows, np.int64).reshape(-1, 3)
    table = np.full((1 << (4 * len(rows) + 16).bit_length(), 2), -1, np.int64)
    add_merges(table, entries)
    return table


def fresh_words(seeds: list[tuple[bytes, int]]) -> Words:
    """An empty memory of words, or one that holds the seeds."""
    longest, size = max([LEAST_CACHED, *(len(word) for word, _ in seeds)]), sum(len(word) for word, _ in seeds)
    words = Words(
        np.zeros((max(WORD_SLOTS, 1 << (8 * len(seeds)).bit_length()), 4), np.int64),
        np.zeros(WORD_BYTES + size, np.uint8),
        np.zeros(WORD_TOKENS + len(seeds), np.int32),
        np.array([0, 0, 0, longest], np.int64),
    )
    if seeds:
        buffer = np.frombuffer(b"".join(word for word, _ in seeds), np.uint8)
        ends = np.cumsum([0, *(len(word) for word, _ in seeds)])
        if seed_words(words, buffer, ends, np.array([i for _, i in seeds], np.int64)) != len(seeds):
            raise NotUnderstood("its vocabulary does not fit into the memory of words")
    return words
