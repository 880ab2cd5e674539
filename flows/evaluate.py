"""Every checkpoint of a recipe measured on the same benchmarks."""

from pathlib import Path

from flows.corpus import corpus
from flows.posttrain import posttraining
from flows.pretrain import pretraining
from openseek.recipes import Recipe


def evaluation(recipe: Recipe) -> dict[str, Path]:
    """The scores of the base, the tuned and the reinforced model, by the name of the step; trains what is missing."""
    done = corpus(recipe)
    done |= pretraining(recipe, done["mix"])
    done |= posttraining(recipe, done["pretrain"])
    return {name: path for name, path in done.items() if name.startswith("evaluate")}
