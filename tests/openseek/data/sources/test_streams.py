"""Streams give every byte before a break, name the break, and stop bombs."""

import bz2
import gzip
from pathlib import Path

import pytest
import zstandard

from openseek.data.sources import streams
from openseek.data.sources.record import Bomb, BrokenStream, Limits
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=1 << 20, expansion=1000)
TEXT = b"".join(b"line %d of a text that compresses a little\n" % i for i in range(20_000))


def pack(kind: str, parts: list[bytes]) -> bytes:
    if kind == "gzip":
        return b"".join(gzip.compress(part) for part in parts)
    if kind == "zstd":
        return b"".join(zstandard.compress(part) for part in parts)
    if kind == "bzip2":
        return b"".join(bz2.compress(part) for part in parts)
    return b"".join(parts)


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd", "bzip2"])
@pytest.mark.parametrize("cuts", [[], [1, 70_000, 70_001]])
def test_every_member_and_frame_is_read(tmp_path: Path, kind: str, cuts: list[int]) -> None:
    parts = [TEXT[a:b] for a, b in zip([0, *cuts], [*cuts, len(TEXT)], strict=True)]
    path = tmp_path / "text"
    path.write_bytes(pack(kind, parts))
    begins: list[tuple[int, int]] = []
    assert b"".join(streams.blocks(RawFile.at(path), LIMITS, lambda out, into: begins.append((out, into)))) == TEXT
    assert streams.compression(RawFile.at(path)) == kind
    if kind != "plain":
        sizes = [len(pack(kind, [part])) for part in parts]
        assert begins == [(a, sum(sizes[:i])) for i, a in enumerate([0, *cuts])]


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2"])
@pytest.mark.parametrize("keep", [30, 0.5, -1])
def test_a_cut_file_gives_what_came_before_and_names_the_break(tmp_path: Path, kind: str, keep: float, drain) -> None:
    whole = pack(kind, [TEXT])
    data = whole[: int(len(whole) * keep) if 0 < keep < 1 else int(keep)]
    path = tmp_path / "text"
    path.write_bytes(data)
    parts, broken = drain(streams.blocks(RawFile.at(path), LIMITS))
    got = b"".join(parts)
    assert TEXT.startswith(got)
    assert broken.position == len(data)
    assert "cut off" in broken.reason
    # bzip2 gives nothing before the end of its first block of 900 kB.
    assert len(got) > len(TEXT) / 4 or keep == 30 or (kind, keep) == ("bzip2", 0.5)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2"])
def test_damaged_bytes_are_a_break(tmp_path: Path, kind: str, drain) -> None:
    first, second = pack(kind, [TEXT[:1000]]), bytearray(pack(kind, [TEXT]))
    second[len(second) // 2 : len(second) // 2 + 64] = bytes(64)
    path = tmp_path / "text"
    path.write_bytes(first + bytes(second))
    parts, broken = drain(streams.blocks(RawFile.at(path), LIMITS))
    assert "damaged" in broken.reason
    assert b"".join(parts).startswith(TEXT[:1000])


def test_zero_padding_after_gzip_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(TEXT) + bytes(512))
    assert b"".join(streams.blocks(RawFile.at(path), LIMITS)) == TEXT


def test_an_empty_compressed_file_is_cut_off_and_an_empty_plain_one_is_empty(tmp_path: Path) -> None:
    for name in ("a.gz", "a.zst"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(BrokenStream, match="too few"):
            list(streams.blocks(RawFile.at(tmp_path / name), LIMITS))
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert list(streams.blocks(RawFile.at(tmp_path / "a.jsonl"), LIMITS)) == []


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2"])
def test_a_bomb_is_refused_and_a_higher_limit_lets_it_pass(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb"
    zeros = bytes(1 << 20)
    if kind == "gzip":
        with gzip.open(path, "wb") as file:
            for _ in range(70):
                file.write(zeros)
    else:
        path.write_bytes(zstandard.compress(zeros * 70))
    with pytest.raises(Bomb, match=r"decompress to more than .* max_expansion 100: raise max_expansion"):
        sum(map(len, streams.blocks(RawFile.at(path), Limits(1 << 20, 100))))
    assert sum(map(len, streams.blocks(RawFile.at(path), Limits(1 << 20, 1e9)))) == 70 << 20
