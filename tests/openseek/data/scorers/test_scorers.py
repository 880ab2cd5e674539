"""Thresholds over score columns, and the configs that name them."""

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.scorers import Classify, Select, Threshold


def scored(documents, values: list[float | None]) -> pa.RecordBatch:
    batch = documents(["text"] * len(values))
    return pa.RecordBatch.from_arrays(
        [*batch.columns, pa.array(values, pa.float32())], [*batch.schema.names, "score_quality"]
    )


def test_limits_are_kept_when_just_met_and_a_missing_score_breaks_them(documents) -> None:
    rules = Threshold(minimum=0.25, maximum=0.75).rules(scored(documents, [0.2, 0.25, 0.75, 0.8, None]))
    assert rules["score_quality_min"].broken.tolist() == [True, False, False, False, True]
    assert rules["score_quality_max"].broken.tolist() == [False, False, False, True, True]
    assert rules["score_quality_min"].limit == 0.25
    assert np.isclose(rules["score_quality_min"].value[0], 0.2)


def test_a_column_that_is_not_there_is_named_with_those_that_are(documents) -> None:
    with pytest.raises(ValueError, match=r"'score_fame' to select by \(there are: score_quality\): run `classify`"):
        Threshold(column="score_fame", minimum=0.1).rules(scored(documents, [0.5]))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Select, {"thresholds": (Threshold(column="score_x"),)}, "'score_x' has no minimum and no maximum"),
        (Classify, {"positive_sources": ("a",), "negative_sources": ("a",)}, "none on both sides"),
        (Classify, {"positive_sources": ()}, "at least one each"),
        (Classify, {"bits": 40}, "bits is 40: give 8 to 26"),
        (Classify, {"heldout_fraction": 1.0}, "heldout_fraction is 1.0"),
        (Classify, {"epochs": 0}, "above 0"),
    ],
)
def test_wrong_configs_are_refused(kind: type, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)
