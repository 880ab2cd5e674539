"""The moving average of the weights against plain PyTorch, and over a resume."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from openseek.model.config import ModelConfig
from openseek.model.transformer import Transformer
from openseek.train.ema import biases
from openseek.train.loop import Fit, fit, float32_weights
from openseek.train.schedule import Schedule

DECAY = 0.8
CONFIG = Fit(num_steps=6, schedule=Schedule(kind="constant", peak=1e-2), ema_decay=DECAY)
SHAPE = ModelConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, kv_lora_rank=16, intermediate_size=48)


def build() -> Transformer:
    torch.manual_seed(0)
    return Transformer(SHAPE)


def batches(step: int) -> list[dict[str, Tensor]]:
    return [{"ids": torch.randint(0, 40, (2, 17), generator=torch.Generator().manual_seed(step))}]


def objective(model, batch):
    output = model(batch["ids"][:, :-1])
    loss = torch.nn.functional.cross_entropy(output.logits_BTV.flatten(0, 1), batch["ids"][:, 1:].flatten())
    return loss + output.aux_loss, {}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """(averages, weights and router biases before the first and after each step)."""
    model, averages = build(), {}
    history = [{name: tensor.clone() for name, tensor in model.state_dict().items()}]

    def remember(step: int) -> dict[str, float]:
        # a GPU computes with bfloat16 copies of these
        weights = {**biases(model), **float32_weights(model)}
        history.append({name: tensor.to("cpu", copy=True) for name, tensor in weights.items()})
        return {}

    out = tmp_path_factory.mktemp("whole")
    fit(model, objective, batches, out, CONFIG, evaluate=remember, averages=averages)
    return averages, history


def expected(history: list[dict[str, Tensor]], seen: Callable[[Tensor], Tensor] = torch.clone) -> dict[str, Tensor]:
    """The weighted sum that the formula says, in float64."""
    last = len(history) - 1
    shares = [(1 - DECAY) * DECAY ** (last - i) / (1 - DECAY ** len(history)) for i in range(len(history))]
    assert sum(shares) == pytest.approx(1.0)
    return {
        name: torch.stack([s * seen(h[name]).double() for s, h in zip(shares, history, strict=True)]).sum(0)
        for name in history[0]
    }


def worst(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return max(((ours[n] - theirs[n]).norm() / theirs[n].norm().clamp(min=1e-3)).item() for n in ours)


def test_the_average_is_the_weighted_sum_of_the_weights_after_each_step(trained):
    averages, history = trained
    assert all(average.dtype == torch.float32 and average.device.type == "cpu" for average in averages.values())
    assert worst(averages, expected(history[1:])) < 1e-6
    moved = biases(build())
    assert moved.keys() < averages.keys()
    assert any(averages[name].abs().sum() > 0 for name in moved)


def test_an_average_of_other_weights_is_noticed(trained):
    averages, history = trained
    assert worst(averages, expected(history[:-1])) > 1e-3  # before the step
    assert worst(averages, expected(history[1:], lambda w: w.bfloat16())) > 1e-4  # of what a GPU computes with
    assert worst(averages, expected(history)) > 1e-3  # with the initial weights


def test_a_resumed_average_equals_an_uninterrupted_one_bit_by_bit(trained, tmp_path: Path):
    def failing(step: int) -> list[dict[str, Tensor]]:
        if step == 5:
            raise ConnectionResetError("the power went")
        return batches(step)

    config = dataclasses.replace(CONFIG, save_every_steps=2)
    with pytest.raises(ConnectionResetError):
        fit(build(), objective, failing, tmp_path, config, averages={})
    resumed: dict[str, Tensor] = {}
    fit(build(), objective, batches, tmp_path, config, averages=resumed)
    assert resumed.keys() == trained[0].keys()
    assert all(torch.equal(resumed[name], trained[0][name]) for name in resumed)


def test_a_decay_of_one_is_refused():
    with pytest.raises(ValueError, match=r"ema_decay=1\.0 must be at least 0 and below 1"):
        Fit(ema_decay=1.0)
