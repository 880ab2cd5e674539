"""Published pretraining settings by name: `openseek pretrain --set preset=deepseek_v3`, or `pretrain: {preset: ...}`.

DeepSeek-V3 (arXiv:2412.19437): sections 4.2 (pretraining) and 4.3 (two stages that lengthen its context with YaRN; each
goes on from the checkpoint of the one before, with the optimizer started anew). Its expert biases stand still and its
multi-token prediction weighs less towards the end of pretraining; here these are fields of one training: train the end
as a training of its own, from a checkpoint, to change them.
"""

from __future__ import annotations

from dataclasses import replace

from openseek.model.presets import PRESETS as MODELS
from openseek.train.batch_ramp import BatchRamp
from openseek.train.fill_in_the_middle import FillInTheMiddle
from openseek.train.loop import Fit
from openseek.train.pretrain import Pretrain
from openseek.train.schedule import PRESETS as SCHEDULES
from openseek.train.schedule import Schedule

DEEPSEEK_V3 = Pretrain(
    model=replace(MODELS["deepseek_v3"], rope_scaling=None, max_position_embeddings=4096),
    fit=Fit(schedule=SCHEDULES["deepseek_v3"], save_every_steps=100),
    train_tokens=14_800_000_000_000,
    warmup_tokens=0,
    sequence_length=4096,
    global_batch_size=15360,
    batch_ramp=BatchRamp(start=3072, increment=64, tokens=469_000_000_000),
    micro_batch_size=1,
    separate_documents=False,
    packing="concatenate",
    fill_in_the_middle=FillInTheMiddle(rate=0.1, suffix_first=0.0),
)


def _lengthened(sequence_length: int, global_batch_size: int) -> Pretrain:
    """A thousand steps at one rate and another length; the model's YaRN reaches beyond both stages."""
    return replace(
        DEEPSEEK_V3,
        model=MODELS["deepseek_v3"],
        fit=Fit(schedule=Schedule(kind="constant", peak=7.3e-6), save_every_steps=100),
        train_tokens=1000 * global_batch_size * sequence_length,
        sequence_length=sequence_length,
        global_batch_size=global_batch_size,
        batch_ramp=BatchRamp(),
    )


PRESETS = {
    "deepseek_v3": DEEPSEEK_V3,
    "deepseek_v3_yarn_32k": _lengthened(32 * 1024, 1920),
    "deepseek_v3_yarn_128k": _lengthened(128 * 1024, 480),
}
"""Pretraining settings by name."""
