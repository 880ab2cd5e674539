"""Sound mathematics stays; what an extraction left of it goes, by the rule that says what is wrong."""

import pyarrow.parquet as pq
import pytest

from openseek.data.filters.mathematics import Mathematics
from openseek.data.transform import apply

PROSE = "The function is continuous on the closed interval, so it takes its maximum there.\n"


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (PROSE + "Let $f(x) = x^2$ and $$g = 2f$$ be given.", []),
        (PROSE * 3, []),
        ("", []),
        ("$" + "x+" * 200 + "y$ is", ["math_max_formula_density"]),
        (PROSE + "Let $f(x) = x^2 be\n\nLet $g = 2 too.", ["math_unclosed_formulas"]),
        (PROSE + r"\frac{a}{b and \sqrt{c", ["math_unbalanced_braces"]),
        (PROSE + r"\begin{proof} a", ["math_unbalanced_environments"]),
        (PROSE + "x\n=\n1\n+\n2", ["math_symbol_lines"]),
    ],
)
def test_rules(documents, text: str, rules: list[str]) -> None:
    _, dropped = apply([Mathematics(enabled=True)], documents([text], source="math"), task="filter")
    assert dropped["rule"].to_pylist() == rules
    _, dropped = apply([Mathematics(enabled=True)], documents([text], source="web"), task="filter")
    assert dropped.num_rows == 0


def test_a_least_density_can_be_asked_for(documents, samples) -> None:
    texts = pq.read_table(samples / "en_edu" / "fineweb-edu-docs.parquet", columns=["text"])["text"].to_pylist()
    step = Mathematics(enabled=True, sources=(), min_formula_density=0.05)
    kept, dropped = apply([step], documents([*texts, "Let $x^2 = y$ be."]), task="filter")
    assert kept["text"].to_pylist()[-1] == "Let $x^2 = y$ be."
    assert kept.num_rows < 0.1 * len(texts)
    assert "math_min_formula_density" in dropped["rule"].to_pylist()
