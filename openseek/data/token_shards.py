"""Token shards: Megatron's indexed dataset, a `.bin` of token ids and an `.idx` that says where each sequence lies.

`.bin` is token ids back to back, little-endian. `.idx` is the magic, version 1, a dtype code, the number of sequences,
the number of document entries, sequence lengths (int32), byte offsets (int64) and the sequences before each document
(int64, documents + 1 of them). Here one document is one sequence.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from openseek.artifact import rename_into_place

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
HEADER = struct.Struct("<9sQBQQ")
DTYPES: dict[int, type[np.generic]] = {
    1: np.uint8,
    2: np.int8,
    3: np.int16,
    4: np.int32,
    5: np.int64,
    6: np.float64,
    7: np.float32,
    8: np.uint16,
}
MOST_TOKENS = 2**31 - 1
CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}


def dtype_for(vocab_size: int) -> np.dtype:
    """uint16 where every id fits with room to spare (Megatron's rule: below 65500), else int32."""
    return np.dtype(np.uint16 if vocab_size < 65500 else np.int32)


class TokenShardWriter:
    """Writes PREFIX.bin and PREFIX.idx; both appear, whole, at the end of a `with` block that raised nothing."""

    def __init__(self, prefix: Path | str, dtype: np.dtype | type[np.generic]) -> None:
        self.prefix, self.dtype = Path(prefix), np.dtype(dtype)
        if self.dtype not in CODES:
            raise ValueError(f"token shards cannot hold {self.dtype}: use one of {', '.join(map(str, CODES))}")
        self._lengths: list[np.ndarray] = []
        self._documents: list[np.ndarray] = []
        self._sequences = 0
        self.documents = self.tokens = 0
        self._bin = _temporary(self.prefix, ".bin")
        self._file = open(self._bin, "wb")  # noqa: SIM115 - closed by __exit__

    def add_document(self, *sequences: np.ndarray | Iterable[int]) -> None:
        """Append a document, normally of one sequence of token ids."""
        arrays = [np.asarray(ids, dtype=self.dtype) for ids in sequences]
        self._append(arrays, np.array([len(ids) for ids in arrays], np.int64), np.array([len(arrays)], np.int64))

    def add_documents(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        """Append documents of one sequence each: their ids back to back, and tokens of each [documents]."""
        if int(lengths.sum()) != len(ids):
            raise ValueError(f"{self.prefix}: lengths add up to {int(lengths.sum())}, but there are {len(ids)} ids")
        self._append([ids], lengths, np.ones(len(lengths), np.int64))

    def _append(self, arrays: list[np.ndarray], lengths: np.ndarray, sequences: np.ndarray) -> None:
        """Write ids, sequences of these lengths, so many of them in each document."""
        if len(lengths) and int(lengths.max()) > MOST_TOKENS:
            raise ValueError(
                f"{self.prefix}: a document of {int(lengths.max())} tokens is longer than the index can say "
                f"({MOST_TOKENS}): split or drop it before tokenize"
            )
        for ids in arrays:
            self._file.write(ids.astype(self.dtype.newbyteorder("<"), copy=False).tobytes())
        self._lengths.append(lengths.astype("<i4"))
        self._documents.append(self._sequences + np.cumsum(sequences))
        self._sequences += len(lengths)
        self.documents, self.tokens = self.documents + len(sequences), self.tokens + int(lengths.sum())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._file.close()
        if kind is not None:
            self._bin.unlink(missing_ok=True)
            return
        index = _temporary(self.prefix, ".idx")
        index.write_bytes(self._index())
        rename_into_place(self._bin, _file(self.prefix, ".bin"))
        rename_into_place(index, _file(self.prefix, ".idx"))

    def _index(self) -> bytes:
        lengths = np.concatenate([np.zeros(0, "<i4"), *self._lengths])
        ends = np.cumsum(lengths, dtype="<i8") * self.dtype.itemsize
        pointers = np.concatenate(([0], ends[:-1])).astype("<i8") if len(lengths) else np.zeros(0, "<i8")
        documents = np.concatenate([np.zeros(1, "<i8"), *self._documents]).astype("<i8")
        header = HEADER.pack(MAGIC, VERSION, CODES[self.dtype], len(lengths), len(documents))
        return b"".join((header, lengths.tobytes(), pointers.tobytes(), documents.tobytes()))


class TokenShard:
    """One shard, mapped into memory. `lengths` [sequences] int32; `documents` [documents + 1] int64 first sequences."""

    def __init__(self, prefix: Path | str) -> None:
        self.prefix = Path(prefix)
        index_path, bin_path = _file(self.prefix, ".idx"), _file(self.prefix, ".bin")
        for path in (index_path, bin_path):
            if not path.is_file():
                raise ValueError(f"{path} is missing: a token shard is a .bin and an .idx of one name")
        index = index_path.read_bytes() if index_path.stat().st_size < HEADER.size else np.memmap(index_path, mode="r")
        self.dtype, sequences, entries = _header(index_path, bytes(index[: HEADER.size]))
        expected = HEADER.size + 12 * sequences + 8 * entries
        if len(index) != expected:
            raise ValueError(
                f"{index_path} has {len(index)} bytes, its header says {expected}: it is cut off; tokenize again"
            )
        at = HEADER.size
        self.lengths = np.frombuffer(index, "<i4", sequences, at)
        self.pointers = np.frombuffer(index, "<i8", sequences, at + 4 * sequences)
        self.documents = np.frombuffer(index, "<i8", entries, at + 12 * sequences)
        self.tokens = int(self.lengths.sum(dtype=np.int64))
        size = bin_path.stat().st_size
        if size != self.tokens * self.dtype.itemsize:
            raise ValueError(
                f"{bin_path} has {size} bytes, its index says {self.tokens * self.dtype.itemsize}: "
                f"it is cut off or of another run; tokenize again"
            )
        ends = sequences and int(self.pointers[-1]) + int(self.lengths[-1]) * self.dtype.itemsize
        sound = entries > 0 and self.documents[0] == 0 and self.documents[-1] == sequences and ends == size
        if not sound or int(self.lengths.min(initial=0)) < 0:
            raise ValueError(f"{index_path} contradicts itself (lengths, places or documents): tokenize again")
        # An empty file cannot be mapped.
        self._bin = np.memmap(bin_path, self.dtype, "r") if size else np.zeros(0, self.dtype)

    def __len__(self) -> int:
        return len(self.lengths)

    def get(self, index: int, offset: int = 0, length: int | None = None) -> np.ndarray:
        """Token ids of sequence `index` from `offset` on, `length` of them or all; a view of the file."""
        total = int(self.lengths[index])
        stop = total if length is None else offset + length
        if not 0 <= offset <= stop <= total:
            raise ValueError(f"{self.prefix}: sequence {index} has {total} tokens, asked for {offset}:{stop}")
        start = int(self.pointers[index]) // self.dtype.itemsize
        return np.asarray(self._bin[start + offset : start + stop])

    def document(self, index: int) -> np.ndarray:
        """Token ids of document `index`, all its sequences; a view of the file."""
        first, last = int(self.documents[index]), int(self.documents[index + 1])
        if first == last:
            return np.zeros(0, self.dtype)
        start = int(self.pointers[first]) // self.dtype.itemsize
        count = int(self.lengths[first:last].sum(dtype=np.int64))
        return np.asarray(self._bin[start : start + count])


def _header(path: Path, data: bytes) -> tuple[np.dtype, int, int]:
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise ValueError(
            f"{path} is no Megatron index (it does not begin with MMIDIDX): give the prefix of a token shard"
        )
    _, version, code, sequences, entries = HEADER.unpack(data)
    if version != VERSION or code not in DTYPES:
        raise ValueError(f"{path} has version {version} and dtype code {code}; known: version {VERSION}, codes 1 to 8")
    return np.dtype(DTYPES[code]).newbyteorder("<"), sequences, entries


def _file(prefix: Path, suffix: str) -> Path:
    # A source's name may hold a dot, so with_suffix would cut it.
    return prefix.with_name(prefix.name + suffix)


def _temporary(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(f".{prefix.name}{suffix}.{os.getpid()}.tmp")
