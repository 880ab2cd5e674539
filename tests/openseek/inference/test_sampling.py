import math
from typing import Any

import pytest
import torch

from openseek.inference.sampling import Sampling, draw, log_distribution, sample_seed, uniforms


def test_a_random_stream_depends_on_its_seed_and_not_on_the_batch() -> None:
    seeds = [sample_seed(1, "prompt", i) for i in range(4)]
    assert torch.equal(uniforms(seeds, 5)[2], uniforms([seeds[2]], 5)[0])
    assert len(set(seeds)) == 4
    assert sample_seed(1, "a", "b") != sample_seed(1, "ab", "")


def test_drawn_frequencies_are_the_distribution() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0]]).expand(20_000, 4)
    sampling = Sampling(temperature=0.7)
    logprobs = log_distribution(logits, sampling)
    tokens = draw(
        logprobs, torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), sampling
    )
    frequencies = torch.bincount(tokens, minlength=4) / 20_000
    assert torch.allclose(frequencies, logprobs[0].exp(), atol=0.015)
    # Control: at another temperature the same test fails.
    assert not torch.allclose(frequencies, torch.softmax(logits[0], -1), atol=0.015)


def test_top_p_keeps_the_smallest_set_and_renormalises() -> None:
    logits = torch.tensor([[math.log(0.5), math.log(0.3), math.log(0.15), math.log(0.05)]])
    logprobs = log_distribution(logits, Sampling(top_p=0.7))
    assert torch.allclose(logprobs[0, :2].exp(), torch.tensor([0.625, 0.375]))
    assert torch.isinf(logprobs[0, 2:]).all()
    tiny = log_distribution(logits, Sampling(top_p=1e-9))
    assert tiny[0].exp().tolist() == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("uniform", [0.0, 0.999999999999, 0.5])
def test_tokens_of_probability_zero_are_never_drawn(uniform: float) -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    token = draw(log_distribution(logits, Sampling()), torch.tensor([uniform], dtype=torch.float64), Sampling())
    assert int(token) in (1, 3)


def test_nan_logits_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN logits"):
        draw(torch.tensor([[0.0, torch.nan]]), torch.zeros(1, dtype=torch.float64), Sampling())


@pytest.mark.parametrize(
    "field, value", [("temperature", -1.0), ("top_p", 0.0), ("top_p", 1.5), ("top_k", -1), ("max_new_tokens", 0)]
)
def test_settings_out_of_range_name_the_field(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Sampling(**{field: value})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("settings", [{"top_k": 5}, {"top_k": 5, "top_p": 0.6}, {"top_p": 0.6}, {"top_k": 99}])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_distribution_is_that_of_transformers_own_warpers(settings: dict[str, Any], temperature: float) -> None:
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    torch.manual_seed(0)
    logits = torch.randn(6, 40) * 2
    no_ids: Any = torch.zeros(6, 1, dtype=torch.long)
    warped: Any = TemperatureLogitsWarper(temperature)(no_ids, logits)
    if "top_k" in settings:
        warped = TopKLogitsWarper(settings["top_k"])(no_ids, warped)
    if "top_p" in settings:
        warped = TopPLogitsWarper(settings["top_p"])(no_ids, warped)
    ours = log_distribution(logits, Sampling(temperature=temperature, **settings)).exp()
    assert torch.allclose(ours, warped.softmax(-1), atol=1e-6)
    assert settings.get("top_k") != 5 or ((ours > 0).sum(-1) <= 5).all()
