"""classify: score columns from a trained quality model and language identification. select: thresholds over them."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openseek.artifact import Facts, rename_into_place
from openseek.data.scorers import Classify, Select
from tasks.report import columns, report
from tasks.shards import input_shards, map_shards, read_batches
from tasks.task import task

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.document import ShardOutput
    from openseek.data.transform import Judged

MODEL = "quality.npz"


@task(version=2)
def classify(out: Path, documents: Path, config: Classify = Classify()) -> Facts:
    """Train the quality model on labelled sources, then add the columns score_quality and score_lang."""
    shards = input_shards(documents)
    facts = train_model(shards, out / MODEL, config)
    counts = map_shards(out, shards, partial(score_shard, model=out / MODEL), title="classify")
    return {**counts, **facts}


@task
def select(out: Path, documents: Path, config: Select = Select()) -> Facts:
    """Keep the documents whose scores keep every threshold."""
    shards = input_shards(documents)
    facts = map_shards(out, shards, partial(select_shard, config=config), title="select")
    return report(out, facts, shards, title="select", judge=partial(_judge, config=config))


def train_model(shards: list[Path], final: Path, config: Classify) -> Facts:
    """Train on the labelled documents of the shards and write the model; facts say how well it tells held-out ones."""
    import numpy as np

    from openseek.data.scorers import hashed_ngrams, labelled

    table = labelled.sample(shards, config)
    label = np.asarray(table["label"])
    held = labelled.held_out(table["id"].to_pylist(), config.heldout_fraction)
    weights = hashed_ngrams.train(table.filter(~held), label[~held], config)
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    hashed_ngrams.save(temporary, weights, config)
    rename_into_place(temporary, final)
    scores, truth = hashed_ngrams.score(table.filter(held), weights, config.max_words), label[held]
    facts: Facts = {"training_documents": int((~held).sum()), "heldout_documents": int(held.sum())}
    languages = np.asarray(table["lang"].to_pylist())[held]
    for name, rows in {"": np.full(len(truth), True), "_en": languages == "en", "_zh": languages == "zh"}.items():
        if truth[rows].any() and (~truth[rows]).any():
            facts[f"quality_auc{name}"] = round(hashed_ngrams.area_under_curve(scores[rows], truth[rows]), 4)
    return facts


def score_shard(shard: Path, model: Path) -> "Iterator[ShardOutput]":
    """The shard with its score columns; nothing is dropped."""
    import pyarrow as pa

    from openseek.data.document import ShardOutput
    from openseek.data.scorers import hashed_ngrams, language

    weights, config = hashed_ngrams.load(model)
    for batch in read_batches(shard):
        table = pa.Table.from_batches([batch])
        quality = hashed_ngrams.score(table, weights, config)
        lang = language.scores(table["text"], table["lang"].to_pylist())
        for name, values in (("score_quality", quality), ("score_lang", lang)):
            table = table.append_column(name, pa.array(values, pa.float32()))
        yield ShardOutput(table, table.num_rows)


def select_shard(shard: Path, config: Select) -> "Iterator[ShardOutput]":
    """All thresholds over one shard."""
    import pyarrow as pa

    from openseek.data.document import ShardOutput
    from openseek.data.transform import drop

    rows = 0
    for batch in read_batches(shard):
        stay, gone = drop(batch, _rules(batch, config), task="select", first_row=rows)
        rows += batch.num_rows
        yield ShardOutput(pa.Table.from_batches([stay], batch.schema), batch.num_rows, gone)


def _rules(batch: "pa.RecordBatch", config: Select) -> "list[Judged]":
    from openseek.data.transform import Judged

    rules = []
    for threshold in config.thresholds:
        scope = threshold.within(batch)
        rules += [Judged(name, rule, scope) for name, rule in threshold.rules(batch).items()]
    return rules


def _judge(shard: Path, statistics: Path, config: Select) -> "Iterator[tuple[pa.RecordBatch, list[Judged]]]":
    """Every threshold over the scores of a shard."""
    scores = dict.fromkeys(threshold.column for threshold in config.thresholds)
    for batch in columns(shard, ("id", "source", "lang", *scores)):
        yield batch, _rules(batch, config)
