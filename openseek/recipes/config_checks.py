"""Known traps of training configs: every check looks at a TrainingSetup and tells what is wrong and what to do.

`findings(setup)` runs them all. A check is a function (setup) -> messages in CHECKS, under the name of its trap.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from openseek.model.size import flops_per_token
from openseek.recipes.config_numbers import decay_tokens, warmup_tokens
from openseek.recipes.training_setup import TrainingSetup

VOCABULARY_MULTIPLE = 64
"""Rows per tensor-parallel rank, so that the head's matrix product runs on fast kernels."""
SHORT_TAIL = 0.01
"""Share of the steps below which a decay changes nothing that a log would show."""
LARGE_ALPHA = 0.01
"""Weight of the balance loss from which it rivals the language loss; the DeepSeek models have 1e-3 and 1e-4."""
FEW_STEPS = 10
UNEVEN_STAGES = 1.1
"""Work of the busiest pipeline stage over the mean of all."""
SPARE_ROWS = 1024
"""More rows of the embedding than tokens that padding explains."""
ROUNDED_SUM = 0.005

Messages = Iterator[str]


@dataclass(frozen=True)
class Finding:
    """A trap that a setup is in."""

    check: str
    """Name of the check."""
    message: str
    """What is so, what it does, what to change."""


def findings(setup: TrainingSetup) -> tuple[Finding, ...]:
    """What all checks find."""
    return tuple(Finding(name, message) for name, check in CHECKS.items() for message in check(setup))


def padded(size: int, tensor: int = 1) -> int:
    """Rows of an embedding for `size` tokens over so many tensor-parallel ranks, as Megatron pads them."""
    multiple = VOCABULARY_MULTIPLE * tensor
    return -(-size // multiple) * multiple


def copied_rows(weights_vocabulary: int, true_vocabulary: int) -> int:
    """Rows that FlagScale's converter fills with copies of the last one, given more tokens than the weights have."""
    return max(0, padded(true_vocabulary) - weights_vocabulary)


def _vocabulary(setup: TrainingSetup) -> Messages:
    rows, tensor = setup.model.vocab_size, setup.layout.tensor
    if rows != (wanted := padded(rows, tensor)):
        unit = f"{VOCABULARY_MULTIPLE}" + (f" x {tensor} tensor-parallel ranks" if tensor > 1 else "")
        yield f"vocab_size={rows} is no multiple of {unit}: the head runs on slow kernels; pad it to {wanted}"


def _tokenizer(setup: TrainingSetup) -> Messages:
    rows, tokens = setup.model.vocab_size, setup.tokenizer_size
    if tokens > rows:
        yield (
            f"the tokenizer has {tokens:,} tokens and the embedding {rows:,} rows: these weights belong to another "
            f"tokenizer. A converter told so pads silently: {copied_rows(rows, tokens):,} rows would be copies of the "
            "last one, and the other tokens would mean something else"
        )
    elif tokens and rows - padded(tokens) > SPARE_ROWS:
        yield (
            f"the embedding has {rows:,} rows and the tokenizer {tokens:,} tokens: {rows - tokens:,} rows are never "
            "trained; is it the right tokenizer?"
        )


def _router(setup: TrainingSetup) -> Messages:
    model = setup.model
    if not model.n_routed_experts:
        return
    if model.has_router_bias and model.scoring_func == "softmax":
        yield (
            "the balancing bias is added to softmax affinities, which shrink as experts grow in number, so that a step "
            f"of {model.bias_update_rate:g} outweighs them: Megatron refuses it; set scoring_func=sigmoid"
        )
    if model.scoring_func == "sigmoid" and not model.norm_topk_prob and model.num_experts_per_tok > 1:
        yield "sigmoid affinities do not sum to one and are not divided by their sum: set norm_topk_prob=true"
    if model.aux_loss_alpha >= LARGE_ALPHA:
        yield (
            f"aux_loss_alpha={model.aux_loss_alpha:g} is a large weight of the balance loss: it costs loss and scores; "
            "with a balancing bias 1e-4 suffices"
        )
    if model.has_router_bias and not model.bias_update_rate:
        yield "bias_update_rate=0: the balancing bias never moves; set 0.001, or topk_method=greedy"


def _positions(setup: TrainingSetup) -> Messages:
    model, yarn = setup.model, setup.model.rope_scaling
    if yarn and (reach := yarn.factor * yarn.original_max_position_embeddings) != model.max_position_embeddings:
        yield (
            f"rope_scaling stretches {yarn.original_max_position_embeddings:,} positions {yarn.factor:g} times to "
            f"{reach:,.0f}, and max_position_embeddings={model.max_position_embeddings:,}: one of them is wrong"
        )


def _warmup(setup: TrainingSetup) -> Messages:
    training = setup.training
    if training is None:
        return
    warm, total = warmup_tokens(training), training.train_tokens
    per_step, schedule = training.global_batch_size * training.sequence_length, training.fit.schedule
    steps = warm / per_step
    if warm >= total:
        yield f"the warm-up of {warm:,} tokens is as long as the training of {total:,}: the peak is never reached"
    elif warm > total / 2:
        yield f"the warm-up takes {warm / total:.0%} of the training: are its tokens, samples or steps mixed up?"
    elif 0 < steps < FEW_STEPS:
        yield (
            f"the warm-up of {warm:,} tokens is {steps:.3g} steps ({warm / training.sequence_length:,.0f} samples): if "
            "steps were meant, multiply by the batch"
        )
    if training.warmup_tokens and schedule.warmup_steps:
        yield (
            f"warmup_tokens={training.warmup_tokens:,} and schedule.warmup_steps={schedule.warmup_steps} are both "
            "given, and the tokens win: give one of them"
        )
    if schedule.kind in ("cosine", "linear", "wsd") and schedule.final > schedule.peak:
        yield f"the learning rate ends at {schedule.final:g}, above its peak {schedule.peak:g}"


def _tail(setup: TrainingSetup) -> Messages:
    training = setup.training
    if training is None or training.fit.schedule.kind != "wsd":
        return
    schedule, tail = training.fit.schedule, decay_tokens(training)
    steps = tail / (training.global_batch_size * training.sequence_length)
    if tail / training.train_tokens < SHORT_TAIL:
        yield (
            f"the decay at the end takes {steps:.4g} of {training.steps().num_steps:,} steps "
            f"({tail / training.train_tokens:.2g} of the training): constant in effect at {schedule.peak:g}. WSD needs "
            "about 10 %; if steps were meant, multiply by the batch"
        )
    if tail + warmup_tokens(training) > training.train_tokens:
        yield "warm-up and decay together are longer than the training: the peak is never reached"


def _batch(setup: TrainingSetup) -> Messages:
    training = setup.training
    if training is None:
        return
    batch, dp = training.global_batch_size, setup.layout.data_parallel
    if setup.layout.world_size and not dp:
        sizes = f"{setup.layout.tensor} x {setup.layout.pipeline} x {setup.layout.context}"
        yield f"{setup.layout.world_size} ranks do not divide by tp x pp x cp = {sizes}"
    elif dp and batch % (dp * training.micro_batch_size):
        yield (
            f"the global batch of {batch} does not divide into micro-batches of {training.micro_batch_size} on {dp} "
            "data-parallel ranks"
        )
    samples, rest = divmod(training.train_tokens, training.sequence_length)
    if not rest and not training.batch_ramp.start and (rest := samples % batch):
        yield (
            f"{samples:,} samples are no multiple of the batch {batch}: {rest:,} are left over; Megatron leaves them "
            "out, here the last step is a whole one"
        )
    if training.sequence_length > setup.model.max_position_embeddings:
        yield f"sequence_length={training.sequence_length} exceeds max_position_embeddings"


def _split(setup: TrainingSetup) -> Messages:
    model, layout = setup.model, setup.layout
    sizes = {"num_attention_heads": model.num_attention_heads}
    if model.attention == "gqa":
        sizes["num_key_value_heads"] = model.kv_heads
    sizes["intermediate_size"] = model.intermediate_size
    for name, size in sizes.items():
        if size % layout.tensor:
            yield f"{name}={size} does not divide over {layout.tensor} tensor-parallel ranks"
    if model.n_routed_experts % layout.expert:
        yield f"n_routed_experts={model.n_routed_experts} does not divide over {layout.expert} expert-parallel ranks"
    if layout.data_parallel and (layout.data_parallel * layout.context * layout.tensor) % layout.expert:
        yield f"{layout.expert} expert-parallel ranks do not divide the {layout.data_parallel} data-parallel ones"


def _stages(setup: TrainingSetup) -> Messages:
    model, layout = setup.model, setup.layout
    if layout.pipeline == 1:
        return
    stages = layout.stages(model.num_hidden_layers)
    if not stages:
        yield f"num_hidden_layers={model.num_hidden_layers} do not divide over {layout.pipeline} pipeline stages"
        return
    work = stage_flops(setup, stages)
    if max(work) > UNEVEN_STAGES * sum(work) / len(work):
        bounds = [0, *itertools.accumulate(stages)]
        experts = [sum(not model.is_dense(i) for i in range(a, b)) for a, b in itertools.pairwise(bounds)]
        parts = ", ".join(
            f"{layers} layers ({moe} with experts) {flops / sum(work):.0%}"
            for layers, moe, flops in zip(stages, experts, work, strict=True)
        )
        yield (
            f"the pipeline stages are uneven: {parts} of the work; the last one has the head and the multi-token "
            "prediction, so the others wait: give it fewer layers, or use fewer stages"
        )


def stage_flops(setup: TrainingSetup, stages: tuple[int, ...]) -> list[float]:
    """Model FLOPs a token of each pipeline stage: its layers, and on the last the head and multi-token prediction."""
    model = replace(setup.model, num_nextn_predict_layers=0)
    length = setup.training.sequence_length if setup.training else 4096
    head = 6.0 * model.vocab_size * model.hidden_size

    def up_to(layers: int) -> float:
        first = min(layers, model.first_k_dense_replace)
        return flops_per_token(replace(model, num_hidden_layers=layers, first_k_dense_replace=first), length) - head

    through = [0.0, *(up_to(layers) for layers in itertools.accumulate(stages))]
    work = [after - before for before, after in itertools.pairwise(through)]
    work[-1] += flops_per_token(setup.model, length) - flops_per_token(model, length) + head
    return work


def _mixture(setup: TrainingSetup) -> Messages:
    if setup.mixture:
        yield from mixture_messages(setup.mixture)


def mixture_messages(mixture: tuple[tuple[str, float], ...]) -> Messages:
    """What is wrong with a mixture's weights, (token source, weight) as written."""
    total = sum(weight for _, weight in mixture)
    if min(abs(total - whole) / whole for whole in (1.0, 100.0)) > ROUNDED_SUM / 100:
        near = next((whole for whole in (1.0, 100.0) if whole / 2 < total < 2 * whole), 0)
        wanted, off = "100 or 1", ""
        if near:
            wanted, off = f"{near:g}", f", so each share is {near / total - 1:+.2%} off what is printed"
        yield f"the {len(mixture)} weights sum to {total:.10g}, not to {wanted}: a reader divides by the sum{off}"
    if empty := [name for name, weight in mixture if weight <= 0]:
        yield f"weights that are not above 0: {', '.join(empty)}"
    if twice := sorted({name for name, weight in mixture if mixture.count((name, weight)) > 1}):
        yield f"given twice with the same weight: {', '.join(twice)}"


CHECKS: dict[str, Callable[[TrainingSetup], Messages]] = {
    "vocabulary": _vocabulary,
    "tokenizer": _tokenizer,
    "router": _router,
    "positions": _positions,
    "warm-up": _warmup,
    "tail": _tail,
    "batch": _batch,
    "split": _split,
    "stages": _stages,
    "mixture": _mixture,
}
"""Check of each name."""
