"""filter: clean every document and drop those that break a rule, in one pass over each shard."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openseek.artifact import Facts
from openseek.data.filters import Filters
from tasks.report import report
from tasks.shards import input_shards, map_shards, read_batches
from tasks.task import task

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.document import ShardOutput
    from openseek.data.transform import Judged


@task(version=3)
def filter(out: Path, documents: Path, config: Filters = Filters()) -> Facts:
    """Clean text, then drop documents by rules, with the reason; keeps statistics and a report beside the documents."""
    shards = input_shards(documents)
    facts = map_shards(out, shards, partial(filter_shard, config=config), title="filter")
    judge, clean = partial(_judge, config=config), partial(_clean, config=config)
    return report(out, facts, shards, title="filter", judge=judge, clean=clean)


def filter_shard(shard: Path, config: Filters) -> "Iterator[ShardOutput]":
    """All steps over one shard of documents, batch by batch."""
    import pyarrow as pa

    from openseek.data import statistics_table
    from openseek.data.document import ShardOutput
    from openseek.data.transform import drop, examine

    steps, rows = config.steps(), 0
    kind = statistics_table.schema(steps)
    for batch in read_batches(shard):
        examined = examine(steps, batch)
        stay, gone = drop(examined.batch, examined.rules, task="filter", first_row=rows)
        rows += batch.num_rows
        facts: dict[str, int | float] = {
            "traditional_in": batch.column("script").to_pylist().count("Hant"),
            "traditional_out": stay.column("script").to_pylist().count("Hant"),
        }
        counted = statistics_table.table(steps, examined, kind)
        kept = pa.Table.from_batches([stay], batch.schema)
        yield ShardOutput(kept, batch.num_rows, gone, facts=facts, statistics=counted)


def _judge(shard: Path, statistics: Path, config: Filters) -> "Iterator[tuple[pa.RecordBatch, list[Judged]]]":
    """Every rule over the rows of a shard of the statistics table."""
    import pyarrow.parquet as pq

    from openseek.data.statistics_table import Decider

    decide = Decider(config.steps(), config.steps(), pq.read_schema(statistics))
    for batch in read_batches(statistics):
        yield batch, decide(batch)


def _clean(batch: "pa.RecordBatch", config: Filters) -> "pa.RecordBatch":
    """Documents as the rules read them."""
    from openseek.data.transform import Transform

    for step in config.steps():
        batch = step(batch) if isinstance(step, Transform) else batch
    return batch
