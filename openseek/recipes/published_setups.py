"""The trainings that OpenSeek published, as their files have them: SETUPS by name.

Where they stand in FlagAI-Open/OpenSeek at 50212ea: the two small models in `configs/`, the 16B runs in
`pretraining/v1.0`, `openseek/algorithm/` and `openseek/data/data_mix_exp/`, Aquila-3B in `pretraining/v0.1`, the
ablation in docs/README_CCI4.0_M2_V1.md.
"""

from dataclasses import replace
from typing import Any

from openseek.data.published_mixtures import PUBLISHED
from openseek.model.config import ModelConfig
from openseek.model.presets import PRESETS
from openseek.recipes.training_setup import Layout, TrainingSetup
from openseek.train.loop import Fit
from openseek.train.pretrain import Pretrain
from openseek.train.schedule import Schedule

REPOSITORY = "FlagAI-Open/OpenSeek at 50212ea"
SEQUENCE = 4096
TOKENIZER = 151_851
"""Tokens of OpenSeek's tokenizer; the embedding is padded to 151872 rows."""
WARMUP_SAMPLES = 2_048_000
TRILLION_SAMPLES = 244_141_056

QWEN2_HALF_BILLION = ModelConfig(
    vocab_size=151936,
    hidden_size=896,
    num_hidden_layers=24,
    num_attention_heads=14,
    attention="gqa",
    num_key_value_heads=2,
    attention_bias=True,
    qk_layernorm=False,
    rope_interleave=False,
    intermediate_size=4864,
    n_routed_experts=0,
    n_shared_experts=0,
    first_k_dense_replace=0,
    num_nextn_predict_layers=0,
    rope_theta=1e6,
    max_position_embeddings=32768,
)
"""Shape of Qwen2-0.5B."""


def _training(
    model: ModelConfig, samples: int, batch: int, micro_batch: int, schedule: Schedule, tail: int
) -> Pretrain:
    """tail: samples of the decay at the end."""
    return Pretrain(
        model=model,
        fit=Fit(schedule=schedule),
        train_tokens=samples * SEQUENCE,
        warmup_tokens=WARMUP_SAMPLES * SEQUENCE,
        decay_tokens=tail * SEQUENCE,
        sequence_length=SEQUENCE,
        global_batch_size=batch,
        micro_batch_size=micro_batch,
        packing="concatenate",
        seed=42,
    )


def _mixture(name: str) -> tuple[tuple[str, float], ...]:
    return tuple((entry.name, weight) for entry in PUBLISHED[name].entries for weight in entry.weights)


BASELINE = TrainingSetup(
    "OpenSeek-Small-v1-Baseline",
    f"configs/OpenSeek-Small-v1-Baseline ({REPOSITORY})",
    PRESETS["openseek_small_v1_baseline"],
    _training(
        PRESETS["openseek_small_v1_baseline"], 24_576_000, 1024, 1, Schedule(kind="cosine", peak=3e-3, final=3e-4), 0
    ),
    Layout(world_size=1),
    _mixture("baseline_100b"),
    TOKENIZER,
)
SMALL_V1 = TrainingSetup(
    "OpenSeek-Small-v1",
    f"configs/OpenSeek-Small-v1 ({REPOSITORY})",
    PRESETS["openseek_small_v1"],
    _training(PRESETS["openseek_small_v1"], 326_860_800, 2048, 2, Schedule(kind="cosine", peak=3e-4, final=3e-5), 0),
    Layout(world_size=64, pipeline=2),
    _mixture("small_v1"),
    TOKENIZER,
)
WSD = Schedule(kind="wsd", peak=3e-3, final=3e-4, decay_style="cosine")


def _of_16b(name: str, source: str, **fields: Any) -> TrainingSetup:
    model = replace(PRESETS["openseek_16b"], **fields)
    training = _training(model, TRILLION_SAMPLES, 2048, 1, WSD, 2048)
    layout = Layout(pipeline=2, first_stage_layers=13)
    return TrainingSetup(name, f"{source} ({REPOSITORY})", model, training, layout, _mixture("pt_1t"), TOKENIZER)


AQUILA = TrainingSetup(
    "Aquila-3B",
    f"pretraining/v0.1 ({REPOSITORY})",
    PRESETS["aquila_3b"],
    _training(PRESETS["aquila_3b"], TRILLION_SAMPLES, 2048, 2, WSD, 2048),
    Layout(world_size=64),
    _mixture("pt_1t"),
    TOKENIZER,
)
ABLATION = TrainingSetup(
    "CCI4.0-ablation",
    f"docs/README_CCI4.0_M2_V1.md ({REPOSITORY})",
    QWEN2_HALF_BILLION,
    _training(QWEN2_HALF_BILLION, 25_000_000, 1024, 1, Schedule(kind="cosine", peak=3e-4, final=3e-5), 0),
)
SETUPS = {
    setup.name: setup
    for setup in (
        BASELINE,
        SMALL_V1,
        _of_16b("OpenSeek-16B-default", "pretraining/v1.0", initializer_range=0.02, aux_loss_alpha=0.02),
        _of_16b("OpenSeek-16B-tuned", "openseek/algorithm/hparam_exp"),
        _of_16b("OpenSeek-16B-MTP", "openseek/algorithm/mtp_exp", num_nextn_predict_layers=1),
        AQUILA,
        ABLATION,
    )
}
"""Setup of each name."""
