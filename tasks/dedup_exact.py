"""dedup_exact: one of several documents with equal text stays. Hashes go to partitions, each is decided by itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts
from openseek.data.exact import DedupExact
from tasks.removal import Leaving, without
from tasks.report import report
from tasks.shards import input_shards, map_files, map_shards, read_batches, repaired
from tasks.task import task

if TYPE_CHECKING:
    from openseek.data.document import ShardOutput

TASK = "dedup_exact"


@task(version=2)
def dedup_exact(out: Path, documents: Path, config: DedupExact = DedupExact()) -> Facts:
    """Keep one document of every set of equal texts."""
    import pyarrow.parquet as pq

    from openseek.data.bands import partition_bits

    shards = input_shards(documents)
    bits = partition_bits(sum(pq.read_metadata(shard).num_rows for shard in shards), len(shards))
    hashes = [out / ".hashes" / f"{i:05d}.npy" for i in range(len(shards))]
    copies = [out / ".copies" / f"{i:05d}.npy" for i in range(1 << bits)]

    def passes() -> Facts:
        call = partial(_hash, bits=bits, config=config)
        map_files(out, ".hashes", shards, call, suffix=".npy", title=f"{TASK}: hash")
        call = partial(_decide, hashes=hashes)
        map_files(out, ".copies", range(len(copies)), call, suffix=".npy", title=f"{TASK}: compare")
        parts = list(enumerate(shards))
        return map_shards(out, parts, partial(_rewrite, copies=copies), title=f"{TASK}: write")

    return report(out, repaired(out, passes), shards, title=TASK)


def _hash(shard: Path, target: Path, *, bits: int, config: DedupExact) -> dict[str, Any]:
    """Write (hash, row, rank, id) of every document, by leading bits of the hash."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.arrays import write_partitions
    from openseek.data.document import binary_ids
    from openseek.data.exact import content_hashes
    from openseek.data.keep import preference
    from openseek.data.words import string_buffers

    parts = []
    for batch in read_batches(shard):
        table = pa.Table.from_batches([batch])
        _, offsets = string_buffers(table["text"])
        rank = preference(config.keep, table, np.diff(offsets))
        parts.append((content_hashes(table["text"], config.normalise), rank, binary_ids(table)))
    hashes, ranks, ids = (np.concatenate(column) for column in zip(*parts, strict=True))
    partition = (hashes[:, 0] >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(hashes), np.int64)
    order = np.argsort(partition, kind="stable")
    bounds = np.searchsorted(partition[order], np.arange((1 << bits) + 1))
    write_partitions(target, bounds, hashes[order], order.astype(np.uint32), ranks[order], ids[order])
    return {"rows": len(ids)}


def _decide(partition: int, target: Path, *, hashes: list[Path]) -> dict[str, Any]:
    """Write (row, id of the copy that stays) of every document of a partition that goes, by shard."""
    import numpy as np

    from openseek.data.arrays import gather_partition, write_partitions
    from openseek.data.exact import first_copies
    from openseek.data.row_ids import joined, row_of, shard_of

    found, counts = gather_partition(hashes, partition)
    if not found:
        write_partitions(target, np.zeros(1, np.int64), np.zeros(0, np.uint32), np.zeros(0, "S32"))
        return {}
    key, rows, ranks, names = found
    ids = joined(counts, rows)
    partner = first_copies(key, np.lexsort((ids, ranks)))
    goes = np.flatnonzero(partner != np.arange(len(partner)))
    goes = goes[np.argsort(ids[goes])]
    bounds = np.searchsorted(shard_of(ids[goes]), np.arange(len(hashes) + 1))
    write_partitions(target, bounds, row_of(ids[goes]).astype(np.uint32), names[partner[goes]])
    return {"copies": len(goes)}


def _rewrite(part: tuple[int, Path], *, copies: list[Path]) -> Iterator[ShardOutput]:
    import numpy as np

    from openseek.data.arrays import gather_partition

    index, shard = part
    (rows, names), _ = gather_partition(copies, index)
    order = np.argsort(rows)
    leaving = Leaving(shard, rows[order].astype(np.int64), names[order])
    yield from without(leaving, task=TASK, rule="exact", limit=None)
