"""The whole lifecycle as typed values: RECIPES is the table, `load_recipe` also reads YAML files and overrides."""

from pathlib import Path
from typing import Any

from openseek.fields import changed
from openseek.recipes.corpora import CORPORA
from openseek.recipes.debug import DEBUG
from openseek.recipes.experiments import EXPERIMENTS
from openseek.recipes.long_context import LONG_CONTEXT_DEBUG
from openseek.recipes.recipe import Recipe, read_recipe

RECIPES: dict[str, Recipe] = {
    "debug": DEBUG,
    **EXPERIMENTS,
    "long_context_debug": LONG_CONTEXT_DEBUG,
    **{name: corpus.recipe for name, corpus in CORPORA.items()},
}
"""Recipe of each name."""

__all__ = ["CORPORA", "RECIPES", "Recipe", "load_recipe"]


def load_recipe(recipe: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """The recipe of a name or of a YAML file, with fields replaced by dotted name; ValueError names what is wrong."""
    if recipe in RECIPES:
        loaded = RECIPES[recipe]
    elif Path(recipe).is_file():
        loaded = read_recipe(Path(recipe), RECIPES)
    else:
        raise ValueError(f"{recipe!r} is neither a recipe ({', '.join(RECIPES)}) nor an existing YAML file")
    return changed(loaded, overrides or {})
