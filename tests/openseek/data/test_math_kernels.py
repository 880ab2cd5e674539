r"""Formulas, prices, delimiters that fit and that do not."""

import pyarrow as pa
import pytest

from openseek.data.math_kernels import STATISTICS, statistics


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"formulas": 0, "math_lines": 0}),
        ("\n\n", {"math_lines": 0, "symbol_lines": 0}),
        ("Let $x^2$ be $$y$$.", {"formulas": 2, "formula_bytes": 10, "unclosed_formulas": 0}),
        (r"So \(a\) and \[b\] end", {"formulas": 2, "formula_bytes": 10}),
        ("It costs $5 and then $10 more.", {"formulas": 0, "unclosed_formulas": 0}),
        ("From $5 to$ 7", {"formulas": 1}),
        (r"cost \$5 and \$6", {"formulas": 0, "unclosed_formulas": 0}),
        ("open $x and\n\nanother paragraph$", {"formulas": 0, "unclosed_formulas": 1}),
        ("open $$x", {"unclosed_formulas": 1}),
        (r"open \[x", {"unclosed_formulas": 1}),
        (r"\begin{align*}a&=b\end{align*}", {"formulas": 1, "environments": 1, "unbalanced_environments": 0}),
        (r"\begin{proof}a\end{proof}", {"formulas": 0, "environments": 1}),
        (r"\begin{proof}a", {"unbalanced_environments": 1}),
        (r"a\end{proof}", {"unbalanced_environments": 1}),
        (r"\frac{a}{b} \{ {", {"braces": 3, "unbalanced_braces": 1}),
        ("}{", {"braces": 1, "unbalanced_braces": 2}),
        ("x = 1 + 2\na word\n= y\n文字\nمرحبا\n👩‍👩‍👧", {"math_lines": 6, "symbol_lines": 3}),
    ],
)
def test_counts(text: str, expected: dict[str, int]) -> None:
    column = pa.array(["$before", text], pa.large_string()).slice(1)
    found: dict[str, int] = dict(zip(STATISTICS, statistics(column)[0].tolist(), strict=True))
    assert {name: found[name] for name in expected} == expected
