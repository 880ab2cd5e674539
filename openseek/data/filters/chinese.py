"""The Chinese rules of CCI4.0 (arXiv 2506.07463, section 3.1): characters a line and a document; and marks between."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, at_least, at_most

if TYPE_CHECKING:
    from openseek.data.transform import Statistics


@dataclasses.dataclass(frozen=True)
class ChineseQuality(Filter):
    """Chinese running text as against menus and word lists."""

    languages: tuple[str, ...] = ("zh",)
    """Only documents in these languages."""
    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources."""
    min_characters_per_line: float = 10.0
    """Least mean length of a non-empty line."""
    min_characters: int = 100
    """Fewest characters."""
    max_characters: int = 20_000
    """Most characters."""
    min_ideographs: float = 0.2
    """Least share of ideographs among all visible characters (our rule): low, for manuals full of commands."""
    min_mean_sentence: float = 3.0
    """Least mean length of a sentence, white space left out (our rule): below it are menus and tables."""
    max_mean_sentence: float = 300.0
    """Greatest mean length of a sentence (our rule): above it are key words without marks."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Six rules, all named chinese_*."""
        import numpy as np

        s = statistics
        visible = s["ideographs"] + s["letters"] + s["digits"] + s["symbols"]
        per_line = s.ratio("line_characters", "lines")
        sentence = s.ratio("sentence_characters", "marked_sentences")
        return {
            "chinese_characters_per_line": at_least(per_line, self.min_characters_per_line),
            "chinese_min_characters": at_least(s["characters"], self.min_characters),
            "chinese_max_characters": at_most(s["characters"], self.max_characters),
            "chinese_ideographs": at_least(s["ideographs"] / np.maximum(visible, 1), self.min_ideographs),
            "chinese_min_sentence": at_least(sentence, self.min_mean_sentence),
            "chinese_max_sentence": at_most(sentence, self.max_mean_sentence),
        }
