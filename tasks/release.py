"""release: a corpus as a folder to publish, without what was asked to go and what may not be passed on."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openseek.artifact import STARTED, Facts, commit, read_manifest, write_text
from openseek.data.release import CARD, WITHHELD, Release
from tasks.shards import COMPRESSION, input_shards, map_files, map_shards, read_batches
from tasks.task import task

if TYPE_CHECKING:
    from openseek.data.document import ShardOutput


@task
def release(out: Path, documents: Path, config: Release = Release()) -> Facts:
    """Write the documents that may be published, ids and addresses of the others, and a data card."""
    from openseek.data.release import data_card, publish, split_counts
    from openseek.data.sources.suppression import load

    version = load(config.suppression).version if config.suppression else ""
    shards = input_shards(documents)
    facts = map_shards(out, shards, partial(release_shard, config=config), title="release")
    facts, published = split_counts(facts)
    if facts["dropped"].get(WITHHELD):
        pairs = [(shard, out / "dropped" / f"{i:05d}.parquet") for i, shard in enumerate(shards)]
        map_files(out, "metadata", pairs, write_metadata, suffix=".parquet", title="release: metadata")
    fingerprint = (out / STARTED).read_text(encoding="utf-8").strip()
    made = {
        "documents": read_manifest(documents)["fingerprint"],
        "fingerprint": fingerprint,
        "suppression list": version or "none was applied",
        "code": f"OpenSeek, commit {commit()}",
    }
    write_text(out / CARD, data_card(config, facts, published, made))
    if config.destination:
        publish(out, config.destination, fingerprint)
    return {**facts, "suppression": version, "published": published}


def release_shard(shard: Path, config: Release) -> "Iterator[ShardOutput]":
    """The documents of a shard whose text is published, batch by batch."""
    import pyarrow as pa

    from openseek.data.document import ShardOutput, dropped_table
    from openseek.data.release import counts, verdicts
    from openseek.data.sources.suppression import load

    listed = load(config.suppression) if config.suppression else None
    first = 0
    for batch in read_batches(shard):
        found = verdicts(batch, config, listed)
        ids = batch.column("id").to_pylist()
        rows = [
            {"id": ids[i], "task": "release", "rule": told[0], "detail": told[1], "first": True, "row": first + i}
            for i, told in enumerate(found)
            if told
        ]
        kept = batch.filter(pa.array([told is None for told in found], pa.bool_()))
        table = pa.Table.from_batches([kept], batch.schema)
        yield ShardOutput(table, batch.num_rows, dropped_table(rows), facts=counts(kept))
        first += batch.num_rows


def write_metadata(pair: tuple[Path, Path], final: Path) -> Facts:
    """The metadata of a shard's documents whose text is withheld, found by their rows in its `dropped` file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.data.release import metadata

    shard, dropped = pair
    reasons = pq.read_table(dropped, columns=["rule", "row"]).to_pylist()
    rows = {reason["row"] for reason in reasons if reason["rule"] == WITHHELD}
    first, writer = 0, None
    try:
        for batch in read_batches(shard):
            mask = pa.array([first + i in rows for i in range(batch.num_rows)], pa.bool_())
            first += batch.num_rows
            part = metadata(batch.filter(mask))
            writer = writer or pq.ParquetWriter(final, part.schema, compression=COMPRESSION)
            if part.num_rows:
                writer.write_batch(part)
    finally:
        if writer is not None:
            writer.close()
    return {"rows": len(rows)}
