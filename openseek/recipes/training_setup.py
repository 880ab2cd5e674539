"""TrainingSetup: a model with what a file or a publication says of its training; what check-config computes from.

A recipe knows only what this version trains. A published setup also has tensor and pipeline stages, and its mixture
names token files: so they stand here as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from openseek.model.config import ModelConfig
from openseek.recipes.recipe import Recipe
from openseek.train.pretrain import Pretrain


@dataclass(frozen=True)
class Layout:
    """How a training is spread over ranks, in Megatron's sizes."""

    world_size: int = 0
    """Ranks; 0: not stated."""
    tensor: int = 1
    """Ranks that share each matrix."""
    pipeline: int = 1
    """Pipeline stages."""
    context: int = 1
    """Ranks that share a sequence."""
    expert: int = 1
    """Ranks that share the routed experts."""
    first_stage_layers: int = 0
    """Layers of the first pipeline stage; 0: as many as of the others."""

    @property
    def data_parallel(self) -> int:
        """Data-parallel ranks; 0 where the ranks are not stated or do not divide."""
        size, rest = divmod(self.world_size, self.tensor * self.pipeline * self.context)
        return 0 if rest else size

    def stages(self, num_layers: int) -> tuple[int, ...]:
        """Layers of each pipeline stage; empty where they do not divide."""
        if self.pipeline == 1:
            return (num_layers,)
        if self.first_stage_layers:
            size, rest = divmod(num_layers - self.first_stage_layers, self.pipeline - 1)
            return () if rest or size < 1 else (self.first_stage_layers, *[size] * (self.pipeline - 1))
        size, rest = divmod(num_layers, self.pipeline)
        return () if rest else (size,) * self.pipeline


@dataclass(frozen=True)
class TrainingSetup:
    """One thing that check-config looks at."""

    name: str
    """Of the experiment, preset or recipe; claims are found by it."""
    source: str
    """File or publication that it stands in."""
    model: ModelConfig
    """Shape, with a vocabulary."""
    training: Pretrain | None = None
    """Batches, tokens and learning rate, where they are known."""
    layout: Layout = Layout()
    """Ranks."""
    mixture: tuple[tuple[str, float], ...] = ()
    """(token source, weight) as written, in the order of the file."""
    tokenizer_size: int = 0
    """Tokens of the tokenizer that the model is to be used with; 0: not stated."""
    stored_values: int = 0
    """Weights in the files beside the config; 0: there are none."""
    notes: tuple[str, ...] = ()
    """What the reader should know about this reading of the file."""


def setup_of_recipe(name: str, recipe: Recipe, source: str) -> TrainingSetup:
    """The pretraining of a recipe; a vocabulary left to the tokenizer is taken from `tokenize.vocab_size`."""
    training = recipe.pretrain
    notes: tuple[str, ...] = ()
    if not training.model.vocab_size:
        model = replace(training.model, vocab_size=recipe.tokenize.vocab_size)
        training = replace(training, model=model)
        notes = (f"the tokenizer decides the vocabulary: counted with tokenize.vocab_size={model.vocab_size}",)
    dims = training.fit.parallel
    layout = Layout(dims.world_size, dims.tp, dims.pp, dims.cp, dims.ep)
    mixture = tuple(recipe.mix.weights.items())
    return TrainingSetup(name, source, training.model, training, layout, mixture, notes=notes)
