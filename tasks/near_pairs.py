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
    from openseek.data.arrays import Column

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

    def column(self, which: int) -> Column:
        """One array of every file."""
        from openseek.data.arrays import Column

        return Column(self.files, which)


def near_pairs(out: Path, signed: Signed, config: MinHash, *, title: str) -> dict[str, int]:
    """Write out/.likely/NNNNN.npy for each new shard: pairs uint64 [P, 2] of row ids low < high, high in that shard.

    The pairs are partitioned by the shard of the low id. Returns what was counted on the way.
    """
    from openseek.data.bands import partition_bits
    from openseek.data.minhash import bands

    num_bands, rows_per_band = bands(config)
    map_files(out, ".ranks", [signed], _join_ranks, suffix=".npy", title=f"{title}: ranks")
    records = sum(len(words) for words in signed.column(WORDS)) * num_bands
    bits = partition_bits(records, len(signed.files))
    shape = {"num_bands": num_bands, "rows_per_band": rows_per_band, "bits": bits}
    call = partial(_write_bands, config=config, **shape)
    map_files(out, ".bands", signed.files, call, suffix=".npy", title=f"{title}: bands")
    files = [out / ".bands" / f"{i:05d}.npy" for i in range(len(signed.files))]
    call = partial(_pair, files=files, ranks=out / ".ranks" / "00000.npy", num_older=signed.num_older, config=config)
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


def _pair(
    partition: int, target: Path, *, files: Sequence[Path], ranks: Path, num_older: int, config: MinHash
) -> dict[str, Any]:
    """Write the pairs with a key in common in one partition, by the shard of their later document."""
    import numpy as np

    from openseek.data.arrays import gather_partition, read_arrays, write_partitions
    from openseek.data.bands import by_shard, met_again, pairs_of_partition
    from openseek.data.row_ids import joined, row_of, shard_of

    found, counts = gather_partition(files, partition)
    pairs, cut, longest = np.zeros((0, 2), np.uint64), 0, 0
    if found:
        keys, rows = found
        places = met_again(keys)
        ids = joined(counts, rows)[places]
        first, values = read_arrays(ranks)
        rank = values[first[shard_of(ids)] + row_of(ids)]
        pairs, cut, longest = pairs_of_partition(keys[places], ids, rank, num_older << 32, config.max_partners)
    write_partitions(target, *by_shard(pairs, 1, num_older, len(files)))
    return {"runs_cut": int(cut), "longest_run": int(longest)}


def _join_ranks(signed: Signed, target: Path) -> dict[str, Any]:
    """Write the first place of each shard int64 [S] and the ranks uint64 [N] of all documents, in one file."""
    import numpy as np

    from openseek.data.arrays import write_arrays

    parts = [np.array(ranks) for ranks in signed.column(RANKS)]
    first = np.cumsum([0, *(len(part) for part in parts)])
    write_arrays(target, first, np.concatenate([np.zeros(0, np.uint64), *parts]))
    return {}


def _likely(shard: int, target: Path, *, pairs: Sequence[Path], signed: Signed, config: MinHash) -> dict[str, Any]:
    """Write the distinct pairs of one shard whose signatures agree enough, by the shard of their earlier document."""
    from openseek.data.arrays import gather_partition, write_partitions
    from openseek.data.bands import by_shard, distinct_pairs
    from openseek.data.minhash import likely

    (found,), _ = gather_partition(pairs, shard - signed.num_older)
    distinct = distinct_pairs(found)
    kept = distinct[likely(signed.column(SIGNATURES), distinct, config)]
    write_partitions(target, *by_shard(kept, 0, 0, len(signed.files)))
    return {"proposed": len(distinct), "likely": len(kept)}
