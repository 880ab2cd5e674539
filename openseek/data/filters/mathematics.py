"""Rules for mathematical text: enough formulas, delimiters that fit, words between the symbols.

Web extraction loses dollars and braces of LaTeX and leaves lines of bare symbols; OpenWebMath (Paster et al., 2023) and
FineMath (Allal et al., 2025) keep pages by the LaTeX that survives in them. The limits are ours.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, at_least, at_most

if TYPE_CHECKING:
    from openseek.data.transform import Statistics


@dataclasses.dataclass(frozen=True)
class Mathematics(Filter):
    """Mathematics that can be read as against what an extraction left of it."""

    enabled: bool = False
    """Whether the step runs at all."""
    sources: tuple[str, ...] = ("math",)
    """Only documents of these sources."""
    min_formula_density: float = 0.0
    """Least share of the bytes that stand in formulas; 0: word problems may have none."""
    max_formula_density: float = 0.9
    """Greatest share of the bytes that stand in formulas."""
    max_unclosed_formulas: float = 0.1
    """Greatest share of formulas that are opened and not closed."""
    max_unbalanced_braces: float = 0.1
    """Most braces without a partner for each opening one."""
    max_unbalanced_environments: float = 0.5
    """Most \\begin and \\end without a partner for each \\begin: a section cut from a book may lose one."""
    max_symbol_lines: float = 0.6
    """Greatest share of lines without a word."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Six rules, all named math_*."""
        import numpy as np

        s = statistics
        density = s.ratio("formula_bytes", "math_bytes")
        opened = np.maximum(s["formulas"] + s["unclosed_formulas"], 1)
        return {
            "math_min_formula_density": at_least(density, self.min_formula_density),
            "math_max_formula_density": at_most(density, self.max_formula_density),
            "math_unclosed_formulas": at_most(s["unclosed_formulas"] / opened, self.max_unclosed_formulas),
            "math_unbalanced_braces": at_most(s.ratio("unbalanced_braces", "braces"), self.max_unbalanced_braces),
            "math_unbalanced_environments": at_most(
                s.ratio("unbalanced_environments", "environments"), self.max_unbalanced_environments
            ),
            "math_symbol_lines": at_most(s.ratio("symbol_lines", "math_lines"), self.max_symbol_lines),
        }
