"""The whole life of a model in one order: corpus, pretraining, post-training, export.

Plain functions, without Prefect: `openseek plan` and a finished `openseek run` walk them in a fraction of a second.
`flows/deployments.py` makes the flows of them.
"""

from pathlib import Path

from flows.corpus import corpus
from flows.posttrain import posttraining
from flows.pretrain import pretraining
from openseek.recipes import Recipe
from tasks.convert import export


def lifecycle(recipe: Recipe) -> dict[str, Path]:
    """From the sources to the exported model; the directory of every step by its name, in the order of the steps."""
    done = corpus(recipe)
    done |= pretraining(recipe, done["mix"])
    done |= posttraining(recipe, done["pretrain"])
    done["export"] = export(done["rl"], config=recipe.export)
    return done
