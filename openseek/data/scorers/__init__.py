"""Scores of documents: what `classify` adds as columns, and the thresholds on them that `select` applies."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Rule, Scope

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class Classify:
    """A linear model over hashed n-grams, trained on sources that are good and sources that are as they come."""

    positive_sources: tuple[str, ...] = ("en_edu", "zh_edu", "wiki", "books")
    """Sources whose documents are examples of quality."""
    negative_sources: tuple[str, ...] = ("en_web", "zh_web")
    """Sources whose documents are ordinary."""
    max_documents_per_class: int = 50_000
    """Most training documents of each side, a fixed random sample."""
    min_documents_per_class: int = 20
    """Fewest documents of each side, before those held out; below, the task fails."""
    max_words: int = 1000
    """Words of a document that are looked at, from its beginning; an ideograph is a word."""
    bits: int = 18
    """log2 of the number of weights."""
    epochs: int = 5
    """Passes over the training documents."""
    learning_rate: float = 0.1
    """AdaGrad step size."""
    heldout_fraction: float = 0.2
    """Share of labelled documents, chosen by their ids, that measure the model and do not train it."""
    seed: int = 0
    """Order of the training documents."""

    def __post_init__(self) -> None:
        both = sorted(set(self.positive_sources) & set(self.negative_sources))
        if both or not self.positive_sources or not self.negative_sources:
            raise ValueError(
                f"Classify.positive_sources {self.positive_sources} and negative_sources {self.negative_sources}: "
                f"give at least one each and none on both sides"
            )
        if not 8 <= self.bits <= 26:
            raise ValueError(f"Classify.bits is {self.bits}: give 8 to 26")
        if not 0 < self.heldout_fraction < 1:
            raise ValueError(f"Classify.heldout_fraction is {self.heldout_fraction}: give a share between 0 and 1")
        if min(self.epochs, self.max_words, self.min_documents_per_class) < 1 or self.learning_rate <= 0:
            raise ValueError("Classify: epochs, max_words, min_documents_per_class and learning_rate must be above 0")


@dataclasses.dataclass(frozen=True)
class Threshold(Scope):
    """Limits on one score column, for some languages or sources or all."""

    column: str = "score_quality"
    """The column, as `classify` named it."""
    minimum: float | None = None
    """Documents below are dropped (rule COLUMN_min); none: no lower limit."""
    maximum: float | None = None
    """Documents above are dropped (rule COLUMN_max); none: no upper limit."""

    def rules(self, batch: pa.RecordBatch) -> dict[str, Rule]:
        """The rules over a batch; a missing score breaks them. ValueError names a column that is not there."""
        import numpy as np
        import pyarrow.types as kinds

        schema = batch.schema
        numeric = [f.name for f in schema if kinds.is_floating(f.type) or kinds.is_integer(f.type)]
        if self.column not in numeric:
            raise ValueError(
                f"there is no number column {self.column!r} to select by (there are: {', '.join(numeric) or 'none'}): "
                f"run `classify` before `select`, or name another column in Select.thresholds"
            )
        value = batch.column(self.column).to_numpy(zero_copy_only=False).astype(np.float64)
        rules = {}
        if self.minimum is not None:
            rules[f"{self.column}_min"] = Rule(value, self.minimum, ~(value >= self.minimum), side="<")
        if self.maximum is not None:
            rules[f"{self.column}_max"] = Rule(value, self.maximum, ~(value <= self.maximum), side=">")
        return rules


@dataclasses.dataclass(frozen=True)
class Select:
    """Thresholds over score columns; changing one runs no model again."""

    thresholds: tuple[Threshold, ...] = (
        Threshold(column="score_lang", minimum=0.3, except_sources=("code", "math")),
        Threshold(column="score_quality", minimum=0.02, except_sources=("code", "math")),
    )
    """A document must keep all of them that look at its language and source."""

    def __post_init__(self) -> None:
        for threshold in self.thresholds:
            if threshold.minimum is None and threshold.maximum is None:
                raise ValueError(
                    f"Select: the threshold on {threshold.column!r} has no minimum and no maximum: give one"
                )
