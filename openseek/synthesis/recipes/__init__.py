"""The recipes by name. A new one is a file here and a line in RECIPES."""

from openseek.synthesis.recipe import Recipe
from openseek.synthesis.recipes import diverse_qa, wiki_paraphrase

RECIPES: dict[str, Recipe] = {r.name: r for r in (wiki_paraphrase.RECIPE, diverse_qa.RECIPE)}
