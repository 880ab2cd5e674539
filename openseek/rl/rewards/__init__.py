"""Rewards: each scores one completion against the reference answer of its problem, between 0 and 1.

A reward is a pure function of two strings. It never raises for what a model may write: an answer that cannot be
read is a wrong answer. A reference that cannot be read is the problem file's fault and raises ValueError.
"""

from collections.abc import Callable

from openseek.rl.rewards.format import format_reward
from openseek.rl.rewards.math_answer import math_answer

Reward = Callable[[str, str], float]
"""(completion, reference answer) -> reward."""

REWARDS: dict[str, Reward] = {
    "math_answer": math_answer,
    "format": format_reward,
}
"""The rewards a recipe can name."""
