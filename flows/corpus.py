"""Sources become documents, unique, scored, selected and uncontaminated ones, and these a mixture of token shards."""

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


def corpus(recipe: Recipe) -> dict[str, Path]:
    """From the sources to the mixture; the directory of every step by its name."""
    done = {"ingest": ingest(config=recipe.ingest)}
    done["filter"] = filter_documents(done["ingest"], config=recipe.filter)
    done["dedup_exact"] = dedup_exact(done["filter"], config=recipe.dedup_exact)
    done["dedup_minhash"] = dedup_minhash(done["dedup_exact"], config=recipe.dedup_minhash)
    done["dedup_substring"] = dedup_substring(done["dedup_minhash"], config=recipe.dedup_substring)
    unique = done["dedup_substring"]
    if recipe.dedup_lines.enabled:
        unique = done["dedup_lines"] = dedup_lines(unique, config=recipe.dedup_lines)
    done["classify"] = classify(unique, config=recipe.classify)
    done["select"] = select(done["classify"], config=recipe.select)
    done["decontaminate"] = decontaminate(done["select"], config=recipe.decontaminate)
    done["synthesize"] = synthesize(done["decontaminate"], config=recipe.synthesize)
    # A model may recite a benchmark that its prompt never held.
    done["decontaminate.synthetic"] = decontaminate(
        done["synthesize"], config=recipe.decontaminate_synthetic, label="synthetic"
    )
    done["tokenize"] = tokenize(done["decontaminate"], done["decontaminate.synthetic"], config=recipe.tokenize)
    done["mix"] = mix(done["tokenize"], config=recipe.mix)
    return done
