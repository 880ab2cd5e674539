"""A base model is tuned on instructions, then on problems with a checkable answer, and measured after each."""

from pathlib import Path

from openseek.recipes import Recipe
from tasks.decontaminate import decontaminate
from tasks.evaluate import evaluate
from tasks.ingest import ingest
from tasks.train import rl, sft


def posttraining(recipe: Recipe, checkpoint: Path) -> dict[str, Path]:
    """From a base model to a tuned one; the directory of every step by its name."""
    done = {"ingest.sft": ingest(config=recipe.ingest_sft, label="sft")}
    done["decontaminate.sft"] = decontaminate(done["ingest.sft"], config=recipe.decontaminate_sft, label="sft")
    done["sft"] = sft(checkpoint, done["decontaminate.sft"], config=recipe.sft)
    done["evaluate.sft"] = evaluate(done["sft"], config=recipe.evaluate_sft, label="sft")
    done["ingest.rl"] = ingest(config=recipe.ingest_rl, label="rl")
    done["decontaminate.prompts"] = decontaminate(
        done["ingest.rl"], config=recipe.decontaminate_prompts, label="prompts"
    )
    done["rl"] = rl(done["sft"], done["decontaminate.prompts"], config=recipe.rl)
    done["evaluate.rl"] = evaluate(done["rl"], config=recipe.evaluate_rl, label="rl")
    return done
