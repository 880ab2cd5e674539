"""The printed averages recompute, but for two; a corrected table has no complaint, a wrong digit has one."""

from dataclasses import replace

import pytest

from openseek.recipes.published_scores import PUBLISHED_SCORES, ROUNDING, Scores, check_scores

BY_MODEL = {column.model: column for column in PUBLISHED_SCORES}


def test_two_of_the_25_printed_averages_do_not_follow_from_the_scores_above_them() -> None:
    checks = check_scores()
    assert len(checks) == 25
    wrong = {(c.model, c.average): (c.printed, c.computed, c.explanation) for c in checks if not c.agrees}
    assert wrong == {
        ("Phi4-Sampling", "English"): (0.3992, pytest.approx(0.4135, abs=5e-5), "the mean with C-Eval"),
        ("Phi4-Sampling", "Chinese"): (0.2538, pytest.approx(0.24095), "the mean without C-Eval"),
    }


def test_the_overall_averages_of_the_same_column_agree() -> None:
    found = {c.average: c.agrees for c in check_scores((BY_MODEL["Phi4-Sampling"],))}
    assert found["all"]
    assert found["English w/o mathematics"]


def test_a_corrected_table_has_no_complaint() -> None:
    column = BY_MODEL["Phi4-Sampling"]
    corrected = replace(column, averages=column.averages | {"English": 0.4135, "Chinese": 0.2410})
    assert all(check.agrees for check in check_scores((corrected,)))


@pytest.mark.parametrize("average", ["English", "Chinese", "all"])
def test_a_changed_digit_is_found_where_all_was_well(average: str) -> None:
    column = BY_MODEL["+MTP"]
    changed = replace(column, averages=column.averages | {average: column.averages[average] + 3 * ROUNDING})
    assert [check.average for check in check_scores((changed,)) if not check.agrees] == [average]


def test_a_table_that_lacks_a_score_or_has_an_unknown_one_is_refused() -> None:
    column = BY_MODEL["+MTP"]
    with pytest.raises(ValueError, match=r"\+MTP: the average 'English w/o mathematics' needs BoolQ"):
        check_scores((replace(column, values={k: v for k, v in column.values.items() if k != "BoolQ"}),))
    with pytest.raises(ValueError, match="metric 'Chess' is not known"):
        check_scores((replace(column, values=column.values | {"Chess": 0.5}),))
    with pytest.raises(ValueError, match="average 'French' is not known"):
        check_scores((Scores("x", column.values, {"French": 0.1}),))
