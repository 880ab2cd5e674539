"""filter: clean every document and drop those that break a rule, in one pass over each shard."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openseek.artifact import Facts
from openseek.data.filters import Filters
from tasks.shards import input_shards, map_shards, read_batches
from tasks.task import task

if TYPE_CHECKING:
    from openseek.data.document import ShardOutput


@task
def filter(out: Path, documents: Path, config: Filters = Filters()) -> Facts:
    """Clean text (Unicode, boilerplate lines, traditional Chinese), then drop documents by rules, with the reason."""
    return map_shards(out, input_shards(documents), partial(filter_shard, config=config), title="filter")


def filter_shard(shard: Path, config: Filters) -> "Iterator[ShardOutput]":
    """All steps over one shard of documents, batch by batch."""
    import pyarrow as pa

    from openseek.data.document import ShardOutput
    from openseek.data.transform import apply

    rows = 0
    for batch in read_batches(shard):
        stay, gone = apply(config.steps(), batch, task="filter", first_row=rows)
        rows += batch.num_rows
        facts: dict[str, int | float] = {
            "traditional_in": batch.column("script").to_pylist().count("Hant"),
            "traditional_out": stay.column("script").to_pylist().count("Hant"),
        }
        yield ShardOutput(pa.Table.from_batches([stay], batch.schema), batch.num_rows, gone, facts=facts)
