"""Sources become documents, unique, scored, selected and uncontaminated ones, and these a mixture of token shards."""

from collections.abc import Collection
from pathlib import Path

from openseek.recipes import Recipe
from tasks.classify import classify, select
from tasks.decontaminate import decontaminate
from tasks.dedup_exact import dedup_exact
from tasks.dedup_lines import dedup_lines
from tasks.dedup_minhash import dedup_minhash
from tasks.dedup_substring import dedup_substring
from tasks.filter import filter as filter_documents
from tasks.ingest import ingest
from tasks.mix import mix
from tasks.synthesize import synthesize
from tasks.tokens import tokenize


def corpus(recipe: Recipe, without: Collection[str] = ()) -> dict[str, Path]:
    """From the sources to the mixture; the directory of every step by its name.

    Steps named in `without` are left out: the next one reads what the one before wrote.
    """
    done: dict[str, Path] = {}
    documents = done["ingest"] = ingest(config=recipe.ingest)
    steps = (
        filter_documents,
        dedup_exact,
        dedup_minhash,
        dedup_substring,
        dedup_lines,
        classify,
        select,
        decontaminate,
    )
    for step in steps:
        if step.name in without or (step is dedup_lines and not recipe.dedup_lines.enabled):
            continue
        documents = done[step.name] = step(documents, config=getattr(recipe, step.name))
    made = None
    if "synthesize" not in without:
        done["synthesize"] = synthesize(documents, config=recipe.synthesize)
        # A model may recite a benchmark that its prompt never held.
        made = done["decontaminate.synthetic"] = decontaminate(
            done["synthesize"], config=recipe.decontaminate_synthetic, label="synthetic"
        )
    done["tokenize"] = tokenize(documents, made, config=recipe.tokenize)
    done["mix"] = mix(done["tokenize"], config=recipe.mix)
    return done
