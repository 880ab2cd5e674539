"""Batched generation with a cache of past tokens.

Rows are grouped by length, padded on the left, prefilled once for each distinct prompt and decoded together; rows that
finish leave the batch. A sample's random numbers come from its own seed, so neither its batch nor its rank decides it
(up to the rounding of batched matrix products).

Letters: B rows of a batch, U distinct prompts, T position, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from openseek.inference.decoder import Decoder
from openseek.inference.sampling import Sampling, draw, log_distribution, uniforms
from openseek.model.cache import Cache
from openseek.model.transformer import Transformer


@dataclass(frozen=True)
class Sample:
    """One generated continuation."""

    prompt_ids: tuple[int, ...]
    """The prompt as given."""
    output_ids: tuple[int, ...]
    """Generated tokens; with finish reason "stop" the last one is the stop token, unless a stop text ended it."""
    logprobs: tuple[float, ...]
    """Log-probability of each output token under the distribution it was drawn from (float32)."""
    finish_reason: Literal["stop", "length"]
    """stop: a stop token or stop text; length: the limit on new tokens or the model's context."""


@dataclass
class _Row:
    index: int
    limit: int
    output_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: Literal["stop", "length"] | None = None


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """No gradients, and no training-mode statistics (router load): the former mode comes back afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def generate(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    seeds: Sequence[int],
    stop_ids: frozenset[int],
    ended: Callable[[list[int]], bool] | None = None,
    max_batch_size: int = 128,
) -> list[Sample]:
    """One sample for each prompt, in order; repeat a prompt (with other seeds) for several samples of it.

    seeds: one a prompt. stop_ids: tokens that end a sample. ended: may end one, given its output so far (stop texts).
    Raises ValueError for an empty prompt, one that fills the context, or ids outside the vocabulary.
    """
    if len(seeds) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts need as many seeds, got {len(seeds)}")
    for index, prompt in enumerate(prompts):
        _check_prompt(index, prompt, model)
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i]))
    samples: list[Sample | None] = [None] * len(prompts)
    with evaluating(model):
        for start in range(0, len(order), max_batch_size):
            indices = order[start : start + max_batch_size]
            for row in _generate_batch(model, prompts, indices, sampling, seeds, stop_ids, ended):
                assert row.finish_reason is not None
                samples[row.index] = Sample(
                    tuple(prompts[row.index]), tuple(row.output_ids), tuple(row.logprobs), row.finish_reason
                )
    return [sample for sample in samples if sample is not None]


def _check_prompt(index: int, prompt: Sequence[int], model: Transformer) -> None:
    context, vocabulary = model.config.max_position_embeddings, model.config.vocab_size
    if not prompt:
        raise ValueError(f"prompt {index} is empty: begin it with a token, such as the end-of-document id")
    if len(prompt) >= context:
        raise ValueError(f"prompt {index} has {len(prompt)} tokens, the context is {context}: shorten or drop it")
    if min(prompt) < 0 or max(prompt) >= vocabulary:
        raise ValueError(f"prompt {index} holds ids outside the vocabulary of {vocabulary}: use the model's tokenizer")


def _prefill(
    model: Transformer, prompts: list[tuple[int, ...]], repeats: list[int], new_tokens: int
) -> tuple[Tensor, Cache]:
    """Next-token logits [B, V] and a cache of B = sum(repeats) rows, having read each of the U prompts once."""
    embedding = model.embed_tokens.weight
    width = max(map(len, prompts))
    padding_U = torch.tensor([width - len(p) for p in prompts])
    # Padding is masked, so any id serves; 0 always exists.
    ids_UT = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=embedding.device)
    place = {"dtype": embedding.dtype, "device": embedding.device}
    # Expanding keys and values once is cheaper for many tokens; absorbed attention is cheaper for one.
    once = Cache(model.config, len(prompts), width, padding_B=padding_U, absorbed=False, **place)
    logits_UV = model(ids_UT, cache=once, last_only=True).logits_BTV[:, -1]
    rows_B = torch.repeat_interleave(torch.arange(len(prompts)), torch.tensor(repeats))
    rows_B = rows_B.to(embedding.device)
    cache = Cache(model.config, len(rows_B), width + new_tokens, **place)
    cache.copy_rows(once, rows_B)
    return logits_UV[rows_B], cache


def _generate_batch(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    indices: list[int],
    sampling: Sampling,
    seeds: Sequence[int],
    stop_ids: frozenset[int],
    ended: Callable[[list[int]], bool] | None,
) -> list[_Row]:
    """Decode the prompts of `indices` (equal prompts adjacent) until every row has finished."""
    context = model.config.max_position_embeddings
    rows = [_Row(i, min(sampling.max_new_tokens, context - len(prompts[i]))) for i in indices]
    repeats: dict[tuple[int, ...], int] = {}
    for i in indices:
        repeats[tuple(prompts[i])] = repeats.get(tuple(prompts[i]), 0) + 1
    steps = max(row.limit for row in rows)
    logits_BV, cache = _prefill(model, list(repeats), list(repeats.values()), steps)
    uniforms_BS = uniforms([seeds[i] for i in indices], steps).to(logits_BV.device)
    active, decoder = list(rows), Decoder(model, cache, steps)
    for step in range(steps):
        logprobs_BV = log_distribution(logits_BV, sampling)
        tokens_B = draw(logprobs_BV, uniforms_BS[:, step], sampling)
        chosen_B = logprobs_BV.gather(1, tokens_B[:, None])[:, 0]
        for row, token, logprob in zip(active, tokens_B.tolist(), chosen_B.tolist(), strict=True):
            row.output_ids.append(token)
            row.logprobs.append(logprob)
            if token in stop_ids or (ended is not None and ended(row.output_ids)):
                row.finish_reason = "stop"
            elif len(row.output_ids) == row.limit:
                row.finish_reason = "length"
        going = [place for place, row in enumerate(active) if row.finish_reason is None]
        if not going:
            break
        if len(going) < len(active):
            kept = torch.tensor(going, device=logits_BV.device)
            decoder.keep_rows(kept)
            tokens_B, uniforms_BS, active = tokens_B[kept], uniforms_BS[kept], [active[place] for place in going]
        logits_BV = decoder.step(tokens_B)
    return rows


def token_logprobs(logits_BTV: Tensor, ids_BT: Tensor, sampling: Sampling) -> Tensor:
    """Log-probability of each next token, float32 [B, T-1]: position t holds that of ids_BT[:, t+1]."""
    batch, length = ids_BT.shape
    flat = log_distribution(logits_BTV[:, :-1].reshape(batch * (length - 1), -1), sampling)
    return flat.gather(1, ids_BT[:, 1:].reshape(-1, 1)).view(batch, length - 1)
