"""Rules for program text after StarCoder (Li et al., 2023, section 3.2): generated, minified and data files."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, at_least, at_most

if TYPE_CHECKING:
    from openseek.data.transform import Statistics


@dataclasses.dataclass(frozen=True)
class SourceCode(Filter):
    """Code that somebody wrote."""

    sources: tuple[str, ...] = ("code",)
    """Only documents of these sources."""
    max_line_characters: int = 1000
    """Length of the longest line."""
    max_mean_line_characters: float = 100.0
    """Greatest mean length of a non-empty line."""
    min_alphanumeric: float = 0.25
    """Least share of letters, ideographs and digits."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Three rules, all named code_*."""
        s = statistics
        alphanumeric = (s["letters"] + s["ideographs"] + s["digits"]) / s["characters"].clip(1)
        return {
            "code_longest_line": at_most(s["longest_line"], self.max_line_characters),
            "code_mean_line": at_most(s.ratio("line_characters", "lines"), self.max_mean_line_characters),
            "code_alphanumeric": at_least(alphanumeric, self.min_alphanumeric),
        }
