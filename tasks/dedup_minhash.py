"""dedup_minhash: one of several near copies stays. Sign each shard, pair, compare exactly, decide, rewrite.

With `against`, the documents of earlier corpora stay and what is near to one of them goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts
from openseek.data.minhash import MinHash
from tasks.earlier import earlier
from tasks.near_pairs import IDS, RANKS, WORDS, Signed, near_pairs
from tasks.removal import Leaving, without
from tasks.report import report
from tasks.shards import input_shards, map_files, map_shards, read_batches, repaired
from tasks.task import task

if TYPE_CHECKING:
    import numpy as np

    from openseek.data.union_find import Stars

TASK = "dedup_minhash"
KEPT_SIGNATURES = "signatures"


@dataclass(frozen=True)
class Corpora:
    """The shards of the older corpora and then of this one, with the signatures of each."""

    shards: tuple[Path, ...]
    signed: Signed


@task(version=3)
def dedup_minhash(out: Path, documents: Path, against: Path | None = None, config: MinHash = MinHash()) -> Facts:
    """Keep one document of every near-duplicate cluster."""
    shards = input_shards(documents)
    older = earlier(against, task=TASK, fact="signature", made=config.signature_fields, kept=KEPT_SIGNATURES)
    files = [out / ".signed" / f"{i:05d}.npy" for i in range(len(shards))]
    signed = Signed((*(signatures for _, signatures in older), *files), len(older))
    corpora = Corpora((*(shard for shard, _ in older), *shards), signed)

    def passes() -> tuple[Facts, Stars, dict[str, int]]:
        map_files(out, ".signed", shards, partial(_sign, config=config), suffix=".npy", title=f"{TASK}: sign")
        counts = near_pairs(out, signed, config, title=TASK)
        call = partial(_write_sets, out=out, corpora=corpora, config=config)
        map_files(out, ".sets", range(len(corpora.shards)), call, suffix=".npy", title=f"{TASK}: n-grams")
        call = partial(_compare, out=out, num_older=signed.num_older, config=config)
        map_files(out, ".edges", range(len(shards)), call, suffix=".npy", title=f"{TASK}: compare")
        stars = _stars(out, signed)
        leaving = list(_leaving(corpora, stars))
        rewrite = partial(without, task=TASK, rule="minhash", limit=config.threshold)
        facts = map_shards(out, leaving, rewrite, title=f"{TASK}: write")
        parts = list(zip(files, leaving, strict=True))
        map_files(out, KEPT_SIGNATURES, parts, _keep_signatures, suffix=".npy", title=f"{TASK}: signatures")
        return facts, stars, counts

    facts, stars, counts = repaired(out, passes)
    short = sum(int((words < config.min_words).sum()) for words in signed.column(WORDS)[signed.num_older :])
    facts = report(out, facts, shards, title=TASK, partners=[shard for shard, _ in older])
    largest = int(stars.cluster_sizes.max(initial=0))
    if largest > config.alarm_cluster:
        line = f"a cluster holds {largest} documents: a template or an error page rather than copies?"
        print(f"{TASK}: ALARM: {line}", flush=True)
        facts = {**facts, "alarms": [*facts["alarms"], line]}
    pairs = {"proposed": counts["proposed"], "compared": counts["likely"], "near": stars.num_pairs}
    return {
        **facts,
        "pairs": pairs,
        "clusters": len(stars.cluster_sizes),
        "largest_cluster": largest,
        "runs_cut": counts["runs_cut"],
        "too_short": short,
        "older_shards": signed.num_older,
        "signature": config.signature_fields,
    }


def _sign(shard: Path, target: Path, *, config: MinHash) -> dict[str, Any]:
    """Write signature, words, rank and id of every document."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.arrays import write_arrays
    from openseek.data.document import binary_ids
    from openseek.data.keep import preference
    from openseek.data.lexers import kinds
    from openseek.data.minhash import sign
    from openseek.data.words import string_buffers

    parts = []
    for batch in read_batches(shard):
        table = pa.Table.from_batches([batch])
        _, offsets = string_buffers(table["text"])
        lexers = kinds(table["source"].to_pylist(), config.code_sources, config.latex_sources)
        rank = preference(config.keep, table, np.diff(offsets)) | np.uint64(1 << 63)
        parts.append((*sign(table["text"], lexers, config), rank, binary_ids(table)))
    write_arrays(target, *(np.concatenate(column) for column in zip(*parts, strict=True)))
    return {}


def _write_sets(shard: int, target: Path, *, out: Path, corpora: Corpora, config: MinHash) -> dict[str, Any]:
    """Write the rows of a shard that are in a likely pair, and their n-gram sets: values, offsets."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.arrays import write_arrays
    from openseek.data.lexers import kinds
    from openseek.data.row_ids import row_of
    from openseek.data.shingles import gram_sets
    from openseek.data.words import string_buffers, word_table

    rows = row_of(_wanted(out, corpora.signed, shard))
    values, sizes, first = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], 0
    batches = read_batches(corpora.shards[shard]) if len(rows) else ()
    for batch in batches:
        part = rows[slice(*np.searchsorted(rows, (first, first + batch.num_rows)).tolist())] - first
        first += batch.num_rows
        taken = batch.select(["text", "source"]).take(pa.array(part))
        lexers = kinds(taken.column("source").to_pylist(), config.code_sources, config.latex_sources)
        found, ends = gram_sets(*string_buffers(taken.column("text")), lexers, config.ngram, *word_table())
        values.append(found)
        sizes.append(np.diff(ends))
    ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *sizes]))
    write_arrays(target, rows, np.concatenate(values), ends)
    return {}


def _wanted(out: Path, signed: Signed, shard: int) -> np.ndarray:
    """Row ids of a shard's documents that are in a likely pair, in order."""
    import numpy as np

    from openseek.data.arrays import read_arrays, read_partition
    from openseek.data.row_ids import distinct

    found = [np.zeros(0, np.uint64)]
    for number in signed.new:
        path = out / ".likely" / f"{number - signed.num_older:05d}.npy"
        found.append(read_partition(path, shard)[0][:, 0])
        if number == shard:
            found.append(read_arrays(path)[2][:, 1])
    return distinct(np.concatenate(found))


def _compare(index: int, target: Path, *, out: Path, num_older: int, config: MinHash) -> dict[str, Any]:
    """Write the pairs of one shard that are near by the exact Jaccard similarity of their sets: pairs, similarities."""
    import numpy as np

    from openseek.data.arrays import read_arrays, write_arrays
    from openseek.data.row_ids import row_of
    from openseek.data.shingles import jaccard

    bounds, _, pairs = read_arrays(out / ".likely" / f"{index:05d}.npy")
    similarity = np.zeros(len(pairs))
    rows, *own = read_arrays(out / ".sets" / f"{num_older + index:05d}.npy")
    mine = np.searchsorted(rows, row_of(pairs[:, 1]))
    for number in np.flatnonzero(np.diff(bounds)):
        part = slice(*bounds[number : number + 2].tolist())
        rows, *other = read_arrays(out / ".sets" / f"{number:05d}.npy")
        partners = np.searchsorted(rows, row_of(pairs[part, 0]))
        similarity[part] = jaccard(other[0], other[1], partners, own[0], own[1], mine[part], config.threshold)
    near = similarity >= config.threshold
    write_arrays(target, pairs[near], similarity[near])
    return {}


def _stars(out: Path, signed: Signed) -> Stars:
    """Which documents go, for which partners: decided over the near pairs of all shards together."""
    import numpy as np

    from openseek.data.arrays import read_arrays
    from openseek.data.row_ids import distinct, gathered
    from openseek.data.union_find import stars

    parts = [read_arrays(out / ".edges" / f"{i:05d}.npy") for i in range(len(signed.new))]
    pairs = np.concatenate([np.zeros((0, 2), np.uint64), *(part[0] for part in parts)])
    similarity = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
    nodes = distinct(pairs)
    ranks = gathered(signed.column(RANKS), nodes) if len(nodes) else np.zeros(0, np.uint64)
    return stars(pairs, similarity, nodes, ranks)


def _leaving(corpora: Corpora, stars: Stars) -> Iterator[Leaving]:
    """What goes from each shard of this corpus."""
    import numpy as np

    from openseek.data.row_ids import gathered, row_of, shard_of

    signed = corpora.signed
    names = gathered(signed.column(IDS), stars.partners) if len(stars.partners) else np.zeros(0, "S32")
    bounds = np.searchsorted(shard_of(stars.goes), np.arange(len(signed.files) + 1))
    for number in signed.new:
        part = slice(bounds[number], bounds[number + 1])
        yield Leaving(corpora.shards[number], row_of(stars.goes[part]), names[part], stars.values[part])


def _keep_signatures(part: tuple[Path, Leaving], target: Path) -> dict[str, Any]:
    """Write the signatures of the documents that stay, for later corpora to be compared with."""
    import numpy as np

    from openseek.data.arrays import read_arrays, write_arrays

    path, leaving = part
    arrays = read_arrays(path)
    stays = np.ones(len(arrays[WORDS]), bool)
    stays[leaving.rows] = False
    kept = [array[stays] for array in arrays]
    kept[RANKS] = np.zeros_like(kept[RANKS])
    write_arrays(target, *kept)
    return {}
