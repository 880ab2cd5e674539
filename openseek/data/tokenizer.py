"""The tokenizer: byte-level BPE trained on the documents, or one that is given; texts to token ids, without loss.

Digits are split singly, so that numbers are spelt alike wherever they stand. Special tokens have the first ids and are
never made from a document's text, whatever it spells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

END_OF_DOCUMENT = "<|endoftext|>"
SPECIAL_TOKENS = (END_OF_DOCUMENT, "<|pad|>", "<|im_start|>", "<|im_end|>")
LEAST_VOCABULARY = 256 + len(SPECIAL_TOKENS)
# Longer texts are encoded in pieces, or the library's bookkeeping takes a hundred times their size.
PIECE_CHARACTERS = 1 << 20
HELDOUT_SEED, SAMPLE_SEED = 0, 1


@dataclass(frozen=True)
class Tokenize:
    """Train or take a tokenizer, and write the documents as token shards."""

    tokenizer: str = field(default="", metadata={"raw": True})
    """A tokenizer.json to use; empty: a byte-level BPE is trained on the documents."""
    vocab_size: int = 4096
    """Vocabulary of the trained tokenizer, its four special tokens and 256 bytes included."""
    sample_bytes: int = 50_000_000
    """About how much text (bytes, of documents chosen by a hash of their id) the BPE is trained on."""
    min_frequency: int = 2
    """Pairs seen less often than this are not merged."""
    heldout_fraction: float = 0.02
    """Share of the documents (by a hash of their id) held out from training; synthetic documents never are."""

    def __post_init__(self) -> None:
        if self.vocab_size < LEAST_VOCABULARY:
            raise ValueError(
                f"tokenize.vocab_size is {self.vocab_size}: it must be at least {LEAST_VOCABULARY}, "
                f"the bytes and the special tokens"
            )
        for name in ("sample_bytes", "min_frequency"):
            if getattr(self, name) < 1:
                raise ValueError(f"tokenize.{name} is {getattr(self, name)}: it must be at least 1")
        if not 0 <= self.heldout_fraction < 1:
            raise ValueError(f"tokenize.heldout_fraction is {self.heldout_fraction}: it must be at least 0 and below 1")


def chosen(ids: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Which documents [N] bool fall into a share of all, by a hash of their ids: the same in every shard and order."""
    import numpy as np
    import xxhash

    hashes = np.array([xxhash.xxh3_64_intdigest(i.encode(), seed) for i in ids], np.uint64)
    return hashes < np.uint64(min(int(fraction * 2**64), 2**64 - 1))


def train(texts: Iterable[str], config: Tokenize) -> Tokenizer:
    """A byte-level BPE of the texts; the same texts in the same order give the same tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_pieces_of_all(texts), trainer)
    return tokenizer


def load(path: Path) -> Tokenizer:
    """A tokenizer.json with this project's special tokens, added at the end where it lacks them.

    ValueError names a file that is none.
    """
    from tokenizers import AddedToken, Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:
        # The library raises plain Exception for whatever it cannot parse.
        raise ValueError(
            f"{path} is no tokenizer.json of the tokenizers library ({error}); give another file"
        ) from error
    missing = [AddedToken(name, special=True) for name in SPECIAL_TOKENS if tokenizer.token_to_id(name) is None]
    tokenizer.add_special_tokens(missing)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """One more than the highest token id."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text; nothing is added, and special tokens spelt in a text are text."""
    tokenizer.encode_special_tokens = True
    pieces = [list(split(text)) for text in texts]
    flat = [piece for parts in pieces for piece in parts]
    encoded = iter(tokenizer.encode_batch_fast(flat, add_special_tokens=False))
    return [[i for _ in parts for i in next(encoded).ids] for parts in pieces]


def split(text: str, size: int = PIECE_CHARACTERS) -> Iterator[str]:
    """The text in pieces of at most `size` characters, cut before a line end that follows a letter or digit.

    No word of a byte-level tokenizer reaches over such a place, so that the pieces' tokens are the text's.
    """
    start = 0
    while len(text) - start > size:
        cut = start + size
        at = text.rfind("\n", start + 1, cut)
        while at > 0 and not text[at - 1].isalnum():
            at = text.rfind("\n", start + 1, at)
        cut = at if at > start else cut
        yield text[start:cut]
        start = cut
    yield text[start:]


def _pieces_of_all(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from split(text)


def unigram_entropy(train_counts: np.ndarray, heldout_counts: np.ndarray) -> float | None:
    """Nats a held-out token under the training tokens' frequencies (add-one smoothed): the loss to beat."""
    import numpy as np

    total = int(heldout_counts.sum())
    if not total:
        return None
    logarithms = np.log((train_counts + 1) / (train_counts.sum() + len(train_counts)))
    return float(-(heldout_counts * logarithms).sum() / total)
