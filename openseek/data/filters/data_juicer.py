"""Length rules after data-juicer (Chen et al., 2023): characters, words, mean line and mean sentence of a document.

The least values are the defaults of its operators text_length, words_num and average_line_length; it sets no upper
limits, ours are wide. The sentence rules are ours, after the same pattern.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, at_least, at_most

if TYPE_CHECKING:
    from openseek.data.transform import Statistics


@dataclasses.dataclass(frozen=True)
class DataJuicerLength(Filter):
    """Documents whose lines and sentences are as long as those of running text."""

    enabled: bool = False
    """Whether the step runs at all."""
    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: their lines are not sentences."""
    min_characters: int = 10
    """Fewest characters."""
    max_characters: int = 1_000_000
    """Most characters."""
    min_words: int = 10
    """Fewest words; an ideograph is one."""
    max_words: int = 500_000
    """Most words."""
    min_mean_line: float = 10.0
    """Least mean length of a line in characters, lines without text left out."""
    max_mean_line: float = 10_000.0
    """Greatest mean length of a line."""
    min_mean_sentence: float = 4.0
    """Least mean length of a sentence in characters, white space left out."""
    max_mean_sentence: float = 500.0
    """Greatest mean length of a sentence: above it the text has no marks, as lists of key words have none."""

    def __post_init__(self) -> None:
        for name in ("characters", "words", "mean_line", "mean_sentence"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if not 0 <= low <= high:
                raise ValueError(f"DataJuicerLength.min_{name} is {low} and max_{name} {high}: give 0 <= min <= max")

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Eight rules, all named juicer_*."""
        s = statistics
        values = {
            "characters": s["characters"],
            "words": s["words"],
            "mean_line": s.ratio("line_characters", "lines"),
            "mean_sentence": s.ratio("sentence_characters", "marked_sentences"),
        }
        found = {}
        for name, value in values.items():
            found[f"juicer_min_{name}"] = at_least(value, getattr(self, f"min_{name}"))
            found[f"juicer_max_{name}"] = at_most(value, getattr(self, f"max_{name}"))
        return found
