from dataclasses import replace
from pathlib import Path

import pytest

from flows.ladder import climbed
from openseek.recipes import Recipe
from openseek.sweep.experiment import Ladder, Rung
from openseek.sweep.pages import ladder as page


def rung(steps: int) -> Rung:
    return Rung(f"{steps} steps", {"pretrain.train_tokens": steps * 8 * 32})


def test_a_ladder_is_trained_and_fitted(tokens: Path, small: Recipe, tmp_path: Path) -> None:
    recipe = replace(small, ladder=Ladder((rung(16), rung(4), rung(8), rung(32)), seeds=1))
    steps = climbed(recipe, tokens)
    assert [step.rung for step in steps] == ["4 steps", "8 steps", "16 steps", "32 steps"]
    assert [step.flops / steps[0].flops for step in steps] == [1, 2, 4, 8]
    losses = [step.loss for step in steps]
    assert losses == sorted(losses, reverse=True), "more training made it worse"
    text, picture = page([vars(step) for step in steps], tmp_path / "plots")
    assert "L(C) = " in text
    assert "foretold by the smaller ones" in text
    assert picture.stat().st_size > 1000


def test_too_few_sizes_are_refused(tokens: Path, small: Recipe) -> None:
    with pytest.raises(ValueError, match=r"ladder\.rungs are 2: a scaling law needs three"):
        climbed(replace(small, ladder=Ladder((rung(1), rung(2)))), tokens)
    with pytest.raises(ValueError, match="give each a name of its own"):
        Ladder((rung(1), rung(1)))
