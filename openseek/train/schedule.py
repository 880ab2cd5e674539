"""The learning rate as a function of how far a training is. No torch at module level: configs live here.

A rate belongs to a place, the steps or the tokens that are done once the step has ended: pretraining counts tokens, so
that a growing batch does not bend the curve; other trainings count steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from openseek.train.batch_ramp import BatchSizes

Way = Literal["constant", "linear", "cosine", "exponential", "geometric", "minus_sqrt"]
"""How a rate goes from one value to another, over the share s of the stretch that is done.

constant is at the second value throughout; cosine, exponential and minus_sqrt leave the first value by
(1 - cos(pi s)) / 2, 2 - 2 * 0.5^s and sqrt(s) of the difference (the last two as Megatron's WSD styles have them);
geometric is a straight line of the rate's logarithm.
"""
WAYS: tuple[Way, ...] = ("constant", "linear", "cosine", "exponential", "geometric", "minus_sqrt")


@dataclass(frozen=True)
class Piece:
    """A stretch of a learning-rate curve, from the rate where the piece before it ended."""

    kind: Way
    """constant (at `to` throughout), linear, cosine, exponential, geometric or minus_sqrt."""
    to: float
    """Rate at its end."""
    tokens: float = 0.0
    """Its length in trained tokens (pretraining); or give steps."""
    steps: int = 0
    """Its length in optimizer steps, from the first one that begins after the piece before; or give tokens."""

    def __post_init__(self) -> None:
        if self.kind not in WAYS:
            raise ValueError(f"piece.kind={self.kind!r}: use {', '.join(WAYS)}")
        if not 0 <= self.to < math.inf:
            raise ValueError(f"piece.to={self.to} must not be negative")
        if self.kind == "geometric" and not self.to:
            raise ValueError("piece.to=0 is never reached by kind=geometric: use another kind or a rate above 0")


@dataclass(frozen=True)
class Schedule:
    """Learning rate: linear warm-up, then cosine, linear, constant, constant with a late decay, or given pieces.

    A preset: deepseek_v3, the published curve over 14.8e12 tokens.
    """

    presets: ClassVar[str] = "openseek.train.schedule"

    kind: Literal["cosine", "linear", "constant", "wsd", "pieces"] = "cosine"
    """cosine, linear: to the final rate at the end; constant; wsd: constant, then down at the end; pieces."""
    peak: float = 1e-3
    """Rate after the warm-up; with kind pieces, where the first of them starts."""
    final: float = 1e-4
    """Rate at the end (cosine, linear, wsd)."""
    warmup_steps: int = 0
    """Steps of the linear rise; pretraining takes its warmup_tokens unless they are 0."""
    decay_steps: int = 0
    """Steps of the fall at the end (wsd); pretraining takes its decay_tokens unless they are 0."""
    decay_style: Way = "linear"
    """Form of that fall: linear, cosine, exponential, geometric or minus_sqrt."""
    pieces: tuple[Piece, ...] = ()
    """Pieces from the first step on, with the warm-up laid over them; after the last one its rate stays."""

    def __post_init__(self) -> None:
        if self.kind not in ("cosine", "linear", "constant", "wsd", "pieces"):
            raise ValueError(f"schedule.kind={self.kind!r}: use cosine, linear, constant, wsd or pieces")
        if self.decay_style not in WAYS:
            raise ValueError(f"schedule.decay_style={self.decay_style!r}: use {', '.join(WAYS)}")
        for name in ("peak", "final", "warmup_steps", "decay_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"schedule.{name}={getattr(self, name)} must not be negative")
        for number, piece in enumerate(self.pieces):
            if min(piece.tokens, piece.steps) < 0 or (piece.tokens > 0) == (piece.steps > 0):
                raise ValueError(
                    f"schedule.pieces.{number} has tokens={piece.tokens} and steps={piece.steps}: give its length by "
                    "one of them"
                )
        if bool(self.pieces) != (self.kind == "pieces"):
            raise ValueError(f"schedule.kind={self.kind!r} with {len(self.pieces)} pieces: kind=pieces needs them")
        fall = self.kind == "wsd" and self.decay_style == "geometric"
        rise = bool(self.pieces) and self.pieces[0].kind == "geometric"
        if (fall and not (self.peak and self.final)) or (rise and not self.peak):
            raise ValueError("a geometric fall needs rates above 0: raise schedule.peak and schedule.final")

    def rate(self, step: int, num_steps: int) -> float:
        """Learning rate of optimizer step `step`, counted from 0, of a training that counts its `num_steps`."""
        return self.curve(num_steps)(step + 1)

    def curve(
        self, num_steps: int, sizes: BatchSizes | None = None, warmup_tokens: int = 0, decay_tokens: int = 0
    ) -> Curve:
        """The rate by trained tokens, where `sizes` tells the tokens of the steps; without, by finished steps.

        warmup_tokens, decay_tokens: lengths that come before those in steps. ValueError names a piece whose length is
        in tokens where only steps are known.
        """
        for number, piece in enumerate(self.pieces):
            if sizes is None and piece.tokens:
                raise ValueError(
                    f"schedule.pieces.{number}.tokens={piece.tokens}: this training counts steps; give steps"
                )
        sizes = sizes or BatchSizes(1, 1)
        total = sizes.tokens_before(num_steps)
        warmup = warmup_tokens or sizes.tokens_before(self.warmup_steps)
        decay = decay_tokens or total - sizes.tokens_before(max(0, num_steps - self.decay_steps))
        if self.kind == "pieces":
            return Curve(warmup, self._stretches(sizes))
        if self.kind == "constant":
            return Curve(warmup, (Stretch(0, total, "constant", self.peak, self.peak),))
        if self.kind == "wsd":
            flat = Stretch(0, total - decay, "constant", self.peak, self.peak)
            return Curve(warmup, (flat, Stretch(total - decay, total, self.decay_style, self.peak, self.final)))
        return Curve(warmup, (Stretch(warmup, total, self.kind, self.peak, self.final),))

    def _stretches(self, sizes: BatchSizes) -> tuple[Stretch, ...]:
        stretches, begin, rate = [], 0.0, self.peak
        for piece in self.pieces:
            end = begin + piece.tokens
            if piece.steps:
                end = float(sizes.tokens_before(sizes.steps_for(begin) + piece.steps))
            stretches.append(Stretch(begin, end, piece.kind, rate, piece.to))
            begin, rate = end, piece.to
        return tuple(stretches)


@dataclass(frozen=True)
class Stretch:
    """Where a curve goes from the rate `first` to the rate `last`."""

    begin: float
    end: float
    way: Way
    first: float
    last: float


@dataclass(frozen=True)
class Curve:
    """A learning rate by place; places are trained tokens or finished steps."""

    warmup: float
    """Place where the linear rise from 0, which is laid over the rest, has ended."""
    stretches: tuple[Stretch, ...]
    """The rest, in order."""

    def __call__(self, done: float) -> float:
        """Rate of the step that ends at `done`."""
        rise = min(done / self.warmup, 1.0) if self.warmup else 1.0
        here = next((stretch for stretch in self.stretches if done <= stretch.end), self.stretches[-1])
        share = min(max((done - here.begin) / max(here.end - here.begin, 1e-9), 0.0), 1.0)
        return rise * _between(here.first, here.last, here.way, share)


def _between(first: float, last: float, way: Way, share: float) -> float:
    if way == "constant":
        return last
    if way == "geometric":
        return first * (last / first) ** share
    fall = {
        "linear": share,
        "cosine": (1 - math.cos(math.pi * share)) / 2,
        "exponential": 2 - 2 * 0.5**share,
        "minus_sqrt": math.sqrt(share),
    }[way]
    return first + (last - first) * fall


PRESETS = {
    "deepseek_v3": Schedule(
        kind="pieces",
        peak=2.2e-4,
        final=7.3e-6,
        warmup_steps=2000,
        pieces=(
            Piece("constant", to=2.2e-4, tokens=10e12),
            Piece("cosine", to=2.2e-5, tokens=4.3e12),
            Piece("constant", to=2.2e-5, tokens=333e9),
            Piece("constant", to=7.3e-6, tokens=167e9),
        ),
    )
}
"""Schedules by name. deepseek_v3: section 4.2 of the DeepSeek-V3 report (arXiv:2412.19437)."""
