"""Engines that turn texts into token ids: the tokenizers library is the judge, faster ones have to give its ids.

`compiled` runs byte-level BPE in numba kernels and leaves to the judge each text that it is not certain of. `kitoken`
and `tiktoken` read patterns in their own ways, so that they pass a gate first: equal ids on a sample of the documents.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from openseek.data.bpe_program import Compiled, byte_characters, compile_bpe, fresh_words
from openseek.data.encode_kernels import Words, encode_documents
from openseek.data.merge_kernels import Scratch
from openseek.data.split_patterns import GPT2, NotUnderstood
from openseek.data.tokenizer import PIECE_CHARACTERS, encode, split
from openseek.data.unicode_kernels import BY_HAND, COMPOSE, TABLE_SIZE, composition, verdicts
from openseek.data.words import string_buffers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

JUDGE = "tokenizers"


@dataclass(frozen=True)
class Encoded:
    """Token ids of some texts, one after the other."""

    ids: np.ndarray
    """[tokens] int32."""
    lengths: np.ndarray
    """[texts] int64."""

    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """(first token, token behind the last) of each text."""
        ends = np.cumsum(self.lengths)
        return ends - self.lengths, ends

    def joined(self, owners: np.ndarray | None, count: int) -> Encoded:
        """The pieces' tokens as those of the `count` texts that own them (see cut)."""
        if owners is None:
            return self
        lengths = np.zeros(count, np.int64)
        np.add.at(lengths, owners, self.lengths)
        return Encoded(self.ids, lengths)

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> Encoded:
        """Lists of ids as arrays."""
        lengths = np.array([len(ids) for ids in lists], np.int64)
        flat = np.fromiter((i for ids in lists for i in ids), np.int32, int(lengths.sum()))
        return cls(flat, lengths)


class Engine(Protocol):
    """Something that encodes texts; nothing is added to them, and special tokens spelt in them are text."""

    def encode(self, texts: pa.Array) -> Encoded:
        """The token ids of a column of strings without nulls."""
        ...


class Judge:
    """The tokenizers library."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: pa.Array) -> Encoded:
        """See Engine."""
        return Encoded.of(encode(self._tokenizer, texts.to_pylist()))


class CompiledBPE:
    """Byte-level BPE in kernels; raises NotUnderstood for other tokenizers. Not for two threads at once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._judge = Judge(tokenizer)
        self._compiled, self._fresh = _compiled(tokenizer.to_str())
        self._words = Words(*(array.copy() for array in self._fresh))
        self._scratch = _scratch(0, 0, 0)
        self._out = np.zeros(0, np.int32)
        self.judged = 0
        """Texts that were left to the judge."""

    def encode(self, texts: pa.Array) -> Encoded:
        """See Engine."""
        pieces, owners = cut(texts)
        return self._encode(pieces).joined(owners, len(texts))

    def _encode(self, texts: pa.Array) -> Encoded:
        buffer, offsets = string_buffers(texts)
        wanted = ~self._unsure(texts, buffer, offsets)
        encoded = self._certain(buffer, offsets, wanted)
        if wanted.all():
            return encoded
        self.judged += int((~wanted).sum())
        return _merged(encoded, self._judge.encode(texts.filter(pa.array(~wanted))), wanted)

    def _certain(self, buffer: np.ndarray, offsets: np.ndarray, wanted: np.ndarray) -> Encoded:
        """Encode the wanted texts; the others have no tokens."""
        lengths = np.zeros(len(offsets) - 1, np.int64)
        longest, room = int(np.diff(offsets).max(initial=0)), int(offsets[-1] - offsets[0])
        if len(self._out) < room:
            self._out = np.empty(room, np.int32)
        if longest > len(self._scratch.kinds):
            self._scratch = _scratch(longest, len(self._scratch.symbols), len(self._compiled.program.items))
        done, written, need = 0, 0, 0
        while done < len(lengths):
            if need:
                self._scratch = _scratch(len(self._scratch.kinds), need, len(self._compiled.program.items))
            state = (self._compiled.program, self._words, self._fresh, self._scratch)
            done, count, need = encode_documents(buffer, offsets, done, wanted, *state, self._out[written:], lengths)
            written += count
        return Encoded(self._out[:written].copy(), lengths)

    def _unsure(self, texts: pa.Array, buffer: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Which texts the judge has to encode: what it would change first, or find an added token in."""
        unsure = np.zeros(len(texts), bool)
        if self._compiled.look_for:
            unsure |= _holding(texts, self._compiled.look_for)
        if self._compiled.composed:
            suspects, strangers = (np.zeros(len(texts), np.uint8) for _ in range(2))
            verdicts(buffer, offsets, ~unsure, composition(), suspects)
            verdicts(buffer, offsets, ~unsure, _unassigned(), strangers)
            unsure |= strangers == BY_HAND
            for row in np.flatnonzero((suspects == BY_HAND) & ~unsure).tolist():
                unsure[row] = not unicodedata.is_normalized("NFC", texts[row].as_py())
        return unsure


class Kitoken:
    """The kitoken package, told the tokenizer's own patterns: those that it reads into a file are shortened."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        import kitoken

        text = tokenizer.to_str()
        self._engine: Any = kitoken.Kitoken.from_tokenizers(text.encode())
        patterns = _patterns(json.loads(text)["pre_tokenizer"])
        config = self._engine.config()
        if patterns and len(patterns) == len(config["split"]):
            for split, pattern in zip(config["split"], patterns, strict=True):
                split["Pattern"]["pattern"] = {"Regex": pattern}
            self._engine.set_config(config)

    def encode(self, texts: pa.Array) -> Encoded:
        """See Engine."""
        pieces, owners = cut(texts)
        return Encoded.of(self._engine.encode_all(pieces.to_pylist(), False)).joined(owners, len(texts))


class Tiktoken:
    """The tiktoken package, for a byte-level BPE with one pattern whose merges make tokens in their order."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        import tiktoken

        spec = json.loads(tokenizer.to_str())
        patterns = _patterns(spec["pre_tokenizer"])
        if spec["model"]["type"] != "BPE" or len(patterns) != 1:
            raise NotUnderstood(f"tiktoken wants a BPE with one pattern, this one has {len(patterns)}")
        values = {c: i for i, c in enumerate(byte_characters())}
        vocabulary = spec["model"]["vocab"]
        words = [*byte_characters()]
        for pair in spec["model"]["merges"]:
            words.append(pair.replace(" ", "") if isinstance(pair, str) else "".join(pair))
        words = list(dict.fromkeys(words))
        ranks = {bytes(values[c] for c in word): rank for rank, word in enumerate(words)}
        self.ids = np.array([vocabulary[word] for word in words], np.int32)
        self.package = tiktoken.Encoding("given", pat_str=patterns[0], mergeable_ranks=ranks, special_tokens={})

    def encode(self, texts: pa.Array) -> Encoded:
        """See Engine."""
        pieces, owners = cut(texts)
        found = Encoded.of(self.package.encode_ordinary_batch(pieces.to_pylist(), num_threads=1))
        return Encoded(self.ids[found.ids], found.lengths).joined(owners, len(texts))


ENGINES: dict[str, Any] = {"compiled": CompiledBPE, "kitoken": Kitoken, "tiktoken": Tiktoken, JUDGE: Judge}


def first_equal(tokenizer: Tokenizer, sample: pa.Array, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """(first engine of `names` that gives the judge's ids on every text of the sample, why those before it do not).

    The judge itself is the last resort.
    """
    wanted, refused = Judge(tokenizer).encode(sample), {}
    for name in names:
        if name == JUDGE:
            return name, refused
        try:
            engine: Engine = ENGINES[name](tokenizer)
        except (NotUnderstood, ImportError) as error:
            refused[name] = str(error)
            continue
        if different := len(differing(engine.encode(sample), wanted)):
            refused[name] = f"other ids on {different} of {len(sample)} sampled documents"
            continue
        return name, refused
    return JUDGE, refused


def cut(texts: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """(the texts in the pieces that the judge gets, the text that owns each); None where no text is cut."""
    sizes = np.diff(string_buffers(texts)[1])
    if int(sizes.max(initial=0)) <= PIECE_CHARACTERS:
        return texts, None
    pieces = [list(split(text)) for text in texts.to_pylist()]
    owners = np.repeat(np.arange(len(pieces)), [len(some) for some in pieces])
    return pa.array([piece for some in pieces for piece in some], pa.large_string()), owners


def differing(ours: Encoded, theirs: Encoded) -> np.ndarray:
    """The texts whose ids are not the same."""
    if np.array_equal(ours.lengths, theirs.lengths) and np.array_equal(ours.ids, theirs.ids):
        return np.zeros(0, np.int64)
    pairs = zip(*ours.spans(), *theirs.spans(), strict=True)
    return np.array([n for n, (a, b, c, d) in enumerate(pairs) if not np.array_equal(ours.ids[a:b], theirs.ids[c:d])])


def _merged(some: Encoded, others: Encoded, first: np.ndarray) -> Encoded:
    """Texts in their order: those of `some` where `first`, else the next of `others`."""
    lengths = some.lengths.copy()
    lengths[~first] = others.lengths
    ids = np.empty(int(lengths.sum()), np.int32)
    chosen = np.repeat(first, lengths)
    ids[chosen], ids[~chosen] = some.ids, others.ids
    return Encoded(ids, lengths)


@functools.lru_cache(maxsize=4)
def _compiled(text: str) -> tuple[Compiled, Words]:
    from tokenizers import Tokenizer

    compiled = compile_bpe(Tokenizer.from_str(text))
    return compiled, fresh_words(compiled.seeds)


@functools.cache
def _unassigned() -> np.ndarray:
    """[0x30000] uint8: code points newer than Python's Unicode, which may turn out to compose.

    The normal form of an assigned character never changes (Unicode's stability policy).
    """
    flags = [COMPOSE if unicodedata.category(chr(code)) == "Cn" else 0 for code in range(TABLE_SIZE)]
    return np.array(flags, np.uint8)


def _scratch(characters: int, word: int, items: int) -> Scratch:
    """Room for a document of so many bytes, and for words of so many bytes."""
    word = max(word, 1 << 12)
    kinds, cuts = np.empty(characters, np.uint8), np.empty(characters + 1, np.uint8)
    places, stack = np.empty(characters + 1, np.int64), np.empty((items + 1, 2), np.int64)
    symbols, ranks, following, before = (np.empty(word, np.int64) for _ in range(4))
    return Scratch(kinds, places, cuts, stack, symbols, ranks, following, before, np.empty(3 * word, np.int64))


def _holding(texts: pa.Array, wanted: Sequence[str]) -> np.ndarray:
    import re

    import pyarrow.compute

    compute: Any = pyarrow.compute
    found = compute.match_substring_regex(texts, "|".join(map(re.escape, wanted)))
    return found.to_numpy(zero_copy_only=False)


def _patterns(pre_tokenizer: dict[str, Any] | None) -> list[str]:
    """The regular expressions that a pre-tokenizer splits by; none where it does something else, too."""
    if pre_tokenizer is None:
        return []
    if pre_tokenizer["type"] == "Sequence":
        return [pattern for part in pre_tokenizer["pretokenizers"] for pattern in _patterns(part)]
    if pre_tokenizer["type"] == "ByteLevel":
        return [GPT2] if pre_tokenizer["use_regex"] else []
    if pre_tokenizer["type"] == "Digits" and pre_tokenizer["individual_digits"]:
        return [r"\p{N}"]
    pattern = pre_tokenizer.get("pattern")
    return [pattern["Regex"]] if isinstance(pattern, dict) and "Regex" in pattern else []
