"""Frames are found without decompressing, and their blocks never give more than asked."""

import io
import random

import pytest
import zstandard

from openseek.data.sources.record import BrokenStream
from openseek.data.sources.zstd_frames import (
    MAX_BLOCK_BYTES,
    STEP_BLOCKS,
    Damaged,
    frame_offsets,
    parse_header,
    read_frames,
)

TEXT = b"".join(b"%d is followed by %d\n" % (i, i * i) for i in range(60_000))
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("sized", [False, True])
def test_offsets_of_frames_are_those_of_reading(checksum: bool, sized: bool) -> None:
    compressor = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=sized)
    parts = [TEXT[:10], TEXT[:1000], TEXT, b"", TEXT[:70_000]]
    packed = [compressor.compress(part) for part in parts]
    packed.insert(2, SKIPPABLE)
    parts.insert(2, b"")
    starts: list[tuple[int, int]] = []
    data = b"".join(packed)
    blocks = list(read_frames(io.BytesIO(data), lambda out, into: starts.append((into, out))))
    assert b"".join(b for b in blocks if isinstance(b, bytes)) == b"".join(parts)
    assert starts == [(len(b"".join(packed[:i])), len(b"".join(parts[:i]))) for i in range(len(parts))]
    assert frame_offsets(io.BytesIO(data)) == starts
    assert frame_offsets(io.BytesIO(data[:-1])) is None


def test_a_bomb_of_one_frame_comes_in_small_blocks() -> None:
    data = zstandard.compress(bytes(50 << 20))
    sizes = [len(block) for block in read_frames(io.BytesIO(data), lambda out, into: None) if isinstance(block, bytes)]
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= STEP_BLOCKS * MAX_BLOCK_BYTES


def test_no_damage_ends_in_another_error() -> None:
    packed = [zstandard.ZstdCompressor(write_checksum=True).compress(TEXT[i : i + 30_000]) for i in (0, 30_000, 60_000)]
    chosen = random.Random(3)
    for _ in range(150):
        middle = bytearray(packed[1])
        for _ in range(chosen.randrange(1, 4)):
            middle[chosen.randrange(len(middle))] = chosen.randrange(256)
        blocks = list(read_frames(io.BytesIO(packed[0] + bytes(middle) + packed[2]), lambda out, into: None))
        got = b"".join(block for block in blocks if isinstance(block, bytes))
        assert got.startswith(TEXT[:30_000])
        broken = [block for block in blocks if isinstance(block, BrokenStream)]
        if bytes(middle) != packed[1]:
            assert broken or got == TEXT[:90_000]
        assert got.endswith(TEXT[60_000:90_000])


def test_headers_that_are_none_are_told() -> None:
    assert parse_header(b"\x28\xb5") is None
    with pytest.raises(Damaged, match="no frame"):
        parse_header(b"hello, world")
