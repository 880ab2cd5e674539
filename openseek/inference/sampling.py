"""How the next token is drawn: temperature, top-k, top-p, and a random stream for each sample."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Settings of one generation."""

    temperature: float = 1.0
    """Divides the logits; 0 takes the most likely token."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens that holds this probability; log-probabilities are renormalised over it."""
    top_k: int = 0
    """Draw from so many of the most likely tokens, before top_p; 0 from all."""
    max_new_tokens: int = 64
    """Most tokens generated for one prompt; a sample that reaches it finishes with "length"."""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"sampling.temperature is {self.temperature}: it must be 0 (greedy) or above")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"sampling.top_p is {self.top_p}: it must lie above 0 and at most at 1")
        if self.top_k < 0:
            raise ValueError(f"sampling.top_k is {self.top_k}: it must be 0 (all tokens) or above")
        if self.max_new_tokens < 1:
            raise ValueError(f"sampling.max_new_tokens is {self.max_new_tokens}: it must be at least 1")


def sample_seed(*parts: object) -> int:
    """A 63-bit seed from what identifies a sample (seed, step, prompt, index): equal on every rank, in every batch."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def uniforms(seeds: list[int], count: int) -> Tensor:
    """Random numbers in [0, 1), float64 [len(seeds), count]: row i depends on seeds[i] alone."""
    import torch

    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        rows.append(torch.rand(count, generator=generator, dtype=torch.float64))
    return torch.stack(rows)


def log_distribution(logits_BV: Tensor, sampling: Sampling) -> Tensor:
    """Log-probabilities that tokens are drawn with, float32 [B, V].

    Temperature first, then top-k, then top-p, each renormalised (-inf outside the set). At temperature 0 it is the
    model's own distribution: the point mass that greedy decoding draws from has no useful log-probability.
    """
    import torch

    temperature = sampling.temperature or 1.0
    logprobs_BV = torch.log_softmax(logits_BV.float() / temperature, dim=-1)
    if (sampling.top_p == 1 and not sampling.top_k) or sampling.temperature == 0:
        return logprobs_BV
    sorted_BV, order_BV = logprobs_BV.sort(dim=-1, descending=True, stable=True)
    if sampling.top_k:
        sorted_BV[:, sampling.top_k :] = -torch.inf
        sorted_BV = torch.log_softmax(sorted_BV, dim=-1)
    # A token stays while the probability before it is below top_p, so the most likely one always does.
    before_BV = sorted_BV.exp().cumsum(-1) - sorted_BV.exp()
    sorted_BV = sorted_BV.masked_fill(before_BV >= sampling.top_p, -torch.inf)
    kept_BV = torch.empty_like(logprobs_BV).scatter_(-1, order_BV, sorted_BV)
    return torch.log_softmax(kept_BV, dim=-1)


def draw(logprobs_BV: Tensor, uniform_B: Tensor, sampling: Sampling) -> Tensor:
    """Token ids [B]: the inverse of the cumulative distribution at `uniform_B`, or the most likely at temperature 0.

    Raises ValueError when a row is not a distribution (NaN logits).
    """
    if not bool(logprobs_BV.isnan().logical_not().all()):
        raise ValueError("the model gave NaN logits while generating: its training diverged; lower the learning rate")
    if sampling.temperature == 0:
        return logprobs_BV.argmax(-1)
    cumulative_BV = logprobs_BV.double().exp().cumsum(-1)
    target_B1 = (uniform_B.to(cumulative_BV) * cumulative_BV[:, -1])[:, None]
    # right=True skips tokens of probability 0; rounding cannot push the index past the end, as uniform < 1.
    return (cumulative_BV <= target_B1).sum(-1).clamp_(max=logprobs_BV.shape[-1] - 1)
