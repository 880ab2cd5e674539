"""Proof of a conversion: the logits of two checkpoints on the same tokens, computed from their files.

Both are read as whole tensors under their Hugging Face names, by the places where their files hold them, and run
through the same streamed forward pass: what differs is only what the conversion changed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from openseek.model.byte_copy import Blocks, Sources
from openseek.model.checkpoints import Checkpoint
from openseek.model.convert import Convert
from openseek.model.fp8_blocks import is_float8
from openseek.model.placement import Source, uncut
from openseek.model.stored_tensor import Piece, Target
from openseek.model.streamed import Read, streamed_logits
from openseek.model.tensor_names import expected_tensors

SEED = 0


def reader(checkpoint: Checkpoint) -> Read:
    """A function that gives any whole tensor of a checkpoint; FP8 as float32."""
    source, shapes = Source(checkpoint.held.items()), expected_tensors(checkpoint.config)

    def read(name: str) -> Tensor:
        (part,) = uncut(name, shapes[name]).parts
        pieces, kind = [], torch.float32
        for piece in source.pieces(part):
            box = [*piece.source, (0, 1)][:2]
            at = [*(start for start, _ in piece.target), 0][:2]
            scale = checkpoint.scales.get(piece.key)
            pieces.append(Piece(piece.key, box[0], box[1], at[0], at[1], False, scale, checkpoint.block))
            kind = torch.float32 if is_float8(piece.key.dtype) else piece.key.dtype
        target = Target(name, kind, shapes[name], tuple(pieces))
        data = bytearray()
        with Sources() as files:
            for block in Blocks(files).of(target):
                data += block
        return torch.frombuffer(data, dtype=kind).reshape(target.shape)

    return read


def compare(source: Checkpoint, target: Checkpoint, config: Convert) -> dict[str, Any]:
    """The largest difference of their logits on fixed random tokens, all prediction blocks' included.

    Raises ValueError where it is not 0 although every type was kept, or above config.max_difference of the largest
    logit. A NaN on both sides is no difference.
    """
    if not config.test_tokens:
        return {}
    generator = torch.Generator().manual_seed(SEED)
    ids_BT = torch.randint(0, source.config.vocab_size, (1, config.test_tokens), generator=generator)
    before, after = (streamed_logits(each.config, reader(each), ids_BT) for each in (source, target))
    pairs = list(
        zip(
            (before.logits_BTV, *before.mtp_logits_BTV),
            (after.logits_BTV, *after.mtp_logits_BTV),
            strict=True,
        )
    )
    found = [_difference(a, b) for a, b in pairs]
    largest = max(float(a.nan_to_num(0.0).abs().max()) for a, _ in pairs)
    same = config.dtype == "keep" and not source.scales
    limit = 0.0 if same else config.max_difference * largest
    if not max(found) <= limit:
        raise ValueError(
            f"logits differ by up to {max(found):.3g} (largest {largest:.3g}), more than {limit:.3g}: do not use the "
            "result; "
            + ("the conversion is wrong" if same else "if the rounding may cost that much, raise max_difference")
        )
    return {
        "test_tokens": config.test_tokens,
        "logits_max_difference": found[0],
        "mtp_logits_max_difference": max(found[1:], default=0.0),
        "logits_max": largest,
    }


def _difference(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference; infinite where only one is no number."""
    if not torch.equal(a.isnan(), b.isnan()):
        return float("inf")
    return float((a - b).nan_to_num(0.0).abs().max())
