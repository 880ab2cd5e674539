"""The model of the debug recipe at four times its context: what lengthens a context, in a size for two CPU cores.

openseek pretrain --recipe long_context_debug --mixture runs/mix --checkpoint runs/pretrain --label long
"""

from dataclasses import replace

from openseek.model.config import Yarn
from openseek.recipes.debug import DEBUG
from openseek.train.schedule import Schedule

TIMES = 4
"""Lengthening of the sequences."""
SHORT = DEBUG.pretrain.sequence_length
LONG_CONTEXT_DEBUG = replace(
    DEBUG,
    pretrain=replace(
        DEBUG.pretrain,
        model=replace(
            DEBUG.pretrain.model,
            rope_scaling=Yarn(factor=float(TIMES), original_max_position_embeddings=SHORT),
            max_position_embeddings=TIMES * SHORT,
        ),
        fit=replace(DEBUG.pretrain.fit, schedule=Schedule(kind="constant", peak=1e-3)),
        train_tokens=DEBUG.pretrain.train_tokens // 4,
        warmup_tokens=2_000,
        sequence_length=TIMES * SHORT,
    ),
)
"""Its pretrain goes on from the checkpoint of the debug recipe; the other steps are those of debug."""
