"""The loop against plain PyTorch, and a run that was cut off against one that was not."""

import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F

from openseek.model.config import ModelConfig
from openseek.model.moe import routers
from openseek.model.transformer import Transformer
from openseek.train.loop import Fit, fit
from openseek.train.optimizer import parameter_groups
from openseek.train.schedule import Schedule

CONFIG = Fit(num_steps=7, schedule=Schedule(peak=1e-2, final=1e-3, warmup_steps=2), gradient_clipping=0.5)
SHAPE = ModelConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, kv_lora_rank=16, intermediate_size=48)


def build() -> Transformer:
    torch.manual_seed(0)
    return Transformer(SHAPE)


def batches(step: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(step)
    return [{"ids": torch.randint(0, 40, (2, 17), generator=generator)} for _ in range(2)]


def objective(model, batch):
    output = model(batch["ids"][:, :-1])
    loss = F.cross_entropy(output.logits_BTV.flatten(0, 1), batch["ids"][:, 1:].flatten())
    loss = loss + F.cross_entropy(output.mtp_logits_BTV[0].flatten(0, 1), batch["ids"][:, 2:].flatten())
    return loss + output.aux_loss, {"aux_loss": output.aux_loss, "constant": 2.0}


def lines(out) -> list[dict[str, float]]:
    text = (out / "metrics" / "rank00000.jsonl").read_text()
    return [{k: v for k, v in json.loads(line).items() if k != "tokens_per_second"} for line in text.splitlines()]


def plain_loop() -> tuple[Transformer, list[float], list[float]]:
    """(model, losses, gradient norms) of the same training in plain PyTorch."""
    model = build().train()
    optimizer = torch.optim.AdamW(
        parameter_groups(model, CONFIG.weight_decay), betas=(CONFIG.beta1, CONFIG.beta2), eps=CONFIG.epsilon
    )
    losses, norms = [], []
    for step in range(CONFIG.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = CONFIG.schedule.rate(step, CONFIG.num_steps)
        total = torch.stack([objective(model, batch)[0] for batch in batches(step)]).mean()
        total.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CONFIG.gradient_clipping).item())
        losses.append(total.item())
        optimizer.step()
        optimizer.zero_grad()
        for router in routers(model):
            load = router.load_E.double()
            router.e_score_correction_bias += SHAPE.bias_update_rate * torch.sign(load.mean() - load).float()
            router.load_E.zero_()
    return model, losses, norms


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(folder, model, facts) of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole")
    model = build()
    return out, model, fit(model, objective, batches, out, CONFIG)


def test_losses_gradient_norms_and_weights_equal_plain_pytorch(whole):
    out, model, facts = whole
    plain, losses, norms = plain_loop()
    assert [line["loss"] for line in lines(out)] == pytest.approx(losses, rel=1e-5)
    assert [line["grad_norm"] for line in lines(out)] == pytest.approx(norms, rel=1e-4)
    assert max(norms) > CONFIG.gradient_clipping
    for (name, ours), theirs in zip(model.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4, msg=name)
    assert losses[-1] < losses[0]
    assert facts["steps"] == 7
    assert facts["tokens"] == 7 * 2 * 2 * 17
    assert facts["constant"] == 2.0


def run_cut_off(out, at: int) -> None:
    """Train until an error at step `at`; states are saved every two steps."""

    def failing(step: int) -> list[dict[str, torch.Tensor]]:
        if step == at:
            raise ConnectionResetError("the power went")
        return batches(step)

    with pytest.raises(ConnectionResetError):
        fit(build(), objective, failing, out, dataclasses.replace(CONFIG, save_every_steps=2))


def test_a_resumed_run_equals_an_uninterrupted_one_bit_by_bit(whole, tmp_path):
    out, model, _ = whole
    run_cut_off(tmp_path, 5)
    assert (tmp_path / "resume" / "LATEST").read_text() == "step-00000004\n"
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5]
    # what a kill in the middle of a save leaves is not looked at
    torn = tmp_path / "resume" / ".step-00000006.tmp"
    torn.mkdir()
    (torn / "state.safetensors").write_bytes(b"torn")
    seen = []

    def watched(step: int) -> list[dict[str, torch.Tensor]]:
        seen.append(step)
        return batches(step)

    resumed = build()
    fit(resumed, objective, watched, tmp_path, dataclasses.replace(CONFIG, save_every_steps=2))
    assert seen == [4, 5, 6]
    assert lines(tmp_path) == lines(out)
    assert all(
        torch.equal(a, b) for a, b in zip(resumed.state_dict().values(), model.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("lost", ["exp_avg.", "buffer."])
def test_a_state_without_moments_or_router_bias_would_be_noticed(lost, whole, tmp_path):
    from safetensors.torch import load_file, save_file

    out, model, _ = whole
    run_cut_off(tmp_path, 4)
    file = tmp_path / "resume" / "step-00000004" / "state.safetensors"
    tensors = load_file(file)
    assert any(name.startswith(lost) for name in tensors)
    save_file({n: torch.zeros_like(t) if n.startswith(lost) else t for n, t in tensors.items()}, file)
    resumed = build()
    fit(resumed, objective, batches, tmp_path, CONFIG)
    same = [torch.equal(a, b) for a, b in zip(resumed.state_dict().values(), model.state_dict().values(), strict=True)]
    assert not all(same)


def test_the_state_of_another_model_is_refused(tmp_path):
    run_cut_off(tmp_path, 3)
    other = Transformer(dataclasses.replace(SHAPE, intermediate_size=40))
    with pytest.raises(ValueError, match="state of another model"):
        fit(other, objective, batches, tmp_path, CONFIG)


def test_a_rank_without_batches_is_named(tmp_path):
    with pytest.raises(ValueError, match="no micro-batch"):
        fit(build(), objective, lambda step: [], tmp_path, CONFIG)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"num_steps": 0}, "num_steps=0"), ({"beta2": 1.0}, "beta2=1.0"), ({"weight_decay": -1}, "-1")],
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Fit(**fields)
