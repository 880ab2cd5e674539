"""Byte-level BPE in compiled code: UTF-8 bytes to words by a split program, words to token ids by merges and a cache.

A text is decoded to one small number a character, its signature, which tells the classes of the program that hold it; a
pattern is matched on those. A word is looked up among those seen before, byte by byte, else its bytes are merged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openseek.data.kernel import inlined, inner
from openseek.data.merge_kernels import merge
from openseek.data.split_patterns import CONSUME, NOT_AHEAD

LEAST_CACHED = 64
_WORD_FACTOR = np.uint64(0x2545F4914F6CDD1D)
_PROBES = 8


class Program(NamedTuple):
    """A split program and the merges of a tokenizer."""

    signatures: np.ndarray
    """[0x110000] uint8: the signature of each code point."""
    member: np.ndarray
    """[atoms, 256] uint8: whether a signature is in a class."""
    first: np.ndarray
    """[stages, 256] uint64: which alternatives can begin with a signature."""
    stage_ends: np.ndarray
    """[stages + 1] int64: alternatives before the end of each stage."""
    alternative_ends: np.ndarray
    """[alternatives + 1] int64: items before the end of each alternative."""
    items: np.ndarray
    """[items, 4] int64: atom, least, most, look."""
    byte_ids: np.ndarray
    """[256] int64: the token of each byte."""
    merges: np.ndarray
    """[slots, 2] int64: pair (left << 32 | right, -1 is free), rank << 32 | token."""


class Words(NamedTuple):
    """Words seen before and their tokens; kept from batch to batch, emptied to `fresh` when full."""

    slots: np.ndarray
    """[slots, 4] int64: hash, place in text, bytes (0 is free), place in tokens << 32 | tokens."""
    text: np.ndarray
    """[bytes] uint8."""
    tokens: np.ndarray
    """[tokens] int32."""
    used: np.ndarray
    """[4] int64: slots, bytes and tokens used; the longest word that is kept."""


@inner
def encode_documents(buffer, offsets, start, wanted, program, words, fresh, scratch, out, lengths):
    """Encode documents from `start` on to `out`; returns (document it stopped at, tokens written, room it wants).

    It stops early at a document with a word that the scratch has no room for. Tokens go to out[0:]; a document that is
    not `wanted` has the length 0.
    """
    slots, known, tokens, kept, written = words.slots, words.text, words.tokens, words.used[3], 0
    for d in range(start, lengths.shape[0]):
        lengths[d] = 0
        if not wanted[d] or offsets[d] == offsets[d + 1]:
            continue
        count = _decode(
            buffer, offsets[d], offsets[d + 1], program.signatures, scratch.kinds, scratch.places, scratch.cuts
        )
        for stage in range(program.stage_ends.shape[0] - 1):
            _split(stage, count, program, scratch)
        longest, begin = 0, 0
        for i in range(1, count + 1):
            if scratch.cuts[i]:
                longest = max(longest, scratch.places[i] - scratch.places[begin])
                begin = i
        if longest > scratch.symbols.shape[0]:
            return d, written, longest
        before, begin = written, scratch.places[0]
        for i in range(1, count + 1):
            if not scratch.cuts[i]:
                continue
            stop, found, value = scratch.places[i], -1, np.int64(0)
            if stop - begin <= kept:
                value = _hash(buffer, begin, stop)
                found = _find(slots, known, buffer, begin, stop - begin, value)
            if found >= 0:
                at, size = slots[found, 3] >> 32, slots[found, 3] & 0xFFFFFFFF
                for j in range(size):
                    out[written + j] = tokens[at + j]
            else:
                size = merge(buffer, begin, stop, program, scratch)
                for j in range(size):
                    out[written + j] = scratch.symbols[j]
                if stop - begin <= kept:
                    _remember(buffer, begin, stop, value, size, words, fresh, scratch)
            written += size
            begin = stop
        lengths[d] = written - before
    return lengths.shape[0], written, 0


@inner
def _decode(buffer, start, stop, signatures, kinds, places, cuts):
    """Signature and place of each character; how many there are. UTF-8 is taken to be valid, as Arrow's is."""
    i, count = start, 0
    while i < stop:
        lead = np.int64(buffer[i])
        places[count] = i
        cuts[count] = 0
        if lead < 0x80:
            point = lead
            i += 1
        elif lead < 0xE0:
            point = (lead & 0x1F) << 6 | (np.int64(buffer[i + 1]) & 0x3F)
            i += 2
        elif lead < 0xF0:
            point = (lead & 0xF) << 12 | (np.int64(buffer[i + 1]) & 0x3F) << 6 | (np.int64(buffer[i + 2]) & 0x3F)
            i += 3
        else:
            point = (lead & 7) << 18 | (np.int64(buffer[i + 1]) & 0x3F) << 12
            point |= (np.int64(buffer[i + 2]) & 0x3F) << 6 | (np.int64(buffer[i + 3]) & 0x3F)
            i += 4
        kinds[count] = signatures[point]
        count += 1
    places[count] = stop
    cuts[0] = cuts[count] = 1
    return count


@inner
def _split(stage, count, program, scratch):
    """Cut every piece at the matches of a stage."""
    kinds, cuts, stack = scratch.kinds, scratch.cuts, scratch.stack
    items, member, ends, first = program.items, program.member, program.alternative_ends, program.first
    low, high = program.stage_ends[stage], program.stage_ends[stage + 1]
    p = 0
    while p < count:
        end = p + 1
        while not cuts[end]:
            end += 1
        while p < end:
            able, found = first[stage, kinds[p]], p
            for a in range(low, high):
                if able >> np.uint64(a - low) & np.uint64(1):
                    found = _match(items, member, ends[a], ends[a + 1], kinds, p, end, stack)
                    if found > p:
                        break
            if found > p:
                cuts[p] = cuts[found] = 1
                p = found
            else:
                p += 1


@inlined
def _match(items, member, first, last, kinds, p, end, stack):
    """Where a match of items first..last ends that begins at p; -1 without one. Repeats take all, then give back."""
    i = first
    while i < last:
        atom, most = items[i, 0], items[i, 2]
        good = True
        if items[i, 3] != CONSUME:
            inside = p < end and member[atom, kinds[p]] != 0
            good = inside != (items[i, 3] == NOT_AHEAD)
            stack[i - first, 0] = stack[i - first, 1] = p
        else:
            q, limit = p, min(end, p + most)
            while q < limit and member[atom, kinds[q]]:
                q += 1
            stack[i - first, 0], stack[i - first, 1] = p + items[i, 1], q
            good = q >= p + items[i, 1]
            p = q
        if good:
            i += 1
            continue
        i -= 1
        while i >= first and stack[i - first, 1] <= stack[i - first, 0]:
            i -= 1
        if i < first:
            p = -1
            break
        stack[i - first, 1] -= 1
        p = stack[i - first, 1]
        i += 1
    return p


@inlined
def _hash(buffer, start, stop):
    value = np.uint64(stop - start)
    for i in range(start, stop):
        value = (value ^ np.uint64(buffer[i])) * _WORD_FACTOR
    return np.int64(value ^ (value >> np.uint64(32)))


@inlined
def _find(slots, known, buffer, start, size, value):
    """The slot of a word, -1 where it is new."""
    mask, found = slots.shape[0] - 1, -1
    place = value & mask
    for _ in range(_PROBES):
        length = slots[place, 2]
        if length == 0:
            break
        if length == size and slots[place, 0] == value:
            at, i = slots[place, 1], 0
            while i < size and known[at + i] == buffer[start + i]:
                i += 1
            if i == size:
                found = place
                break
        place = (place + 1) & mask
    return found


@inner
def _remember(buffer, start, stop, value, count, words, fresh, scratch):
    """Keep a word that is in no slot."""
    slots, used = words.slots, words.used
    size, mask = stop - start, slots.shape[0] - 1
    full = used[0] * 2 > mask or used[1] + size > words.text.shape[0] or used[2] + count > words.tokens.shape[0]
    if full:
        # The seeds' text and tokens come first, and are never written over.
        for i in range(slots.shape[0]):
            for j in range(4):
                slots[i, j] = fresh.slots[i, j]
        for j in range(4):
            used[j] = fresh.used[j]
    place = value & mask
    for _ in range(_PROBES):
        if slots[place, 2] == 0:
            slots[place, 0], slots[place, 1], slots[place, 2] = value, used[1], size
            slots[place, 3] = used[2] << 32 | count
            for i in range(size):
                words.text[used[1] + i] = buffer[start + i]
            for j in range(count):
                words.tokens[used[2] + j] = scratch.symbols[j]
            used[0] += 1
            used[1] += size
            used[2] += count
            return
        place = (place + 1) & mask


@inner
def seed_words(words, buffer, ends, ids):
    """Put words into the memory that are one token each; how many found room."""
    slots, used, mask = words.slots, words.used, words.slots.shape[0] - 1
    for n in range(ids.shape[0]):
        start, stop = ends[n], ends[n + 1]
        value = _hash(buffer, start, stop)
        place, tries = value & mask, 0
        while slots[place, 2] != 0 and tries < _PROBES:
            place, tries = (place + 1) & mask, tries + 1
        if tries == _PROBES:
            return n
        slots[place, 0], slots[place, 1], slots[place, 2] = value, used[1], stop - start
        slots[place, 3] = used[2] << 32 | 1
        for i in range(stop - start):
            words.text[used[1] + i] = buffer[start + i]
        words.tokens[used[2]] = ids[n]
        used[0] += 1
        used[1] += stop - start
        used[2] += 1
    return ids.shape[0]
