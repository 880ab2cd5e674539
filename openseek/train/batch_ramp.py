"""How many samples each optimizer step takes: a constant, or a number that grows over the first tokens.

A step's size and its first sample are pure functions of the step, so a ramp cuts the same stream of samples in other
places and changes nothing else. No torch at module level: configs live here.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass


@dataclass(frozen=True)
class BatchRamp:
    """A batch that grows from `start` to the full size, in equal increments spread evenly over the first tokens.

    Megatron's rampup_batch_size of [start, increment, samples] has tokens = samples * sequence_length. DeepSeek-V3
    grows from 3072 to 15360 sequences over 469e9 tokens; a small increment makes the growth as good as continuous.
    """

    start: int = 0
    """Windows of the first step; 0 has no ramp."""
    increment: int = 0
    """Windows that are added at a time."""
    tokens: int = 0
    """Trained tokens after which the batch has its full size."""

    def __post_init__(self) -> None:
        for name in ("start", "increment", "tokens"):
            value = getattr(self, name)
            if value < 0 or (self.start and not value):
                raise ValueError(f"batch_ramp.{name}={value} must be above 0, or all of batch_ramp 0 for no ramp")
            if value and not self.start:
                raise ValueError(f"batch_ramp.{name}={value} does nothing without batch_ramp.start: give it too")

    def check(self, global_batch_size: int, at_once: int) -> None:
        """ValueError unless the full size is reached by whole increments and all sizes are multiples of `at_once`.

        at_once: windows of one forward pass over all ranks, dp * micro_batch_size.
        """
        if not self.start:
            return
        if self.start > global_batch_size or (global_batch_size - self.start) % self.increment:
            raise ValueError(
                f"batch_ramp from {self.start} by {self.increment} does not arrive at "
                f"global_batch_size={global_batch_size}: their difference must be a multiple of the increment"
            )
        for name, value in (("batch_ramp.start", self.start), ("batch_ramp.increment", self.increment)):
            if value % at_once:
                raise ValueError(
                    f"{name}={value} must be a multiple of dp * micro_batch_size={at_once}, so that every step divides "
                    "into equal micro-batches: change it, or lower micro_batch_size"
                )


class BatchSizes:
    """Samples of every optimizer step, counted from 0, and the tokens before it.

    After n trained tokens of a ramp, a step takes start + increment * floor(n * increments / ramp.tokens) samples; this
    is Megatron's rule in whole numbers.
    """

    def __init__(self, global_batch_size: int, sequence_length: int, ramp: BatchRamp = BatchRamp()) -> None:
        self._length = sequence_length
        self._steps, self._samples, self._sizes = [0], [0], [global_batch_size]
        if not ramp.start or ramp.start == global_batch_size:
            return
        increments = (global_batch_size - ramp.start) // ramp.increment
        self._sizes = [ramp.start]
        done = 0
        while done < increments:
            # the step that begins with or after the first token of the next size has that size, or a later one
            samples, size = self._samples[-1], self._sizes[-1]
            due = -(-(done + 1) * ramp.tokens // (increments * sequence_length))
            steps = -(-(due - samples) // size)
            samples += steps * size
            done = min(increments, samples * sequence_length * increments // ramp.tokens)
            self._steps.append(self._steps[-1] + steps)
            self._samples.append(samples)
            self._sizes.append(ramp.start + done * ramp.increment)

    def size(self, step: int) -> int:
        """Samples of optimizer step `step`, over all ranks."""
        return self._sizes[bisect.bisect_right(self._steps, step) - 1]

    def samples_before(self, step: int) -> int:
        """Samples of all steps before `step`: the number of its first one."""
        at = bisect.bisect_right(self._steps, step) - 1
        return self._samples[at] + (step - self._steps[at]) * self._sizes[at]

    def tokens_before(self, step: int) -> int:
        """Trained tokens of all steps before `step`."""
        return self.samples_before(step) * self._length

    def steps_for(self, tokens: float) -> int:
        """The least number of steps that train on at least so many tokens."""
        samples = -(-tokens // self._length)
        at = bisect.bisect_left(self._samples, samples, lo=1) - 1
        return self._steps[at] + max(0, int(-(-(samples - self._samples[at]) // self._sizes[at])))
