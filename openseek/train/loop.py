"""fit: the only training loop. Methods differ in two values, their objective and their batches."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.parallel.dims import ParallelDims, Ranks
from openseek.train.optimizer import parameter_groups
from openseek.train.schedule import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from openseek.artifact import Facts
    from openseek.model.transformer import Transformer
    from openseek.train.ema import WeightAverage

    Batch = dict[str, Tensor]
    Metrics = dict[str, Tensor | float]
    Objective = Callable[[Transformer, Batch], tuple[Tensor, Metrics]]

COUNTED = ("tokens_in_step", "sequences_in_step")
"""What a step counts over its ranks."""


@dataclass(frozen=True)
class Fit:
    """How the loop steps, whatever it optimises."""

    num_steps: int = 100
    """Optimizer steps."""
    schedule: Schedule = Schedule()
    """Learning rate."""
    weight_decay: float = 0.1
    """AdamW's decay of matrices."""
    beta1: float = 0.9
    """AdamW's average of gradients."""
    beta2: float = 0.95
    """AdamW's average of squared gradients."""
    epsilon: float = 1e-8
    """AdamW's epsilon."""
    gradient_clipping: float = 1.0
    """Largest global gradient norm; 0 never clips."""
    ema_decay: float = 0.0
    """Decay a step of an exponential moving average of the weights, which pretraining writes too; 0 keeps none."""
    parallel: ParallelDims = field(default=ParallelDims(), metadata={"runtime": True})
    """Ranks."""
    save_every_steps: int = field(default=0, metadata={"runtime": True})
    """Steps between resume states; 0 keeps none."""
    title: str = field(default="training", metadata={"runtime": True})
    """Name on the progress line."""

    def __post_init__(self) -> None:
        for name in ("num_steps", "epsilon"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be above 0")
        for name in ("weight_decay", "gradient_clipping", "save_every_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        for name in ("beta1", "beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0 and below 1")


def fit(
    model: Transformer,
    objective: Objective,
    batches: Callable[[int], list[Batch]],
    out: Path,
    config: Fit,
    evaluate: Callable[[int], dict[str, float]] | None = None,
    learning_rate: Callable[[int], float] | None = None,
    averages: dict[str, Tensor] | None = None,
) -> Facts:
    """Train `model` in place for config.num_steps optimizer steps, going on from `out/resume` if a state is there.

    batches: optimizer step, from 0 -> THIS rank's micro-batches, the same number on every rank. It must be a pure
    function of the step (what it samples from the model is, given the model): then a resumed run equals one without a
    break.
    A batch is a dict of tensors on the CPU; "ids" counts the tokens.
    objective: (model in training mode, batch on its device) -> (loss, metrics). The loss and the metrics are averaged
    over the micro-batches of all ranks.
    evaluate: number of finished steps -> values that join that step's line; called after each step, on every rank.
    learning_rate: optimizer step, from 0 -> its rate; by default what config.schedule gives by steps.
    averages: filled with the moving average of every weight and router bias by name, on the CPU, if config.ema_decay.

    Every rank writes out/metrics/rankNNNNN.jsonl. The model is left on its device, in float32.
    """
    import torch

    ranks = config.parallel.start()
    import deepspeed  # after start, which makes its import cheap

    from openseek.train.ema import WeightAverage

    optimizer = torch.optim.AdamW(
        parameter_groups(model, config.weight_decay),
        lr=config.schedule.peak,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
    )
    engine, *_ = deepspeed.initialize(
        model=model.to(ranks.device),
        optimizer=optimizer,
        config=config.parallel.deepspeed_config(gradient_clipping=config.gradient_clipping, device=ranks.device),
    )
    average = WeightAverage(engine, model, config.ema_decay) if config.ema_decay else None
    try:
        rate = learning_rate or functools.partial(config.schedule.rate, num_steps=config.num_steps)
        facts = _steps(engine, model, objective, batches, out, config, ranks, evaluate, rate, average)
        masters = float32_weights(model)
        if average and averages is not None:
            averages |= average.full()
    finally:
        engine.destroy()
    model.float()  # a GPU trained bfloat16 copies of these
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(masters[name])
    return facts


def float32_weights(model: Transformer) -> dict[str, Tensor]:
    """The optimizer's float32 copy of every weight, by name. Every rank must call it."""
    from deepspeed.utils import safe_get_full_fp32_param

    weights = {}
    for name, parameter in model.named_parameters():
        weights[name] = safe_get_full_fp32_param(parameter)
        assert weights[name] is not None, name
    return weights


def _steps(
    engine: Any,
    model: Transformer,
    objective: Objective,
    batches: Callable[[int], list[Batch]],
    out: Path,
    config: Fit,
    ranks: Ranks,
    evaluate: Callable[[int], dict[str, float]] | None,
    learning_rate: Callable[[int], float],
    average: WeightAverage | None,
) -> Facts:
    """The loop itself, between the engine's start and its end."""
    from openseek.model.moe import update_router_bias
    from openseek.model.size import flops_per_token
    from openseek.train.checkpoint import load_state, save_state
    from openseek.train.metrics import MetricsFile, Progress, load_imbalance, mean_over_ranks, model_flops_utilisation

    counters = load_state(engine, model, out / "resume", average) or {"step": 0, "tokens": 0}
    progress = Progress(config.title, config.num_steps, ranks.rank)
    began, tokens_before, values = time.monotonic(), counters["tokens"], {}
    with MetricsFile(out, ranks.rank, counters["step"]) as log:
        for step in range(counters["step"], config.num_steps):
            started = time.monotonic()
            rate = learning_rate(step)
            for group in engine.optimizer.param_groups:
                group["lr"] = rate
            averages, longest = _accumulate(engine, model, objective, batches(step), ranks)
            engine.step()
            loads = update_router_bias(model, ranks.data_group if ranks.world_size > 1 else None)
            if average:
                average.update()
            averages = mean_over_ranks(averages, ranks)
            tokens_in_step, batch_size = (round(averages.pop(name) * ranks.world_size) for name in COUNTED)
            counters = {"step": step + 1, "tokens": counters["tokens"] + tokens_in_step}
            speed = tokens_in_step / max(time.monotonic() - started, 1e-9)
            values = {
                **counters,
                "batch_size": batch_size,
                **averages,
                "lr": rate,
                "grad_norm": float(engine.get_global_grad_norm() or 0.0),
            }
            values |= {"load_imbalance": load_imbalance(loads), "tokens_per_second": speed}
            utilisation = model_flops_utilisation(speed * flops_per_token(model.config, longest), ranks)
            values |= {} if utilisation is None else {"mfu": utilisation}
            values |= evaluate(step + 1) if evaluate else {}
            log.write(values)
            progress.show(step + 1, values)
            if config.save_every_steps and (step + 1) % config.save_every_steps == 0 and step + 1 < config.num_steps:
                save_state(engine, model, out / "resume", ranks, counters, average)
    facts = {name: value for name, value in values.items() if name not in ("step", "tokens_per_second")}
    speed = (counters["tokens"] - tokens_before) / max(time.monotonic() - began, 1e-9)
    return facts | {"steps": config.num_steps, "tokens": counters["tokens"], "tokens_per_second": round(speed, 1)}


def _accumulate(
    engine: Any, model: Transformer, objective: Objective, micro_batches: list[Batch], ranks: Ranks
) -> tuple[Metrics, int]:
    """Forward and backward of a step's micro-batches: (mean metrics of this rank with COUNTED, longest sequence)."""
    if not micro_batches:
        raise ValueError("batches(step) gave this rank no micro-batch: every rank needs at least one, and equally many")
    import torch

    sums: dict[str, Tensor] = {}
    engine.train()  # batches may have sampled from the model in evaluation mode
    for batch in micro_batches:
        loss, metrics = objective(model, {name: tensor.to(ranks.device) for name, tensor in batch.items()})
        engine.backward(loss / len(micro_batches), scale_wrt_gas=False)
        for name, value in {"loss": loss, **metrics}.items():
            value = value.detach().double() if hasattr(value, "detach") else loss.new_tensor(value).double()
            sums[name] = sums.get(name, 0.0) + value / len(micro_batches)
    counted = (float(sum(count(batch["ids"]) for batch in micro_batches)) for count in (torch.numel, len))
    return dict(sums) | dict(zip(COUNTED, counted, strict=True)), max(b["ids"].shape[-1] for b in micro_batches)
