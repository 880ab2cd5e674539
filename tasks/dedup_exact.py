"""dedup_exact: one of several documents with equal text stays. Hashes go to partitions, each is decided by itself.

With `against`, the documents of earlier corpora stay and what is equal to one of them goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts
from openseek.data.exact import DedupExact
from tasks.earlier import earlier
from tasks.removal import Leaving, without
from tasks.report import report
from tasks.shards import input_shards, map_files, map_shards, read_batches, repaired
from tasks.task import task

if TYPE_CHECKING:
    import numpy as np

    from openseek.data.document import ShardOutput

TASK = "dedup_exact"
KEPT_HASHES = "hashes"


@task(version=3)
def dedup_exact(out: Path, documents: Path, against: Path | None = None, config: DedupExact = DedupExact()) -> Facts:
    """Keep one document of every set of equal texts."""
    import pyarrow.parquet as pq

    from openseek.data.bands import partition_bits

    shards = input_shards(documents)
    made = {"normalise": config.normalise}
    older = earlier(against, task=TASK, fact="hash", made=made, kept=KEPT_HASHES)
    every = [*older, *((shard, None) for shard in shards)]
    bits = partition_bits(sum(pq.read_metadata(shard).num_rows for shard, _ in every), len(every))
    hashes = [out / ".hashed" / f"{i:05d}.npy" for i in range(len(every))]
    copies = [out / ".copies" / f"{i:05d}.npy" for i in range(1 << bits)]

    def passes() -> Facts:
        call = partial(_hash, bits=bits, config=config)
        map_files(out, ".hashed", every, call, suffix=".npy", title=f"{TASK}: hash")
        call = partial(_decide, hashes=hashes, num_older=len(older))
        map_files(out, ".copies", range(len(copies)), call, suffix=".npy", title=f"{TASK}: compare")
        facts = map_shards(out, list(enumerate(shards)), partial(_rewrite, copies=copies), title=f"{TASK}: write")
        parts = list(enumerate(hashes[len(older) :]))
        map_files(out, KEPT_HASHES, parts, partial(_keep, copies=copies), suffix=".npy", title=f"{TASK}: hashes")
        return facts

    facts = report(out, repaired(out, passes), shards, title=TASK, partners=[shard for shard, _ in older])
    return {**facts, "older_shards": len(older), "hash": made}


def _hash(part: tuple[Path, Path | None], target: Path, *, bits: int, config: DedupExact) -> dict[str, Any]:
    """Write (hash, row, rank, id) of every document, by leading bits of the hash; what was kept is not made again."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.arrays import read_arrays, write_partitions
    from openseek.data.document import binary_ids
    from openseek.data.exact import content_hashes
    from openseek.data.keep import preference
    from openseek.data.words import string_buffers

    shard, kept = part
    parts = []
    for batch in read_batches(shard) if kept is None else ():
        table = pa.Table.from_batches([batch])
        _, offsets = string_buffers(table["text"])
        rank = preference(config.keep, table, np.diff(offsets))
        parts.append((content_hashes(table["text"], config.normalise), rank, binary_ids(table)))
    if kept is None:
        hashes, ranks, ids = (np.concatenate(column) for column in zip(*parts, strict=True))
    else:
        hashes, ids = read_arrays(kept)
        ranks = np.zeros(len(ids), np.uint64)
    partition = (hashes[:, 0] >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(hashes), np.int64)
    order = np.argsort(partition, kind="stable")
    bounds = np.searchsorted(partition[order], np.arange((1 << bits) + 1))
    write_partitions(target, bounds, hashes[order], order.astype(np.uint32), ranks[order], ids[order])
    return {"rows": len(ids)}


def _decide(partition: int, target: Path, *, hashes: list[Path], num_older: int) -> dict[str, Any]:
    """Write (row, id of the copy that stays) of every document of a partition that goes, by shard of this corpus."""
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
    new = shard_of(ids) >= num_older
    partner = first_copies(key, np.lexsort((ids, ranks, new)))
    goes = np.flatnonzero(new & (partner != np.arange(len(partner))))
    goes = goes[np.argsort(ids[goes])]
    bounds = np.searchsorted(shard_of(ids[goes]), np.arange(num_older, len(hashes) + 1))
    write_partitions(target, bounds, row_of(ids[goes]).astype(np.uint32), names[partner[goes]])
    return {"copies": len(goes)}


def _leaving(copies: list[Path], index: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows int64 in order, ids of the copies that stay) of what goes from one shard of this corpus."""
    import numpy as np

    from openseek.data.arrays import gather_partition

    (rows, names), _ = gather_partition(copies, index)
    order = np.argsort(rows)
    return rows[order].astype(np.int64), names[order]


def _rewrite(part: tuple[int, Path], *, copies: list[Path]) -> Iterator[ShardOutput]:
    index, shard = part
    leaving = Leaving(shard, *_leaving(copies, index))
    yield from without(leaving, task=TASK, rule="exact", limit=None)


def _keep(part: tuple[int, Path], target: Path, *, copies: list[Path]) -> dict[str, Any]:
    """Write hash and id of the documents that stay, in order, for later corpora to be compared with."""
    import numpy as np

    from openseek.data.arrays import read_arrays, write_arrays

    index, path = part
    goes, _ = _leaving(copies, index)
    _, _, hashes, rows, _, ids = read_arrays(path)
    order = np.argsort(rows)
    stays = np.ones(len(rows), bool)
    stays[goes] = False
    write_arrays(target, hashes[order][stays], ids[order][stays])
    return {}
