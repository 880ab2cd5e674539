"""The rules that FineWeb added to C4's and Gopher's (Penedo et al., 2024, section 3.6), decided as datatrove does."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, at_least, at_most

if TYPE_CHECKING:
    from openseek.data.transform import Statistics


@dataclasses.dataclass(frozen=True)
class FineWeb(Filter):
    """Running text as against lists and repeated page furniture; a line here has something other than white space."""

    enabled: bool = False
    """Whether the step runs at all."""
    languages: tuple[str, ...] = ("en",)
    """Only documents in these languages: the words of the last rule are English."""
    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: programs and formulas are not running text."""
    min_punctuated_lines: float = 0.12
    """Least share of lines that end with a mark that ends sentences."""
    max_short_lines: float = 0.67
    """Greatest share of lines of at most 30 characters."""
    max_duplicate_characters: float = 0.01
    """Greatest share of characters, newlines left out, in lines that stood there before."""
    max_newlines_per_word: float = 0.3
    """Most newlines a word, signs being words: above it the text is a list."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Four rules, all named fineweb_*."""
        import numpy as np

        s = statistics
        characters = np.maximum(s["characters"] - s["newlines"], 1)
        return {
            "fineweb_punctuated_lines": at_least(s.ratio("terminal_lines", "lines"), self.min_punctuated_lines),
            "fineweb_short_lines": at_most(s.ratio("short_lines", "lines"), self.max_short_lines),
            "fineweb_duplicate_characters": at_most(
                s["repeated_line_characters"] / characters, self.max_duplicate_characters
            ),
            "fineweb_newlines_per_word": at_most(s.ratio("newlines", "words"), self.max_newlines_per_word),
        }
