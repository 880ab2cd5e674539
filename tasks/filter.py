"""filter: clean every document and drop those that break a rule, in one pass over each shard."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openseek.artifact import Facts
from openseek.data.filters import Filters
from tasks.shards import input_shards, map_shards
from tasks.task import task

if TYPE_CHECKING:
    from openseek.data.document import ShardOutput

BATCH_ROWS = 4096


@task
def filter(out: Path, documents: Path, config: Filters = Filters()) -> Facts:
    """Clean text (Unicode, boilerplate lines, traditional Chinese), then drop documents by rules, with the reason."""
    return map_shards(out, input_shards(documents), partial(filter_shard, config=config), title="filter")


def filter_shard(shard: Path, config: Filters) -> "ShardOutput":
    """All steps over one shard of documents."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.data.document import DROPPED, ShardOutput
    from openseek.data.transform import apply

    kept: list[pa.RecordBatch] = []
    dropped: list[pa.Table] = [DROPPED.empty_table()]
    rows = traditional = simplified = 0
    file = pq.ParquetFile(shard)
    for batch in file.iter_batches(BATCH_ROWS):
        stay, gone = apply(config.steps(), batch, task="filter", first_row=rows)
        kept.append(stay)
        dropped.append(gone)
        rows += batch.num_rows
        traditional += batch.column("script").to_pylist().count("Hant")
        simplified += stay.column("script").to_pylist().count("Hant")
    table = pa.Table.from_batches(kept, file.schema_arrow)
    facts = {"traditional_in": traditional, "traditional_out": simplified}
    return ShardOutput(table, rows, pa.concat_tables(dropped), facts=facts)
