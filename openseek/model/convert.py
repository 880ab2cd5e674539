"""Checkpoints between the Hugging Face layout and Megatron-core's, in both directions and from cut to cut.

No torch at module level: the config lives here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from openseek.model.megatron import Names, Spec, names_of_spec
from openseek.model.megatron_layout import Sizes, Split, expanded

Dtype = Literal["keep", "bf16", "fp32", "fp16"]
Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""Given the number of bytes to write, a context with a function that is told of each few written."""


@dataclass(frozen=True)
class Convert:
    """Write a checkpoint in another layout, tensor by tensor, and compare the logits of both."""

    to: Literal["hf", "mcore"] = "mcore"
    """Layout to write: Hugging Face (our own) or Megatron-core, ckpt_format torch."""
    tp: int = 1
    """Tensor-parallel ranks."""
    pp: int = 1
    """Pipeline stages."""
    ep: int = 1
    """Expert-parallel ranks."""
    etp: int = 0
    """Ranks that the routed experts' matrices are cut over (expert_tensor_parallel_size); 0: as tp."""
    vpp: int = 1
    """Virtual stages a pipeline rank; 1: as many as a layout string has."""
    layout: str = ""
    """Layers of each stage ("13,14") or Megatron's layout string ("Et*13|t*14L"); empty: even, or first and last."""
    first: int = 0
    """Layers of the first stage; 0: as the others."""
    last: int = 0
    """Layers of the last stage; 0: as the others."""
    account_for_embedding: bool = False
    """Count the embedding as one layer of the first stage."""
    account_for_loss: bool = False
    """Count the loss as one layer of the last stage."""
    dtype: Dtype = "keep"
    """Type of the weights (FP8 becomes bf16 under keep); float32 router weights and biases stay float32."""
    spec: Spec = "te"
    """Names of Megatron's modules: Transformer Engine's or its local ones."""
    mtp_layer: Literal["mtp_model_layer", "transformer_layer"] = "transformer_layer"
    """Megatron's name of the layer inside a multi-token prediction block; up to core 0.16 transformer_layer."""
    down_projections: Literal["spec", "whole", "cut"] = "spec"
    """Whether ranks hold the down projections of latent attention whole or cut; spec: te whole, local cut."""
    make_vocab_size_divisible_by: int = 128
    """The padded vocabulary is a multiple of this times tp."""
    true_vocab_size: int = 0
    """Rows of the embedding that belong to the tokenizer; 0: as the checkpoint says."""
    padding: Literal["zeros", "mean"] = "zeros"
    """What the rows behind the vocabulary hold."""
    check_copies: bool = True
    """Refuse a checkpoint whose copies of one tensor (on other ranks, tied heads) differ; else the first counts."""
    test_tokens: int = 32
    """Length of the fixed random sequence on which source and target are compared; 0: they are not."""
    max_difference: float = 0.05
    """Largest difference of logits, relative to the largest, where the type changes; where it is kept it must be 0."""
    max_shard_bytes: int = 5_000_000_000
    """Size of a safetensors file."""
    threads: int = field(default=4, metadata={"runtime": True})
    """Files written at the same time."""

    def __post_init__(self) -> None:
        choices = {"to": ("hf", "mcore"), "dtype": ("keep", "bf16", "fp32", "fp16"), "spec": ("te", "local")}
        choices |= {"padding": ("zeros", "mean"), "down_projections": ("spec", "whole", "cut")}
        choices |= {"mtp_layer": ("mtp_model_layer", "transformer_layer")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: use one of {', '.join(allowed)}")
        for name in ("make_vocab_size_divisible_by", "max_shard_bytes", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("etp", "true_vocab_size", "test_tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if not 0 <= self.max_difference < 1:
            raise ValueError(f"max_difference={self.max_difference} must be at least 0 and below 1")
        _ = self.sizes, self.split  # they check themselves
        cut = [name for name in ("tp", "pp", "ep", "vpp") if getattr(self, name) > 1]
        if self.to == "hf" and (cut or self.split != Split()):
            raise ValueError(f"to='hf' with {', '.join(cut) or 'a layout'}: that layout has no ranks; leave them out")

    @property
    def sizes(self) -> Sizes:
        """Ranks of the target; a layout string of more stages than ranks says how many are virtual."""
        stages = self.layout.count("|") and len(expanded(self.layout))
        vpp = stages // self.pp if self.vpp == 1 and stages and not stages % self.pp else self.vpp
        return Sizes(self.tp, self.pp, self.ep, self.etp or self.tp, vpp)

    @property
    def split(self) -> Split:
        """How the target's layers are dealt out to stages."""
        return Split(self.layout, self.first, self.last, self.account_for_embedding, self.account_for_loss)

    @property
    def names(self) -> Names:
        """What the target's tensors are called."""
        cut = None if self.down_projections == "spec" else self.down_projections == "cut"
        return names_of_spec(self.spec, self.mtp_layer, cut)


def convert_folder(folder: Path, out: Path, config: Convert, progress: Progress | None = None) -> dict[str, Any]:
    """Write the checkpoint in `folder` to the empty folder `out`, open that again and compare; what it was and took.

    Raises ValueError for a source that is damaged or incomplete, a target that cannot be, and logits that differ.
    """
    from openseek.model.checkpoints import open_checkpoint
    from openseek.model.conversion import written
    from openseek.model.self_test import compare

    source = open_checkpoint(folder, config.true_vocab_size)
    facts = written(source, out, config, progress)
    target = open_checkpoint(out)
    return facts | compare(source, target, config)
