"""A mixture becomes a base model and its scores."""

from pathlib import Path

from openseek.recipes import Recipe
from tasks.evaluate import evaluate
from tasks.train import pretrain


def pretraining(recipe: Recipe, mixture: Path) -> dict[str, Path]:
    """From the mixture to a measured base model; the directory of every step by its name."""
    done = {"pretrain": pretrain(mixture, config=recipe.pretrain)}
    done["evaluate"] = evaluate(done["pretrain"], config=recipe.evaluate)
    return done
