"""Pairs of documents that are worth comparing: signatures to bands, bands to pairs, pairs to likely pairs.

Signature files come one a shard: signatures uint32 [N, K], words int64 [N], ranks uint64 [N], ids S32 [N]. Those of
older corpora come first and are not compared with each other. Every pass reads files and writes files, in partitions
that fit into memory whatever the size of the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.data.minhash import MinHash
from tasks.shards import map_files

if TYPE_CHECKING:
    import numpy as np

SIGNATURES, WORDS, RANKS, IDS = range(4)


@dataclass(frozen=True)
class Signed:
    """Signature files in shard order, and how many of them belong to older corpora."""

    files: tuple[Path, ...]
    num_older: int

    @property
    def new(self) -> range:
        """Numbers of the shards whose documents may go."""
        return range(self.num_older, len(self.files))

    def column(self, which: int) -> list[np.ndarray]:
        """One array of every file, mapped."""
        from openseek.data.arrays import read_arrays

        return [read_arrays(path)[which] for path in self.files]


def near_pairs(out: Path, signed: Signed, config: MinHash, *, title: str) -> dict[str, int]:
    """Write out/.likely/NNNNN.npy for each new shard: pairs uint64 [P, 2] of row ids low < high, high in that shard.

    Returns what was counted on the way.
    """
    from openseek.data.bands import partition_bits
    from openseek.data.minhash import bands

    num_bands, rows_per_band = bands(config)
    records = sum(len(words) for words in signed.column(WORDS)) * num_bands
    bits = partition_bits(records, len(signed.files))
    shape = {"num_bands": num_bands, "rows_per_band": rows_per_band, "bits": bits}
    call = partial(_write_bands, config=config, **shape)
    map_files(out, ".bands", signed.files, call, suffix=".npy", title=f"{title}: bands")
    files = [out / ".bands" / f"{i:05d}.npy" for i in range(len(signed.files))]
    call = partial(_pair, files=files, signed=signed, config=config)
    counted = map_files(out, ".pairs", range(1 << bits), call, suffix=".npy", title=f"{title}: pairs")
    pairs = [out / ".pairs" / f"{i:05d}.npy" for i in range(1 << bits)]
    call = partial(_likely, pairs=pairs, signed=signed, config=config)
    likely = map_files(out, ".likely", list(signed.new), call, suffix=".npy", title=f"{title}: agree")
    return {
        "proposed": sum(each["proposed"] for each in likely),
        "likely": sum(each["likely"] for each in likely),
        "runs_cut": sum(each["runs_cut"] for each in counted),
        "longest_run": max((each["longest_run"] for each in counted), default=0),
    }


def _write_bands(path: Path, target: Path, *, num_bands: int, rows_per_band: int, bits: int, config: MinHash) -> dict:
    from openseek.data.arrays import read_arrays, write_partitions
    from openseek.data.bands import band_records

    arrays = read_arrays(path)
    valid = arrays[WORDS] >= config.min_words
    write_partitions(target, *band_records(arrays[SIGNATURES], valid, num_bands, rows_per_band, bits))
    return {}


def _pair(partition: int, target: Path, *, files: Sequence[Path], signed: Signed, config: MinHash) -> dict[str, Any]:
    """Write the pairs with a key in common in one partition, by the shard of their later document."""
    import numpy as np

    from openseek.data.arrays import gather_partition, write_partitions
    from openseek.data.bands import met_again, pairs_of_partition
    from openseek.data.row_ids import gathered, joined, shard_of

    found, counts = gather_partition(files, partition)
    pairs, cut, longest = np.zeros((0, 2), np.uint64), 0, 0
    if found:
        keys, rows = found
        places = met_again(keys)
        ids = joined(counts, rows)[places]
        if len(ids):
            ranks = gathered(signed.column(RANKS), ids)
            first_new = signed.num_older << 32
            pairs, cut, longest = pairs_of_partition(keys[places], ids, ranks, first_new, config.max_partners)
    bounds = np.searchsorted(shard_of(pairs[:, 1]), np.arange(signed.num_older, len(files) + 1))
    write_partitions(target, bounds, pairs)
    return {"runs_cut": int(cut), "longest_run": int(longest)}


def _likely(shard: int, target: Path, *, pairs: Sequence[Path], signed: Signed, config: MinHash) -> dict[str, Any]:
    """Write the distinct pairs of one shard whose signatures agree enough."""
    from openseek.data.arrays import gather_partition, write_arrays
    from openseek.data.bands import distinct_pairs
    from openseek.data.minhash import likely

    (found,), _ = gather_partition(pairs, shard - signed.num_older)
    distinct = distinct_pairs(found)
    kept = distinct[likely(signed.column(SIGNATURES), distinct, config)]
    write_arrays(target, kept)
    return {"proposed": len(distinct), "likely": len(kept)}
