"""What OpenSeek, DeepSeek and Moonshot published about their models, and whether a setup's own numbers say the same.

A claim is data: where it stands, what it says, which number of config_numbers.py it is about, how far rounding goes.
`check_claims(setup)` holds the claims on a setup against its numbers. Of one that does not hold it looks for what the
number is true of: another way to count, a change of the model, another published shape.
"""

from __future__ import annotations

from dataclasses import dataclass

from openseek.model.config import Yarn
from openseek.model.presets import PRESETS
from openseek.recipes.config_checks import copied_rows
from openseek.recipes.config_numbers import PUBLISHED_SHAPES, VARIANTS, Number, Unit, differing_fields, numbers, rate_at
from openseek.recipes.published_setups import SETUPS, TOKENIZER
from openseek.recipes.training_setup import TrainingSetup

BILLION, TRILLION, GIGABYTE = 1e9, 1e12, 1e9


@dataclass(frozen=True)
class Claim:
    """A published statement about a number."""

    subjects: tuple[str, ...]
    """Names of the setups or presets that it is about."""
    key: str
    """Number that it states (config_numbers.py)."""
    stated: float | str
    """Its value."""
    within: float
    """Difference that still agrees: one unit of the last printed digit, so that cut digits pass as well as rounded."""
    says: str
    """As printed."""
    source: str
    """Where it stands."""


@dataclass(frozen=True)
class ClaimCheck:
    """A claim beside the computed number."""

    claim: Claim
    label: str
    """What the number is."""
    computed: float | str
    unit: Unit
    agrees: bool
    explanation: str
    """Of what the stated number is true, where that was found; or what follows from the difference."""


BASELINE, SMALL, AQUILA = ("OpenSeek-Small-v1-Baseline",), ("OpenSeek-Small-v1",), ("Aquila-3B",)
SIXTEEN = ("OpenSeek-16B-default", "OpenSeek-16B-tuned", "OpenSeek-16B-MTP")
V2_LITE, V3, MOONLIGHT = ("deepseek_v2_lite",), ("deepseek_v3",), ("moonlight_16b_a3b",)
README = "README.md of FlagAI-Open/OpenSeek"
MODEL_README = "docs/README_OPENSEEK_SMALL_V1.md of FlagAI-Open/OpenSeek"
LOG = f"log of the first step in {README}"
EXPERIMENT = "comment in config_deepseek_v3_3b_1330B.yaml"
STEP_SECONDS, STEP_TERAFLOPS, STEP_TOKENS = 271.607, 40.4, 1024 * 4096

CLAIMS = (
    Claim(BASELINE + SMALL, "parameters.total", 1.4 * BILLION, 0.1 * BILLION, "1.4B", README),
    Claim(BASELINE + SMALL, "parameters.active", 0.4 * BILLION, 0.1 * BILLION, "0.4B active", README),
    Claim(BASELINE, "training.tokens", 100 * BILLION, BILLION, "100B tokens", README),
    Claim(BASELINE, "training.steps", 24_000, 0, "iteration 1/24000", LOG),
    Claim(BASELINE, "training.batch", 1024, 0, "global batch size: 1024", LOG),
    Claim(BASELINE, "rate.first", 1.5e-6, 1e-12, "learning rate: 1.500000E-06", LOG),
    Claim(BASELINE, "start.loss", 11.92634, 0.02, "lm loss: 1.192634E+01", LOG),
    Claim(BASELINE, "start.balance_loss", 1.041994, 0.1, "load_balancing_loss: 1.041994E+00", LOG),
    Claim(BASELINE, "start.params_norm", 238.330, 0.5, "params norm: 238.330", LOG),
    Claim(
        BASELINE,
        "cost.flops_per_token",
        STEP_TERAFLOPS * 1e12 * STEP_SECONDS / STEP_TOKENS,
        0.1e12 * STEP_SECONDS / STEP_TOKENS,
        "271607.0 ms and 40.4 TFLOP/s/GPU for 1024 samples on one GPU",
        LOG,
    ),
    Claim(
        BASELINE,
        "parameters.file_bytes",
        3.18 * GIGABYTE,
        0.01 * GIGABYTE,
        "3.18 GB in bfloat16",
        "weight file of the Hugging Face release",
    ),
    Claim(SMALL, "parameters.total", 3 * BILLION, BILLION, "3b", "name of config_deepseek_v3_3b_1330B.yaml"),
    Claim(SMALL, "parameters.total", 16 * BILLION, BILLION, "DeepSeek 16B", EXPERIMENT),
    Claim(SMALL, "parameters.active", 2.4 * BILLION, 0.1 * BILLION, "2.4A Model", EXPERIMENT),
    Claim(SMALL, "training.tokens", 1330 * BILLION, 10 * BILLION, "1330B", "name of the training file"),
    Claim(SMALL, "training.tokens", 720 * BILLION, 10 * BILLION, "720B tokens", README),
    Claim(SMALL, "rate.peak", 3e-3, 0, "learning rate 3.0e-3 with cosine decay", MODEL_README),
    Claim(SMALL, "rate.style", "cosine", 0, "learning rate 3.0e-3 with cosine decay", MODEL_README),
    Claim(SMALL, "training.batch_tokens", 8e6, 1e6, "8M tokens", MODEL_README),
    Claim(SMALL, "training.world_size", 64, 0, "64 GPUs", MODEL_README),
    Claim(SMALL, "training.sequence_length", 4096, 0, "4096 tokens", MODEL_README),
    Claim(SMALL, "mixture.kind.Chinese web", 10, 1, "Chinese: 10%", MODEL_README),
    Claim(SIXTEEN, "parameters.total", 16 * BILLION, BILLION, "16b", "names of the runs' files"),
    Claim(SIXTEEN, "training.tokens", 100 * BILLION, BILLION, "100B tokens each", "tables of their scores"),
    Claim(
        SIXTEEN,
        "model.nearest_shape",
        "deepseek_v2_lite",
        0,
        "weights of DeepSeek-V2-Lite are converted for it",
        "FlagScale's example of converting a checkpoint",
    ),
    Claim(AQUILA, "parameters.total", 3 * BILLION, BILLION, "3B", "name of the model"),
    Claim(AQUILA + SIXTEEN, "rate.style", "wsd", 0, "lr_decay_style: WSD", "their training files"),
    Claim(AQUILA, "training.tokens", TRILLION, 0.01 * TRILLION, "OpenSeek-PT-1T", "name of the corpus"),
    Claim(
        ("CCI4.0-ablation",),
        "training.tokens",
        100 * BILLION,
        BILLION,
        "100B tokens",
        "docs/README_CCI4.0_M2_V1.md of FlagAI-Open/OpenSeek",
    ),
    Claim(("CCI4.0-ablation",), "parameters.total", 0.5 * BILLION, 0.1 * BILLION, "500M", MODEL_README),
    Claim(V2_LITE, "parameters.total", 16 * BILLION, BILLION, "16B", "model card"),
    Claim(V2_LITE, "parameters.active", 2.4 * BILLION, 0.1 * BILLION, "2.4B active", "model card"),
    Claim(V2_LITE, "model.context", 32 * 1024, 0, "context length 32k", "model card"),
    Claim(
        V2_LITE,
        "model.vocabulary",
        TOKENIZER,
        0,
        "--true-vocab-size 151851",
        "FlagScale's example of converting a checkpoint",
    ),
    Claim(V2_LITE + V3, "model.initializer_range", 0.02, 0, "initializer_range 0.02", "config.json of the release"),
    Claim(V3, "parameters.total", 671 * BILLION, BILLION, "671B", "README_WEIGHTS.md of deepseek-ai/DeepSeek-V3"),
    Claim(
        V3,
        "parameters.total_with_mtp",
        685 * BILLION,
        BILLION,
        "685B on Hugging Face",
        "README.md of deepseek-ai/DeepSeek-V3",
    ),
    Claim(
        V3,
        "parameters.active",
        36.7 * BILLION,
        0.1 * BILLION,
        "36.7B, including embedding and output head",
        "README_WEIGHTS.md of deepseek-ai/DeepSeek-V3",
    ),
    Claim(
        V3,
        "parameters.mtp",
        11.5 * BILLION,
        0.1 * BILLION,
        "11.5B unique parameters",
        "README_WEIGHTS.md of deepseek-ai/DeepSeek-V3",
    ),
    Claim(V3, "parameters.active", 37 * BILLION, BILLION, "37B activated", "arXiv:2412.19437"),
    Claim(MOONLIGHT, "parameters.total", 15.29 * BILLION, 0.01 * BILLION, "15.29B", "table of the model card"),
    Claim(MOONLIGHT, "parameters.active", 2.24 * BILLION, 0.01 * BILLION, "2.24B activated", "table of the model card"),
)
"""All claims."""

SIBLINGS = {
    "parameters.total": ("parameters.without_embeddings", "parameters.total_with_mtp"),
    "parameters.active": ("parameters.active_without_lookup", "parameters.active_without_embeddings"),
    "parameters.mtp": ("parameters.mtp_block",),
    "parameters.total_with_mtp": ("parameters.stored_with_mtp",),
}
"""Other ways to count what a claim states."""


def claims_on(setup: TrainingSetup) -> tuple[Claim, ...]:
    """Claims on the setup's name, or on the published model whose shape and training fields it has."""
    names = {setup.name}
    if setup.name not in SETUPS:
        same = [name for name in PUBLISHED_SHAPES if not differing_fields(setup.model, PRESETS[name])]
        names.update(same if setup.training is None else ())
    return tuple(claim for claim in CLAIMS if names & set(claim.subjects))


def check_claims(setup: TrainingSetup, claims: tuple[Claim, ...] | None = None) -> tuple[ClaimCheck, ...]:
    """Every claim on the setup, by default those known, beside the setup's number."""
    found = numbers(setup)
    return tuple(_check(setup, claim, found) for claim in (claims_on(setup) if claims is None else claims))


def _check(setup: TrainingSetup, claim: Claim, found: dict[str, Number]) -> ClaimCheck:
    if claim.key not in found:
        return ClaimCheck(claim, claim.key, "nothing", "", False, "the config does not say it")
    number = found[claim.key]
    agrees = _agrees(claim, number)
    explanation = "" if agrees else _explanation(setup, claim, found)
    return ClaimCheck(claim, number.label, number.value, number.unit, agrees, explanation)


def _agrees(claim: Claim, number: Number | None) -> bool:
    if number is None:
        return False
    if isinstance(claim.stated, str) or isinstance(number.value, str):
        return claim.stated == number.value
    # Against binary rounding of the stated number only.
    return abs(number.value - claim.stated) <= claim.within + 1e-12 * abs(claim.stated)


def _explanation(setup: TrainingSetup, claim: Claim, found: dict[str, Number]) -> str:
    """What the stated number is true of, and what follows where it is of nothing."""
    truths = []
    for key in SIBLINGS.get(claim.key, ()):
        if _agrees(claim, found.get(key)):
            truths.append(f"true of: {found[key].label}")
    if claim.key.startswith("parameters.") and not truths:
        truths += [f"true {name}" for name, variant in _variants(setup) if _agrees(claim, variant.get(claim.key))]
    return "; ".join(truths[:3]) or _consequence(setup, claim, found[claim.key])


def _variants(setup: TrainingSetup) -> list[tuple[str, dict[str, Number]]]:
    """Numbers of the model with each change that changes it."""
    changed = [(name, change(setup.model)) for name, change in VARIANTS.items()]
    return [
        (name, numbers(TrainingSetup(setup.name, setup.source, model)))
        for name, model in changed
        if model != setup.model
    ]


def _consequence(setup: TrainingSetup, claim: Claim, number: Number) -> str:
    """What follows from the difference."""
    stated, computed = claim.stated, number.value
    if claim.key == "model.vocabulary" and isinstance(stated, int):
        copies = copied_rows(setup.model.vocab_size, stated)
        return f"of another tokenizer: a converter that pads would copy the last row {copies:,} times"
    if claim.key == "model.nearest_shape" and stated in PRESETS:
        theirs = PRESETS[str(stated)]
        fields = [
            f"{name} {_plain(getattr(theirs, name))} against {_plain(getattr(setup.model, name))}"
            for name in differing_fields(theirs, setup.model)
        ]
        return f"{stated} has {', '.join(fields)}"
    if isinstance(stated, str) or isinstance(computed, str) or not stated:
        return ""
    text = f"the config gives {computed / stated:.3g} times as much"
    if claim.key == "training.tokens" and setup.training and stated < setup.training.train_tokens:
        rate, final = rate_at(setup.training, stated), setup.training.fit.schedule.final
        text += f": after {stated / computed:.0%} of the plan, at a learning rate of {rate:.3g} instead of {final:.3g}"
    return text


def _plain(value: object) -> str:
    return f"YaRN x{value.factor:g}" if isinstance(value, Yarn) else f"{value}"


def published_setup(name: str) -> TrainingSetup:
    """A published training, or a preset as a setup without training; ValueError lists the names."""
    if name in SETUPS:
        return SETUPS[name]
    if name in PRESETS:
        return TrainingSetup(name, "openseek/model/presets.py", PRESETS[name])
    raise ValueError(f"{name!r} is no published setup: use one of {', '.join((*SETUPS, *PRESETS))}")
