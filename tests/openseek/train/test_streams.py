"""The windows of a source: every token once an epoch, documents whole and apart, any window alone."""

from collections import Counter

import numpy as np
import pytest

from openseek.train import documents as documents_module
from openseek.train.documents import Documents, Rearranging
from openseek.train.streams import Stream

EOD = 0


def corpus(count: int, seed: int = 0, longest: int = 40) -> list[list[int]]:
    """Documents that no two tokens share a (value, place) with: document i counts up from 100 * i + 1."""
    lengths = np.random.default_rng(seed).integers(0, longest, count)
    return [[*(100 * (i + 1) + np.arange(length)).tolist(), EOD] for i, length in enumerate(lengths)]


def windows(stream, numbers, length: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(numbers), length)
    ids, documents = np.full(shape, -7, np.int64), np.full(shape, -1, np.int32)
    stream.fill(np.asarray(numbers), np.arange(len(numbers)), ids, documents)
    return ids, documents


def runs_of_one_document(ids: np.ndarray, documents: np.ndarray) -> list[list[int]]:
    """The pieces of documents in windows, in order."""
    pieces = []
    for row, numbers in zip(ids, documents, strict=True):
        for number in range(numbers.max() + 1):
            pieces.append(row[numbers == number].tolist())
            assert np.flatnonzero(numbers == number).tolist() == list(
                range(np.flatnonzero(numbers == number)[0], np.flatnonzero(numbers == number)[-1] + 1)
            )
    return pieces


@pytest.mark.parametrize("small_blocks", [False, True])
def test_packed_every_token_is_in_one_window_an_epoch(shards, monkeypatch, small_blocks):
    if small_blocks:
        monkeypatch.setattr(documents_module, "MOST_DOCUMENTS", 16)
        monkeypatch.setattr(documents_module, "MOST_RUNS", 64)
    parts = [corpus(90), [], [[]], corpus(31, 1, longest=90), [[EOD], [], [5, EOD]]]
    whole = [document for part in parts for document in part]
    stream = Stream(Documents(shards(*parts), [3], 33), 33, "best_fit", 60_000)
    per_epoch = stream.windows()
    tokens = sum(map(len, whole))
    blocks = len(stream.epoch(0)[0].tokens)
    assert (blocks > 5) == small_blocks
    assert per_epoch <= tokens // 33 + blocks
    ids, documents = windows(stream, range(per_epoch), 33)
    assert (documents >= 0).sum() == tokens
    assert (ids[documents < 0] == -7).all()
    assert Counter(ids[documents >= 0].tolist()) == Counter(token for document in whole for token in document)
    # a token is no target only at the start of a document or of a piece of one that was cut
    pieces = runs_of_one_document(ids, documents)
    starts = Counter(piece[0] for piece in pieces)
    targets = Counter(token for piece in pieces for token in piece[1:])
    assert starts + targets == Counter(token for document in whole for token in document)
    # documents that fit are whole, but for the few that no window had room for
    cut = sum(len(p) < len(d) for d in whole if 0 < len(d) <= 33 for p in pieces if p[0] == d[0] and p[-1] != EOD)
    assert cut <= blocks * 3
    assert stream.efficiency() == tokens / (per_epoch * 33)


def test_the_next_epoch_has_the_same_tokens_in_other_windows(shards):
    stream = Stream(Documents(shards(corpus(90, longest=30)), [3], 33), 33, "best_fit", 60_000)
    count = stream.windows()
    first, second = windows(stream, range(count), 33), windows(stream, range(count, 2 * count), 33)
    assert Counter(first[0].ravel().tolist()) == Counter(second[0].ravel().tolist())
    same = {tuple(row) for row in first[0].tolist()} & {tuple(row) for row in second[0].tolist()}
    assert len(same) < count / 2  # so few documents leave little choice
    other = Stream(Documents(shards(corpus(90, longest=30)), [4], 33), 33, "best_fit", 60_000)
    assert not np.array_equal(windows(other, range(count), 33)[0], first[0])


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
def test_any_window_alone_is_what_it_is_among_others(shards, monkeypatch, packing):
    monkeypatch.setattr(documents_module, "MOST_DOCUMENTS", 16)
    prefixes = shards(corpus(50), corpus(40, 1))
    every = windows(Stream(Documents(prefixes, [3], 17), 17, packing, 60_000), range(400), 17)
    for number in (399, 0, 57, 200):
        alone = windows(Stream(Documents(prefixes, [3], 17), 17, packing, 60_000), [number], 17)
        assert np.array_equal(alone[0][0], every[0][number])
        assert np.array_equal(alone[1][0], every[1][number])


@pytest.mark.parametrize("blocks", [1, 5])
def test_concatenated_every_token_is_a_target_once_but_the_first_of_a_document(shards, monkeypatch, blocks):
    monkeypatch.setattr(documents_module, "MOST_DOCUMENTS", -(-90 // blocks))
    parts = [corpus(50), corpus(40, 1)]
    whole = [document for part in parts for document in part]
    stream = Stream(Documents(shards(*parts), [3], 17), 17, "concatenate", 60_000)
    assert len(stream.epoch(0)[0].tokens) == blocks
    count = stream.windows()
    assert count <= sum(map(len, whole)) // 16 + blocks
    ids, documents = windows(stream, range(count), 17)
    real = documents >= 0
    assert (real.sum(axis=1) < 17).sum() <= blocks
    same = (documents[:, 1:] == documents[:, :-1]) & real[:, 1:]
    targets = Counter(ids[:, 1:][same].tolist())
    assert targets == Counter(token for document in whole for token in document[1:])
    # a window begins with the token that ended the one before it, or with a block's first
    ends = Counter(ids[:, -1][real[:, -1]].tolist())
    starts = Counter(ids[:, 0].tolist())
    assert (starts - ends).total() <= blocks
    assert not np.array_equal(ids[1:, 0], ids[:-1, -1])  # shuffled
    assert (documents[:, 0] == 0).all()
    # a document's number changes after its end and nowhere else
    changes = np.diff(documents, axis=1)[real[:, 1:]]
    assert np.array_equal(changes == 1, (ids[:, :-1] == EOD)[real[:, 1:]])
    assert stream.efficiency() == pytest.approx(1, abs=blocks * 16 / (count * 16))


def test_in_order_they_are_as_the_shards_have_them(shards):
    parts = [corpus(20), corpus(10, 1)]
    flat = np.concatenate([document for part in parts for document in part])
    stream = Stream(Documents(shards(*parts), [0], 9, shuffle=False), 9, "concatenate", 60_000)
    ids, documents = windows(stream, range(stream.windows()), 9)
    assert np.array_equal(ids[1:, 0], ids[:-1, -1])
    assert np.array_equal(np.append(ids[0, 0], ids[:, 1:][documents[:, 1:] >= 0]), flat)


def test_a_block_of_one_token_is_one_window(shards):
    for packing in ("best_fit", "concatenate"):
        stream = Stream(Documents(shards([[EOD]]), [0], 9), 9, packing, 60_000)
        ids, documents = windows(stream, [0, 1, 2], 9)
        assert (ids[:, 0] == EOD).all()
        assert (documents[:, 1:] == -1).all()


@pytest.mark.parametrize("suffix_first", [0.0, 1.0, 0.5])
def test_fill_in_the_middle_makes_documents_of_three_more_tokens(shards, monkeypatch, suffix_first):
    monkeypatch.setattr(documents_module, "MOST_RUNS", 16)
    monkeypatch.setattr(documents_module, "MOST_DOCUMENTS", 30)
    parts = [corpus(120), [[], [EOD], [7, EOD]], corpus(40, 1)]
    plain = sorted(document for part in parts for document in part if document)
    how = Rearranging(0.5, suffix_first, (60_001, 60_002, 60_003))
    stream = Stream(Documents(shards(*parts), [3], 2000, how), 2000, "best_fit", 60_004, how.marks)
    epochs = []
    for epoch in range(2):
        start = sum(stream.windows(before) for before in range(epoch))
        ids, documents = windows(stream, range(start, start + stream.windows(epoch)), 2000)
        pieces = runs_of_one_document(ids, documents)
        assert sum(map(len, pieces)) == stream.epoch(epoch)[0].tokens.sum()
        epochs.append(sorted(pieces))
        assert sorted(restored(piece, how.marks) for piece in pieces) == plain
        changed = [piece for piece in pieces if piece[0] == 60_001]
        assert 0.35 < len(changed) / sum(len(document) >= 3 for document in plain) < 0.65
        assert all(len(piece) >= 6 for piece in changed)
        # a prefix without a token looks like SPM too
        suffix = np.mean([piece[1] == 60_002 for piece in changed])
        assert suffix_first * 0.5 <= suffix <= suffix_first * 0.5 + 0.5
    assert epochs[0] != epochs[1]


def test_pieces_of_rearranged_documents_fit_together(shards):
    """Short windows cut the documents everywhere; put together they are what long windows hold whole."""
    how = Rearranging(0.7, 0.5, (60_001, 60_002, 60_003))
    prefixes = shards(corpus(120))
    long = Stream(Documents(prefixes, [3], 2000, how), 2000, "best_fit", 60_004, how.marks)
    whole = runs_of_one_document(*windows(long, range(long.windows()), 2000))
    for size in (2, 7, 16):
        stream = Stream(Documents(prefixes, [3], 2000, how, shuffle=False), size, "concatenate", 60_004, how.marks)
        ids, documents = windows(stream, range(stream.windows()), size)
        flat = np.append(ids[0, 0], ids[:, 1:][documents[:, 1:] >= 0])
        read = [part.tolist() for part in np.split(flat, np.flatnonzero(flat == EOD) + 1)[:-1]]
        assert sorted(read) == sorted(whole)


def restored(piece: list[int], marks: tuple[int, int, int]) -> list[int]:
    """The document that a piece was made from."""
    prefix, suffix, middle = marks
    if piece[0] != prefix:
        return piece
    assert [piece.count(mark) for mark in marks] == [1, 1, 1]
    one, two = piece.index(suffix), piece.index(middle)
    assert piece[-1] == EOD
    if one == 1:  # SPM, or PSM with an empty prefix: then the middle begins the document either way
        return piece[two + 1 : -1] + piece[2:two] + [EOD]
    return piece[1:one] + piece[two + 1 : -1] + piece[one + 1 : two] + [EOD]


def test_a_file_that_is_cut_off_later_is_named(shards):
    prefixes = shards(corpus(30), corpus(30, 1))
    stream = Stream(Documents(prefixes, [3], 33), 33, "best_fit", 60_000)
    path = prefixes[1].with_name(prefixes[1].name + ".bin")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=rf"{path} has {size - 4} bytes now and had {size} when training opened it"):
        windows(stream, [0], 33)


def test_damaged_indexes_and_foreign_tokens_are_named(shards):
    with pytest.raises(ValueError, match=r"part\.0 hold no tokens"):
        Documents(shards([[]], folder="empty"), [0], 9)
    prefixes = shards(corpus(30))
    stream = Stream(Documents(prefixes, [3], 33), 33, "best_fit", 500)
    with pytest.raises(ValueError, match=r"part\.0\.bin, document at token \d+, has a token id outside .* of 500"):
        windows(stream, range(stream.windows()), 33)
    index = prefixes[0].with_name(prefixes[0].name + ".idx")
    data = bytearray(index.read_bytes())
    pointers = 34 + 4 * 30
    data[pointers + 8 * 4 : pointers + 8 * 5] = (10**9).to_bytes(8, "little")
    index.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"part\.0\.idx points outside"):
        Documents(prefixes, [3], 33)
    data[pointers + 8 * 4 : pointers + 8 * 5] = (0).to_bytes(8, "little")
    index.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"part\.0\.idx is out of order"):
        windows(Stream(Documents(prefixes, [3], 33), 33, "best_fit", 60_000), [0], 33)
