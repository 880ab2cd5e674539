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
HELDOUT_SEED, SAMPLE_SEED, CHECK_SEED = 0, 1, 2
ENGINE_NAMES = ("compiled", "kitoken", "tiktoken", "tokenizers")
STRATA = ("", "source", "lang", "source_lang")
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class RankFile:
    """What a tiktoken file of ranks does not say; the defaults are Qwen's, whose vocabulary OpenSeek uses."""

    pattern: str = QWEN_PATTERN
    """Regular expression that cuts a text into words."""
    special_tokens: tuple[str, ...] = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    """Special tokens; their ids follow the last rank."""
    num_extra_tokens: int = 205
    """Further special tokens behind them: <|extra_0|>, <|extra_1|>, …"""
    nfc: bool = True
    """Bring texts into Unicode's composed form first."""

    def __post_init__(self) -> None:
        if self.num_extra_tokens < 0:
            raise ValueError(f"rank_file.num_extra_tokens is {self.num_extra_tokens}: it must not be negative")

    @property
    def all_special_tokens(self) -> tuple[str, ...]:
        """The special tokens in the order of their ids."""
        return (*self.special_tokens, *(f"<|extra_{i}|>" for i in range(self.num_extra_tokens)))


@dataclass(frozen=True)
class Tokenize:
    """Train or take a tokenizer, and write the documents as token shards."""

    tokenizer: str = field(default="", metadata={"raw": True})
    """A tokenizer.json, a *.tiktoken file of ranks, or a folder that holds one of them; empty: a byte-level BPE is
    trained on the documents."""
    rank_file: RankFile = RankFile()
    """How to read a tiktoken file."""
    vocab_size: int = 4096
    """Vocabulary of the trained tokenizer, its special tokens and 256 bytes included."""
    extra_special_tokens: tuple[str, ...] = ()
    """Special tokens beside the four that every tokenizer gets, such as those of fill-in-the-middle."""
    end_of_document: str = END_OF_DOCUMENT
    """Special token that ends a document; name a given tokenizer's own one here."""
    sample_bytes: int = 50_000_000
    """About how much text (bytes, of documents chosen by a hash of their id) the BPE is trained on."""
    stratify_by: str = ""
    """The sample's strata: source, lang or source_lang (SOURCE/LANG); empty: documents as they come."""
    sample_shares: dict[str, float] = field(default_factory=dict)
    """Share of the sample for each stratum; empty: equal ones. A stratum with less text gives all of it."""
    min_frequency: int = 2
    """Pairs seen less often than this are not merged."""
    heldout_fraction: float = 0.02
    """Share of the documents (by a hash of their id) held out from training; synthetic documents never are."""
    engines: tuple[str, ...] = ("compiled", "tokenizers")
    """Encoders by preference (compiled, kitoken, tiktoken, tokenizers): the first is taken that gives the ids of
    tokenizers on a sample of every source and language. compiled and tokenizers are exact on every document."""
    check_fraction: float = 0.002
    """Share of the documents (by a hash of their id) encoded by tokenizers too; a difference, and the part is
    encoded anew."""
    domain_column: str = ""
    """Column of the documents whose values are counted as domains; empty: none."""
    quality_column: str = ""
    """Score column by which each source's shards are split into buckets; empty: they are not."""
    quality_bounds: tuple[float, ...] = ()
    """Rising bounds of the buckets q0, q1, …: a score below the first bound is q0."""

    def __post_init__(self) -> None:
        if self.vocab_size < (least := LEAST_VOCABULARY + len(self.extra_special_tokens)):
            raise ValueError(
                f"tokenize.vocab_size is {self.vocab_size}: it must be at least {least}, "
                f"the bytes and the special tokens"
            )
        for name in ("sample_bytes", "min_frequency"):
            if getattr(self, name) < 1:
                raise ValueError(f"tokenize.{name} is {getattr(self, name)}: it must be at least 1")
        if not 0 <= self.heldout_fraction < 1:
            raise ValueError(f"tokenize.heldout_fraction is {self.heldout_fraction}: it must be at least 0 and below 1")
        if not 0 <= self.check_fraction <= 1:
            raise ValueError(f"tokenize.check_fraction is {self.check_fraction}: it must be from 0 to 1")
        if unknown := set(self.engines) - set(ENGINE_NAMES):
            raise ValueError(f"tokenize.engines names {sorted(unknown)}: they are {', '.join(ENGINE_NAMES)}")
        if self.stratify_by not in STRATA or (self.sample_shares and not self.stratify_by):
            raise ValueError(
                f"tokenize.stratify_by is {self.stratify_by!r}: give source, lang or source_lang"
                f"{' with sample_shares' if self.sample_shares else ''}"
            )
        if any(not 0 < share < float("inf") for share in self.sample_shares.values()):
            raise ValueError(f"tokenize.sample_shares are {self.sample_shares}: each must be above 0")
        rising = all(a < b for a, b in zip(self.quality_bounds, self.quality_bounds[1:], strict=False))
        if bool(self.quality_column) != bool(self.quality_bounds) or not rising:
            raise ValueError(
                f"tokenize.quality_bounds are {self.quality_bounds} for the column {self.quality_column!r}: "
                f"give a column and rising bounds, or neither"
            )

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """The special tokens that the tokenizer has to have, without repeats."""
        return tuple(dict.fromkeys((*SPECIAL_TOKENS, *self.extra_special_tokens)))


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
        special_tokens=list(config.special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_pieces_of_all(texts), trainer)
    return tokenizer


def load(path: Path, special_tokens: Sequence[str] = SPECIAL_TOKENS) -> Tokenizer:
    """A tokenizer.json with the special tokens, added at the end where it lacks them.

    ValueError names a file that is none.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:
        # The library raises plain Exception for whatever it cannot parse.
        raise ValueError(
            f"{path} is no tokenizer.json of the tokenizers library ({error}); give another file"
        ) from error
    add_special_tokens(tokenizer, special_tokens)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def add_special_tokens(tokenizer: Tokenizer, names: Sequence[str]) -> list[str]:
    """Add at the end those special tokens that a tokenizer lacks; returns them."""
    from tokenizers import AddedToken

    missing = [name for name in names if tokenizer.token_to_id(name) is None]
    # A token that was text until now becomes special in its place.
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return missing


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
