"""A supervised fastText model (Joulin et al., 2016) read into arrays and evaluated on Arrow buffers without the GIL.

The text of a document is lower-cased, its white space collapsed; a word counts by its own row (if the model has it) and
by those of its character n-grams that the pruned model kept (Joulin et al., 2016b, FastText.zip). The mean of the rows
meets a Huffman tree of logistic nodes, whose leaves are the labels. `predict` of the fasttext package gives the same
probabilities; this one does it some ten times faster and for all documents of a batch at once.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit

from openseek.data.kernel import inner, inner_fast
from openseek.data.words import TABLE_SIZE, code_point

MAGIC, VERSION, HIERARCHICAL = 793712314, 12, 1
SETTINGS = (
    "dim", "ws", "epoch", "min_count", "neg", "word_ngrams", "loss", "model", "bucket", "minn", "maxn", "rate",
)  # fmt: skip
LABEL = "__label__"
FNV_OFFSET, FNV_PRIME = 2166136261, 16777619
WORD_OFFSET, WORD_PRIME = 0xCBF29CE484222325, 0x100000001B3
# The package reads no more words of a line.
MAX_WORDS = 1024
# Added to each probability, as the package does.
EPSILON = np.float32(1e-5)
# Labels below an inner node less probable than this are 0.
NEGLIGIBLE = np.float32(1e-6)


class FastText(NamedTuple):
    """The arrays of a model, as `label_probabilities` wants them."""

    labels: tuple[str, ...]
    rows: np.ndarray
    """float32 [words + kept n-grams, dim]: the input matrix."""
    words: np.ndarray
    """uint64, open addressing: hashes of the words; 0 is free."""
    word_rows: np.ndarray
    """int32: row of each word of `words`."""
    ngrams: np.ndarray
    """int32 [buckets]: row of each n-gram, -1 for those pruned away."""
    present: np.ndarray
    """uint64, one bit a bucket: small enough for the cache, unlike `ngrams`."""
    nodes: np.ndarray
    """float32 [labels - 1, dim]: the output matrix, a row for each inner node."""
    children: np.ndarray
    """int32 [labels - 1, 2]: left and right child; labels first, then inner nodes."""
    sizes: tuple[int, int]
    """Characters of the shortest and of the longest n-gram."""


class _Reader:
    """Values one after the other from the bytes of a model file."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def array(self, kind: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def value(self, kind: str) -> int:
        return int(self.array(kind, 1)[0])

    def name(self) -> bytes:
        end = self.data.index(b"\0", self.at)
        found, self.at = self.data[self.at : end], end + 1
        return found


@functools.cache
def load(path: Path) -> FastText:
    """The model of a file. ValueError for one that is no hierarchical softmax over single words."""
    reader = _Reader(path.read_bytes())
    if (reader.value("<i4"), reader.value("<i4")) != (MAGIC, VERSION):
        raise ValueError(f"{path} is no fastText model of version {VERSION}: save it again with fasttext 0.9")
    settings = dict(zip(SETTINGS, reader.array("<i4", len(SETTINGS)).tolist(), strict=True))
    reader.value("<f8")
    if settings["loss"] != HIERARCHICAL or settings["word_ngrams"] != 1:
        raise ValueError(f"{path}: only models with loss hs and wordNgrams 1 are read, this one has {settings}")
    size, num_words, num_labels = reader.array("<i4", 3).tolist()
    _, pruned = reader.array("<i8", 2).tolist()
    entries = [(reader.name(), reader.value("<i8"), reader.value("<i1")) for _ in range(size)]
    kept = reader.array("<i4", 2 * max(pruned, 0)).reshape(-1, 2)
    rows = _matrix(reader, bool(reader.value("<i1")), settings["dim"])
    nodes = _matrix(reader, bool(reader.value("<i1")), settings["dim"])
    ngrams = np.full(settings["bucket"], -1, np.int32)
    if pruned >= 0:
        ngrams[kept[:, 0]] = num_words + kept[:, 1]
    else:
        ngrams[:] = np.arange(num_words, num_words + len(ngrams))
    words, word_rows = _word_table([name for name, _, kind in entries if kind == 0])
    labels = [(name.decode().removeprefix(LABEL), count) for name, count, kind in entries if kind == 1]
    assert len(labels) == num_labels
    return FastText(
        tuple(name for name, _ in labels), rows, words, word_rows, ngrams, _bits(ngrams >= 0), nodes,
        _tree([count for _, count in labels]), (settings["minn"], settings["maxn"]),
    )  # fmt: skip


def _matrix(reader: _Reader, quantised: bool, dim: int) -> np.ndarray:
    """A stored matrix as float32 [rows, dim]; a quantised one is written out."""
    if not quantised:
        count, columns = reader.array("<i8", 2).tolist()
        return reader.array("<f4", count * columns).reshape(count, columns)
    has_norms = bool(reader.value("<i1"))
    count, _ = reader.array("<i8", 2).tolist()
    codes = reader.array("<u1", reader.value("<i4"))
    matrix = _decoded(reader, codes, count)
    if has_norms:
        matrix = matrix * _decoded(reader, reader.array("<u1", count), count)
    assert matrix.shape == (count, dim)
    return np.ascontiguousarray(matrix, np.float32)


def _decoded(reader: _Reader, codes: np.ndarray, count: int) -> np.ndarray:
    """The rows that a product quantiser's codes stand for (Jegou et al., 2011)."""
    dim, parts, width, last = reader.array("<i4", 4).tolist()
    centroids = reader.array("<f4", dim * 256)
    matrix, codes = np.empty((count, dim), np.float32), codes.reshape(count, parts)
    for part in range(parts):
        size, start = (last if part == parts - 1 else width), part * 256 * width
        table = centroids[start : start + 256 * size].reshape(256, size)
        matrix[:, part * width : part * width + size] = table[codes[:, part]]
    return matrix


def _word_table(words: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    capacity = 1 << (2 * len(words) + 2).bit_length()
    keys, rows = np.zeros(capacity, np.uint64), np.zeros(capacity, np.int32)
    for row, word in enumerate(words):
        value = WORD_OFFSET
        for byte in word:
            value = ((value ^ byte) * WORD_PRIME) & (2**64 - 1)
        place = value & (capacity - 1)
        while keys[place]:
            place = (place + 1) & (capacity - 1)
        keys[place], rows[place] = value, row
    return keys, rows


def _bits(mask: np.ndarray) -> np.ndarray:
    padded = np.zeros(-(-len(mask) // 64) * 64, bool)
    padded[: len(mask)] = mask
    return np.packbits(padded, bitorder="little").view(np.uint64)


def _tree(counts: list[int]) -> np.ndarray:
    """Huffman's tree over labels sorted by falling count: the two children of each inner node."""
    size = len(counts)
    weights = counts + [10**15] * (size - 1)
    children, leaf, node = np.zeros((size - 1, 2), np.int32), size - 1, size
    for branch in range(size - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[branch, side], leaf = leaf, leaf - 1
            else:
                children[branch, side], node = node, node + 1
        weights[size + branch] = weights[children[branch, 0]] + weights[children[branch, 1]]
    return children


@functools.cache
def _lower_table() -> np.ndarray:
    """Lower case (uint32) of every code point below TABLE_SIZE; white space and NUL become a blank."""
    table = np.arange(TABLE_SIZE, dtype=np.uint32)
    for code in range(TABLE_SIZE):
        character = chr(code)
        lower = character.lower()
        table[code] = 32 if character.isspace() or code == 0 else ord(lower) if len(lower) == 1 else code
    table.setflags(write=False)
    return table


@inner
def _normalise(buffer, start, stop, limit, lower, out):
    """Write the first `limit` characters lower-cased, each word as "<word> ", into `out`; returns the bytes."""
    count, i, seen, inside = 0, start, 0, False
    while i < stop and seen < limit:
        point, width = code_point(buffer, i, stop)
        i += width
        seen += 1
        if point < lower.shape[0]:
            point = np.int64(lower[point])
        if point == 32:
            if inside:
                out[count], out[count + 1] = 62, 32
                count += 2
            inside = False
            continue
        if not inside:
            out[count] = 60
            count += 1
            inside = True
        if point < 0x80:
            out[count] = point
            count += 1
            continue
        extra = 1 if point < 0x800 else (2 if point < 0x10000 else 3)
        out[count] = ((0xF0 << (3 - extra)) & 0xFF) | (point >> (6 * extra))
        for k in range(extra):
            out[count + 1 + k] = 0x80 | ((point >> (6 * (extra - 1 - k))) & 0x3F)
        count += extra + 1
    if inside:
        out[count], out[count + 1] = 62, 32
        count += 2
    return count


@inner
def _row_of(words, word_rows, key):
    """Row of a word by its hash, -1 for one that the model has not."""
    mask = np.uint64(words.shape[0] - 1)
    place = key & mask
    while words[place] != 0:
        if words[place] == key:
            return word_rows[place]
        place = (place + np.uint64(1)) & mask
    return -1


@inner_fast
def _add_word(text, first, last, rows, words, word_rows, ngrams, present, sizes, hidden):
    """Add the rows of the word text[first:last], which "<" and ">" enclose; returns their number."""
    key, found = np.uint64(WORD_OFFSET), 0
    for i in range(first + 1, last - 1):
        key = (key ^ np.uint64(text[i])) * np.uint64(WORD_PRIME)
    row = _row_of(words, word_rows, key)
    if row >= 0:
        found += 1
        for d in range(hidden.shape[0]):
            hidden[d] += rows[row, d]
    buckets, inverse = np.uint32(ngrams.shape[0]), 1.0 / ngrams.shape[0]
    for i in range(first, last):
        if text[i] & 0xC0 == 0x80:
            continue
        h, j, n = np.uint32(FNV_OFFSET), i, 0
        while j < last and n < sizes[1]:
            h = np.uint32((h ^ np.uint32(np.int8(text[j]))) * np.uint32(FNV_PRIME))
            j += 1
            while j < last and text[j] & 0xC0 == 0x80:
                h = np.uint32((h ^ np.uint32(np.int8(text[j]))) * np.uint32(FNV_PRIME))
                j += 1
            n += 1
            if n < sizes[0] or (n == 1 and (i == first or j == last)):
                continue
            # A remainder by multiplication, exact after the correction: division is what this loop waits for.
            bucket = np.uint32(h - np.uint32(np.float64(h) * inverse) * buckets)
            if bucket >= buckets:
                bucket = np.uint32(bucket + buckets) if bucket >= np.uint32(0x80000000) else np.uint32(bucket - buckets)
            if (present[bucket >> 6] >> np.uint64(bucket & 63)) & np.uint64(1):
                found += 1
                row = ngrams[bucket]
                for d in range(hidden.shape[0]):
                    hidden[d] += rows[row, d]
    return found


@njit(nogil=True, cache=True, fastmath=True)
def _probabilities(
    buffer, offsets, wanted, limit, lower, rows, words, word_rows, ngrams, present, nodes, children, sizes, end, found
):  # fmt: skip
    size, dim = found.shape[1], rows.shape[1]
    text = np.empty(6 * limit + 8, np.uint8)
    hidden, scores = np.zeros(dim, np.float32), np.zeros(2 * size, np.float32)
    for at in range(wanted.shape[0]):
        document = wanted[at]
        length = _normalise(buffer, offsets[document], offsets[document + 1], limit, lower, text)
        hidden[:] = 0
        count, first, tokens = 0, 0, 0
        for i in range(length):
            if text[i] == 32 and tokens < MAX_WORDS:
                count += _add_word(text, first, i, rows, words, word_rows, ngrams, present, sizes, hidden)
                first = i + 1
                tokens += 1
        if end >= 0:
            count += 1
            for d in range(dim):
                hidden[d] += rows[end, d]
        if count == 0:
            continue
        for d in range(dim):
            hidden[d] /= count
        scores[:] = 0
        scores[2 * size - 2] = 1
        for branch in range(size - 2, -1, -1):
            above = scores[size + branch]
            if above < NEGLIGIBLE:
                continue
            dot = np.float32(0)
            for d in range(dim):
                dot += nodes[branch, d] * hidden[d]
            right = 1 / (1 + np.exp(-dot))
            scores[children[branch, 0]] = above * (1 - right + EPSILON)
            scores[children[branch, 1]] = above * (right + EPSILON)
        found[at] = scores[:size]


def label_probabilities(
    model: FastText, buffer: np.ndarray, offsets: np.ndarray, wanted: np.ndarray, limit: int
) -> np.ndarray:
    """float32 [len(wanted), labels]: of the first `limit` characters of each document named in `wanted`."""
    found = np.zeros((len(wanted), len(model.labels)), np.float32)
    _probabilities(
        buffer, offsets, wanted, limit, _lower_table(), model.rows, model.words, model.word_rows, model.ngrams,
        model.present, model.nodes, model.children, model.sizes, _end_row(model), found,
    )  # fmt: skip
    return found


def _end_row(model: FastText) -> int:
    """Row of the word that ends every line, -1 where the model has none."""
    value = WORD_OFFSET
    for byte in b"</s>":
        value = ((value ^ byte) * WORD_PRIME) & (2**64 - 1)
    return int(_row_of(model.words, model.word_rows, np.uint64(value)))
