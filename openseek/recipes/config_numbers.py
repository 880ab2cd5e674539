"""What a training setup amounts to: sizes, start, cost, memory, batches, learning rate, mixture. From configs alone.

`numbers(setup)` gives them by key, for tables and for claims (claims.py) that are held against them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

from openseek.data.published_mixtures import PUBLISHED, TERCILE
from openseek.model.config import ModelConfig
from openseek.model.presets import PRESETS
from openseek.model.size import (
    cache_elements_per_token,
    expanded_cache_elements_per_token,
    flops_per_token,
    mtp_parameters,
    num_parameters,
    start_loss,
    start_norm,
    training_bytes,
)
from openseek.recipes.training_setup import TrainingSetup
from openseek.train.pretrain import Pretrain

Unit = Literal["parameters", "tokens", "bytes", "FLOP", "nats", "rate", "share", "percent", "count", ""]
BFLOAT16 = 2
NOT_SHAPE = (
    *("initializer_range", "scaled_init", "bias_update_rate", "aux_loss_alpha", "router_z_loss_alpha"),
    "mtp_loss_weight",
)
"""Fields of ModelConfig that training chooses: two models that differ in them have one shape."""


@dataclass(frozen=True)
class Number:
    """A computed value."""

    key: str
    """SECTION.NAME, by which claims find it."""
    label: str
    """What it is, for people."""
    value: float | str
    unit: Unit = "count"
    note: str = ""


def numbers(setup: TrainingSetup) -> dict[str, Number]:
    """All numbers of a setup by key; those of training and mixture only where the setup has them."""
    found = [*_parameters(setup.model), *_start(setup.model), *_cost(setup), *_model(setup.model)]
    if setup.training:
        found += _training(setup, setup.training)
    if setup.mixture:
        found += mixture_numbers(setup.mixture)
    return {number.key: number for number in found}


def _parameters(model: ModelConfig) -> list[Number]:
    """Counts of weights; `total` and `active` as usual: with embeddings, without multi-token prediction."""
    embedding = model.vocab_size * model.hidden_size
    both = embedding * (1 if model.tie_word_embeddings else 2)
    total = num_parameters(model) - mtp_parameters(model)
    active = num_parameters(model, active=True)
    head = "tied" if model.tie_word_embeddings else "untied"
    other = total + (embedding if model.tie_word_embeddings else -embedding)
    found = [
        Number("parameters.total", "total", total, "parameters", f"head {head}, without multi-token prediction"),
        Number("parameters.active", "active a token", active, "parameters", "with embedding and head"),
        Number(
            "parameters.active_without_lookup",
            "active, without the embedding look-up",
            active - both + embedding,
            "parameters",
            "the head multiplies, the embedding only looks up",
        ),
        Number("parameters.without_embeddings", "total, without embedding and head", total - both, "parameters"),
        Number("parameters.active_without_embeddings", "active, without both", active - both, "parameters"),
        Number("parameters.other_head", f"total if {'un' if head == 'tied' else ''}tied", other, "parameters"),
        Number("parameters.file_bytes", "weights in bfloat16", BFLOAT16 * total, "bytes"),
    ]
    if depth := model.num_nextn_predict_layers:
        mtp = mtp_parameters(model)
        projections = depth * 2 * model.hidden_size**2
        found += [
            Number("parameters.mtp", "multi-token prediction", mtp, "parameters", "embedding and head are shared"),
            Number(
                "parameters.mtp_block",
                "multi-token prediction, without its projection",
                mtp - projections,
                "parameters",
            ),
            Number("parameters.total_with_mtp", "total with multi-token prediction", total + mtp, "parameters"),
            Number(
                "parameters.stored_with_mtp",
                "the same with its copies of embedding and head",
                total + mtp + 2 * depth * embedding,
                "parameters",
                "as released files hold it",
            ),
        ]
    return found


def _start(model: ModelConfig) -> list[Number]:
    found = [
        Number("start.loss", "loss of the first step", start_loss(model), "nats", f"ln({model.vocab_size})"),
        Number(
            "start.params_norm",
            "norm of the initial weights",
            start_norm(model),
            "",
            f"std {model.initializer_range}{', output projections smaller' if model.scaled_init else ''}",
        ),
    ]
    if model.n_routed_experts:
        found.append(Number("start.balance_loss", "balance loss over alpha", 1.0, "", "even routing"))
    return found


def _cost(setup: TrainingSetup) -> list[Number]:
    model = setup.model
    length = setup.training.sequence_length if setup.training else min(model.max_position_embeddings, 4096)
    cache, expanded = cache_elements_per_token(model), expanded_cache_elements_per_token(model)
    kind = "latent and rotary key" if model.attention == "mla" else f"{model.kv_heads} key-value heads"
    ranks = max(setup.layout.world_size, 1)
    state = training_bytes(model, ranks)
    cut = setup.layout.tensor * setup.layout.pipeline * setup.layout.expert > 1
    held = f"weights 2, gradients 4, optimizer 12 bytes over {ranks} rank{'s' if ranks > 1 else ''}; no activations"
    return [
        Number(
            "cost.flops_per_token", "training FLOPs a token", flops_per_token(model, length), "FLOP", f"at {length}"
        ),
        Number("cost.cache_bytes", "decoding cache a token, bfloat16", BFLOAT16 * cache, "bytes", kind),
        Number(
            "cost.expanded_cache_bytes",
            "the same with every head's key and value",
            BFLOAT16 * expanded,
            "bytes",
            f"{expanded / cache:.1f} times as much",
        ),
        Number(
            "cost.state_bytes",
            "training state of a rank, ZeRO-1",
            state.total,
            "bytes",
            held + ("; an upper bound: the layout cuts the weights, too" if cut else ""),
        ),
    ]


def _model(model: ModelConfig) -> list[Number]:
    name, differing = nearest_shape(model, RELEASED)
    note = f"differs in {', '.join(differing)}" if differing else "the same in every field"
    if len(differing) > FEW_FIELDS:
        note = f"differs in {len(differing)} fields"
    same = [preset for preset in PUBLISHED_SHAPES if not nearest_shape(model, (preset,))[1]]
    return [
        Number("model.same_shape", "same shape as", ", ".join(same) or "no preset", ""),
        Number("model.nearest_shape", "nearest of the released models", name, "", note),
        Number("model.context", "longest sequence", model.max_position_embeddings),
        Number("model.vocabulary", "rows of the embedding", model.vocab_size),
        Number("model.initializer_range", "initial standard deviation", model.initializer_range, "rate"),
    ]


PUBLISHED_SHAPES = tuple(name for name in PRESETS if not name.startswith("debug_"))
FEW_FIELDS = 9
RELEASED = ("deepseek_v2_lite", "moonlight_16b_a3b", "deepseek_v3")
"""Models of others, which configs are written after."""


def nearest_shape(model: ModelConfig, among: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """(preset that differs in the fewest fields of its shape, those fields)."""
    differing = {name: differing_fields(model, PRESETS[name]) for name in among}
    best = min(among, key=lambda name: len(differing[name]))
    return best, differing[best]


def differing_fields(first: ModelConfig, second: ModelConfig) -> tuple[str, ...]:
    """Fields in which two shapes differ."""
    names = [item.name for item in fields(first) if item.name not in NOT_SHAPE]
    return tuple(name for name in names if getattr(first, name) != getattr(second, name))


def _training(setup: TrainingSetup, training: Pretrain) -> list[Number]:
    num_steps = training.steps().num_steps
    per_step = training.global_batch_size * training.sequence_length
    schedule = training.fit.schedule
    found = [
        Number("training.tokens", "training tokens", training.train_tokens, "tokens", "samples x sequence length"),
        Number("training.sequence_length", "sequence length", training.sequence_length),
        Number("training.batch", "global batch", training.global_batch_size, "count", "sequences"),
        Number("training.batch_tokens", "tokens of a step", per_step, "tokens"),
        Number("training.steps", "optimizer steps", num_steps),
        Number("training.flops", "training FLOPs", setup_flops(setup, training), "FLOP"),
        Number("training.tokens_per_parameter", "tokens an active parameter", tokens_per_parameter(training), ""),
        Number("training.warmup_steps", "warm-up steps", warmup_tokens(training) / per_step, ""),
    ]
    if schedule.kind == "wsd":
        found.append(
            Number("training.decay_steps", "steps of the decay at the end", decay_tokens(training) / per_step, "")
        )
    if setup.layout.world_size:
        found.append(Number("training.world_size", "ranks", setup.layout.world_size))
    if dp := setup.layout.data_parallel:
        pieces = training.global_batch_size / (dp * training.micro_batch_size)
        found.append(Number("training.micro_batches", "micro-batches of a rank a step", pieces, "", f"dp {dp}"))
    return found + _rates(training, num_steps)


def setup_flops(setup: TrainingSetup, training: Pretrain) -> float:
    """Model FLOPs of the whole training."""
    return flops_per_token(setup.model, training.sequence_length) * training.train_tokens


def tokens_per_parameter(training: Pretrain) -> float:
    """Training tokens over active weights without embeddings' look-up."""
    model = training.model
    spare = 0 if model.tie_word_embeddings else model.vocab_size * model.hidden_size
    return training.train_tokens / (num_parameters(model, active=True) - spare)


def warmup_tokens(training: Pretrain) -> int:
    """Tokens of the warm-up, however it is given."""
    steps = training.fit.schedule.warmup_steps
    return training.warmup_tokens or training.batch_sizes().tokens_before(int(steps))


def decay_tokens(training: Pretrain) -> int:
    """Tokens of the decay at the end (wsd), however it is given."""
    steps = training.fit.schedule.decay_steps
    return training.decay_tokens or int(steps) * training.global_batch_size * training.sequence_length


def _rates(training: Pretrain, num_steps: int) -> list[Number]:
    """The learning rate where it says something; steps are counted from 1, as logs do."""
    rate = training.learning_rate()
    per_step = training.global_batch_size * training.sequence_length
    warm = min(num_steps, max(1, -(-warmup_tokens(training) // per_step)))
    middle, before = max(1, num_steps // 2), max(1, num_steps - 1)
    schedule = training.fit.schedule
    return [
        Number("rate.style", "learning rate", schedule.kind, "", f"peak {schedule.peak:g}, end {schedule.final:g}"),
        Number("rate.peak", "peak", schedule.peak, "rate"),
        Number("rate.first", "at step 1", rate(0), "rate"),
        Number("rate.warm", "at the end of the warm-up", rate(warm - 1), "rate", f"step {warm:,}"),
        Number("rate.middle", "in the middle", rate(middle - 1), "rate", f"step {middle:,}"),
        Number("rate.before_last", "one step before the last", rate(before - 1), "rate", f"step {before:,}"),
        Number("rate.last", "at the last step", rate(num_steps - 1), "rate", f"step {num_steps:,}"),
    ]


def rate_at(training: Pretrain, tokens: float) -> float:
    """Learning rate of the step that ends with or after so many tokens."""
    steps = training.batch_sizes().steps_for(tokens)
    return training.learning_rate()(max(0, min(steps, training.steps().num_steps) - 1))


def mixture_numbers(mixture: tuple[tuple[str, float], ...]) -> list[Number]:
    """Sum, entries and kinds of a mixture's weights, (token source, weight) as written."""
    total = sum(weight for _, weight in mixture)
    kinds: dict[str, float] = {}
    for name, weight in mixture:
        kind = kind_of(name)
        kinds[kind] = kinds.get(kind, 0.0) + weight
    found = [
        Number("mixture.sum", "sum of the weights", round(total, 9), ""),
        Number("mixture.entries", "weights", len(mixture), "count", f"{len({name for name, _ in mixture})} names"),
        Number("mixture.published", "same weights as", _published(mixture) or "no published mixture", ""),
    ]
    # as written where they are meant as percent, rounding and all
    scale = 1.0 if abs(total - 100) < 1 else 100 / total if total else 0.0
    if kinds.keys() != {UNKNOWN_KIND}:
        found += [
            Number(f"mixture.kind.{kind}", kind, round(scale * weight, 9), "percent") for kind, weight in kinds.items()
        ]
    return found


UNKNOWN_KIND = "other sources"
_KINDS = {entry.name: entry.kind for mixture in PUBLISHED.values() for entry in mixture.entries}
_WITHOUT_TERCILE = {TERCILE.sub("", name): kind for name, kind in _KINDS.items()}


def kind_of(name: str) -> str:
    """Kind of a token source by the names of the published mixtures, with or without their perplexity tercile."""
    return _KINDS.get(name) or _WITHOUT_TERCILE.get(TERCILE.sub("", name)) or UNKNOWN_KIND


def _published(mixture: tuple[tuple[str, float], ...]) -> str:
    """Name of the published mixture that has the same weights."""
    for name, published in PUBLISHED.items():
        theirs = sorted((entry.name, weight) for entry in published.entries for weight in entry.weights)
        if sorted(mixture) == theirs:
            return name
    return ""


Variant = Callable[[ModelConfig], ModelConfig]


def _always(preset: ModelConfig) -> Variant:
    return lambda model: preset


VARIANTS: dict[str, Variant] = {
    "with an untied head": lambda model: replace(model, tie_word_embeddings=False),
    "with a tied head": lambda model: replace(model, tie_word_embeddings=True),
    "with twice the layers": lambda model: replace(model, num_hidden_layers=2 * model.num_hidden_layers),
    **{
        f"for the shape {name}": _always(PRESETS[name])
        for name in ("openseek_16b", "deepseek_v2_lite", "moonlight_16b_a3b", "deepseek_v3")
    },
}
"""Changes of a model under which a published number may hold after all."""
