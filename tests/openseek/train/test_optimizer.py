"""The schedule's shape and the parameter groups."""

import pytest
import torch

from openseek.train.optimizer import Schedule, parameter_groups


def test_cosine_rises_then_falls_to_the_final_rate():
    schedule = Schedule(peak=1.0, final=0.1, warmup_steps=10)
    rates = [schedule.rate(step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[59] == pytest.approx(0.55, abs=0.01)
    assert rates[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(rates[9:], rates[10:], strict=False))


def test_wsd_is_flat_until_its_decay():
    schedule = Schedule(kind="wsd", peak=1.0, final=0.0, warmup_steps=2, decay_steps=5)
    rates = [schedule.rate(step, 20) for step in range(20)]
    assert set(rates[2:15]) == {1.0}
    assert rates[15:] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert Schedule(kind="constant", peak=3.0).rate(7, 9) == 3.0


@pytest.mark.parametrize(("fields", "message"), [({"kind": "linear"}, "kind='linear'"), ({"peak": -1.0}, "peak=-1.0")])
def test_a_wrong_schedule_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**fields)


def test_vectors_do_not_decay():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    matrices, vectors = parameter_groups(model, 0.1)
    assert [p.dim() for p in matrices["params"]] == [2] and matrices["weight_decay"] == 0.1
    assert len(vectors["params"]) == 3 and vectors["weight_decay"] == 0.0
