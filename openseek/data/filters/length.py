"""Length limits, and text that a wrong decoding spoiled."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, at_least, at_most

if TYPE_CHECKING:
    from openseek.data.transform import Statistics


@dataclasses.dataclass(frozen=True)
class Length(Filter):
    """Documents too short to teach anything or too long to be one."""

    min_characters: int = 100
    """Fewest characters."""
    max_characters: int = 1_000_000
    """Most characters."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_characters <= self.max_characters:
            raise ValueError(
                f"Length.min_characters is {self.min_characters} and max_characters {self.max_characters}: "
                f"give 0 <= min_characters <= max_characters"
            )

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """length_min, length_max."""
        return {
            "length_min": at_least(statistics["characters"], self.min_characters),
            "length_max": at_most(statistics["characters"], self.max_characters),
        }


@dataclasses.dataclass(frozen=True)
class Garbled(Filter):
    """Text with traces of a wrong decoding, or hardly any letters."""

    max_replacements: float = 0.001
    """Greatest share of U+FFFD, what a decoder writes for bytes that it cannot read."""
    min_letters: float = 0.25
    """Least share of letters and ideographs; StarCoder's limit for code (Li et al., 2023)."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """garbled_replacements, garbled_letters."""
        letters = statistics.ratio("letters", "characters") + statistics.ratio("ideographs", "characters")
        return {
            "garbled_replacements": at_most(statistics.ratio("replacements", "characters"), self.max_replacements),
            "garbled_letters": at_least(letters, self.min_letters),
        }
