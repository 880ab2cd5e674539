"""Tokenizers that others made: a tokenizer.json, a tiktoken file of ranks, or a folder that holds one of them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.data.tokenizer import RankFile, Tokenize, add_special_tokens, load

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"
ADDED = ("tokenizer_config.json", "special_tokens_map.json")


def read_tokenizer(files: Sequence[Path], config: Tokenize) -> tuple[Tokenizer, list[str]]:
    """(tokenizer, special tokens that it lacked and got at the end) from one file, or from the files of a folder.

    ValueError says which file is missing, more than one, or not what its name says, and which token is not there.
    """
    tokenizer, path = open_tokenizer(files, config.tokenizer, config.rank_file)
    named = [token for file in files if file.name in ADDED for token in _named_tokens(file)]
    added = add_special_tokens(tokenizer, tuple(dict.fromkeys((*named, *config.special_tokens))))
    if tokenizer.token_to_id(config.end_of_document) is None:
        given = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
        raise ValueError(
            f"{path} has no token {config.end_of_document!r} (tokenize.end_of_document): name one of its special "
            f"tokens ({', '.join(given[:20])}), or list it in tokenize.extra_special_tokens"
        )
    return tokenizer, added


def open_tokenizer(files: Sequence[Path], named: str, rank_file: RankFile) -> tuple[Tokenizer, Path]:
    """(the tokenizer with its own tokens alone, the file it is read from) from one file, or from those of a folder.

    ValueError says which file is missing, more than one, or not what its name says; `named` is what the user gave.
    """
    found = [file for file in files if file.name == TOKENIZER] or [file for file in files if file.suffix == ".tiktoken"]
    if not found and len(files) == 1:
        found = list(files)
    if len(found) != 1:
        raise ValueError(
            f"the tokenizer {named!r} matches {len(files)} files and {len(found)} tokenizers: "
            f"give one {TOKENIZER}, one *.tiktoken file, or the folder of one"
        )
    path = found[0]
    return (from_ranks(read_ranks(path), rank_file) if path.suffix == ".tiktoken" else load(path, ())), path


def read_ranks(path: Path) -> dict[bytes, int]:
    """Tokens and their ranks from a tiktoken file: a line each, base64 and a number."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"{path}, line {number}, is no `base64 rank` pair: give a tiktoken file") from error
    lacking = 256 - sum(bytes([byte]) in ranks for byte in range(256))
    if lacking or len(set(ranks.values())) != len(ranks):
        why = f"lacks {lacking} of the 256 bytes" if lacking else "gives a rank twice"
        raise ValueError(f"{path} {why}: it is cut off or no tiktoken file")
    return ranks


def from_ranks(ranks: dict[bytes, int], config: RankFile) -> Tokenizer:
    """A byte-level BPE with the ids of a tiktoken vocabulary.

    Two tokens merge where their bytes together are a token, the one of lowest rank first, and a word that is a token
    needs no merge: so every way to cut a token in two is a merge of its rank.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    from openseek.data.bpe_program import byte_characters

    letters = byte_characters()
    spelt = {token: "".join(letters[byte] for byte in token) for token in ranks}
    merges: list[tuple[str, str]] = []
    for token in sorted(ranks, key=ranks.__getitem__):
        cuts = [(token[:i], token[i:]) for i in range(1, len(token))]
        ranked = sorted((ranks[a], ranks[b], a, b) for a, b in cuts if a in ranks and b in ranks)
        merges += [(spelt[a], spelt[b]) for _, _, a, b in ranked]
    vocabulary = {spelt[token]: rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    try:
        words = pre_tokenizers.Split(Regex(config.pattern), "isolated")
    except Exception as error:
        # The library raises plain Exception for a pattern that it cannot read.
        raise ValueError(f"tokenize.rank_file.pattern {config.pattern!r} is no pattern: {error}") from error
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    if config.nfc:
        tokenizer.normalizer = normalizers.NFC()
    add_special_tokens(tokenizer, config.all_special_tokens)
    return tokenizer


def _named_tokens(path: Path) -> list[str]:
    """The special tokens that a Hugging Face file names (`eos_token` and others)."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): take it from the tokenizer's source again") from error
    values = [value for name, value in content.items() if name.endswith("_token")]
    values += content.get("additional_special_tokens") or []
    tokens = [value.get("content") if isinstance(value, dict) else value for value in values]
    return [token for token in tokens if isinstance(token, str) and token]
