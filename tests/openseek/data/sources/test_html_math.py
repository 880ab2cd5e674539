"""MathML becomes LaTeX, and an author's own TeX is preferred to it."""

import pytest
from lxml import html

from openseek.data.sources.html_math import latex_of, tidy

FORMULAS = [
    ("<msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mn>10</mn>", "x^2 + 10"),
    ("<msubsup><mi>x</mi><mi>i</mi><mrow><mi>n</mi><mo>+</mo><mn>1</mn></mrow></msubsup>", "x_i^{n + 1}"),
    ("<msup><mrow><mo>(</mo><mi>a</mi><mo>)</mo></mrow><mn>2</mn></msup>", "{(a)}^2"),
    (
        "<mfrac><mrow><mo>-</mo><mi>b</mi><mo>±</mo><msqrt><msup><mi>b</mi><mn>2</mn></msup><mo>−</mo><mn>4</mn><mi>a</mi>"
        "<mi>c</mi></msqrt></mrow><mrow><mn>2</mn><mi>a</mi></mrow></mfrac>",
        r"\frac{-b \pm \sqrt{b^2 - 4ac}}{2a}",
    ),
    ("<mroot><mi>x</mi><mn>3</mn></mroot>", r"\sqrt[3]{x}"),
    (
        "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><mi>α</mi><mi>x</mi>",
        r"\sum_{i = 1}^n\alpha x",
    ),
    ("<munder><mi>lim</mi><mrow><mi>n</mi><mo>→</mo><mi>∞</mi></mrow></munder>", r"\lim_{n \to \infty}"),
    ("<munder><mi>x</mi><mi>y</mi></munder>", r"\underset{y}{x}"),
    ("<mover><mi>x</mi><mo>¯</mo></mover><mover><mi>v</mi><mo>→</mo></mover>", r"\bar{x}\vec{v}"),
    ("<mover><mrow><mi>A</mi><mi>B</mi></mrow><mo>¯</mo></mover>", r"\overline{AB}"),
    (
        "<mi mathvariant='bold'>v</mi><mi>𝔽</mi><mi>ℝ</mi><mi>sin</mi><mi>θ</mi>",
        r"\mathbf{v}\mathbb{F}\mathbb{R}\sin\theta",
    ),
    ("<mi>rank</mi><mtext>if </mtext><mi>x</mi>", r"\mathrm{rank}\text{if }x"),
    ("<mfenced open='[' close=')'><mi>a</mi><mi>b</mi></mfenced>", "[a, b)"),
    ("<menclose notation='box'><mi>x</mi></menclose>", r"\boxed{x}"),
    ("<mo>{</mo><mi>a</mi><mo>}</mo><mo>%</mo>", r"\{a\}\%"),
    (
        "<mrow><mo>(</mo><mtable><mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr><mtr><mtd><mn>0</mn></mtd>"
        "<mtd><mn>1</mn></mtd></mtr></mtable><mo>)</mo></mrow>",
        r"\left( \begin{matrix} a & b \\ 0 & 1 \end{matrix} \right)",
    ),
    (
        "<mo>{</mo><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mi>x</mi><mo>&gt;</mo><mn>0</mn></mtd></mtr></mtable>",
        r"\left\{ \begin{matrix} 1 & x > 0 \end{matrix} \right.",
    ),
    ("<mmultiscripts><mi>C</mi><mi>k</mi><none/><mprescripts/><none/><mi>n</mi></mmultiscripts>", "{}^nC_k"),
    ("<mfrac linethickness='0'><mi>n</mi><mi>k</mi></mfrac>", r"\binom{n}{k}"),
    ("<mfrac><mi>broken</mi></mfrac>", r"\mathrm{broken}"),
    ("<semantics><mi>x</mi><annotation-xml encoding='MathML-Content'><ci>y</ci></annotation-xml></semantics>", "x"),
]


@pytest.mark.parametrize(("mathml", "tex"), FORMULAS)
def test_presentation_mathml_becomes_latex(mathml: str, tex: str) -> None:
    assert latex_of(html.fragment_fromstring(f"<math><mrow>{mathml}</mrow></math>")) == tex
    prefixed = mathml.replace("</", "\0").replace("<", "<mml:").replace("\0", "</mml:")
    assert latex_of(html.fragment_fromstring(f"<mml:math>{prefixed}</mml:math>")) == tex


def test_the_authors_own_tex_is_preferred() -> None:
    note = '<annotation encoding="application/x-tex">\\frac{a}{b} &lt; c</annotation>'
    assert (
        latex_of(html.fragment_fromstring(f"<math><semantics><mi>q</mi>{note}</semantics></math>"))
        == r"\frac{a}{b} < c"
    )
    alt = html.fragment_fromstring('<math alttext="{\\displaystyle x_{1}}"><mi>q</mi></math>')
    assert latex_of(alt) == "x_{1}"
    assert latex_of(html.fragment_fromstring('<math alttext="the letter q"><mi>q</mi></math>')) == "q"


def test_delimiters_and_wrappers_go() -> None:
    assert tidy("$$ x \n + y $$") == tidy("\\[x + y\\]") == tidy("{\\displaystyle x + y}") == "x + y"
    assert tidy("{\\displaystyle a}{b}") == "{\\displaystyle a}{b}"


def test_nesting_beyond_reason_is_text() -> None:
    deep = "<mrow><mi>a</mi>" * 150 + "<mi>x</mi>" + "</mrow>" * 150
    assert latex_of(html.fragment_fromstring(f"<math>{deep}</math>")).endswith("x")
