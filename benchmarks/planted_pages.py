"""Real pages with formulas and code planted in their main text, in every notation of the web, and what must survive."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

LEAST_CHARACTERS = 80
NOT_MAIN = re.compile(r"comment|footer|\bnav\b|\baside\b", re.IGNORECASE)
PARAGRAPHS = 8
"""Paragraphs of a page that something is planted in, at most."""


@dataclasses.dataclass(frozen=True)
class Planted:
    """A page with its plants."""

    html: str
    formulas: tuple[tuple[str, str], ...]
    """(notation, LaTeX without delimiters) of each formula."""
    lines: tuple[str, ...]
    """Every line of code, as it must come out."""


# Formulas that tell themselves apart by a number {n}: LaTeX, and the same as MathML.
FORMULAS = (
    (
        r"\frac{{a_{{{n}}} + 1}}{{b^2}}",
        "<mfrac><mrow><msub><mi>a</mi><mn>{n}</mn></msub><mo>+</mo><mn>1</mn></mrow><msup><mi>b</mi><mn>2</mn></msup></mfrac>",
    ),
    (r"\sqrt{{x^{{{n}}}}} \leq \alpha", "<msqrt><msup><mi>x</mi><mn>{n}</mn></msup></msqrt><mo>≤</mo><mi>α</mi>"),
    (
        r"\sum_{{i = 1}}^{{{n}}}x_i",
        "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mn>{n}</mn></munderover><msub><mi>x</mi><mi>i</mi></msub>",
    ),
    (
        r"\left( \begin{{matrix}} {n} & 0 \\ 0 & \lambda \end{{matrix}} \right)",
        "<mrow><mo>(</mo><mtable><mtr><mtd><mn>{n}</mn></mtd><mtd><mn>0</mn></mtd></mtr><mtr><mtd><mn>0</mn></mtd>"
        "<mtd><mi>λ</mi></mtd></mtr></mtable><mo>)</mo></mrow>",
    ),
    (
        r"\overset{{!}}{{=}} {n}\hat{{y}}",
        "<mover><mo>=</mo><mo>!</mo></mover><mspace width='0.2em'/><mn>{n}</mn><mover><mi>y</mi><mo>^</mo></mover>",
    ),
    (r"f(x) = {n}\sin\theta", "<mi>f</mi><mo>(</mo><mi>x</mi><mo>)</mo><mo>=</mo><mn>{n}</mn><mi>sin</mi><mi>θ</mi>"),
    (
        r"\int_0^{{{n}}}\mathrm{{erf}}x",
        "<msubsup><mo>∫</mo><mn>0</mn><mn>{n}</mn></msubsup><mi>erf</mi><mi>x</mi>",
    ),
)
CODE = (
    "def step_{n}(values):\n    total = 0\n    for value in values:\n        if value < {n}:\n\n"
    "            total += value\n    return total",
    '#include <stdio.h>\n\nint main{n}(void) {{\n\tprintf("%d\\n", {n} && 1);\n\treturn 0;\n}}',
    "$ tar -xf archive-{n}.tar.gz\n$ cd archive-{n}\n$ make && sudo make install",
    "server {{\n  listen {n};\n  location / {{\n    root   /srv/{n};\n  }}\n}}",
    "SELECT id, name\n  FROM t{n}\n WHERE id > {n}\n   AND name <> 'x';",
)


def _annotated(tex: str, mathml: str) -> str:
    note = f'<annotation encoding="application/x-tex">{escape(tex)}</annotation>'
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mrow>{mathml}</mrow>{note}</semantics></math>'


def _katex(tex: str, mathml: str) -> str:
    shown = '<span class="katex-html" aria-hidden="true"><span class="base"><span class="mord">12</span></span></span>'
    return f'<span class="katex"><span class="katex-mathml">{_annotated(tex, mathml)}</span>{shown}</span>'


def _mathjax2(tex: str, mathml: str) -> str:
    shown = (
        '<span class="MathJax_Preview">[math]</span><span class="MathJax" role="presentation"><nobr>x1</nobr></span>'
    )
    return f'{shown}<script type="math/tex" id="MathJax-Element-1">{tex}</script>'


def _mathjax3(tex: str, mathml: str) -> str:
    assistive = f'<mjx-assistive-mml unselectable="on" display="inline"><math>{mathml}</math></mjx-assistive-mml>'
    shown = '<mjx-math aria-hidden="true"></mjx-math>'
    return f'<mjx-container class="MathJax" jax="CHTML">{shown}{assistive}</mjx-container>'


def _wikipedia(tex: str, mathml: str) -> str:
    wrapped = escape(f"{{\\displaystyle {tex}}}")
    math = f'<math alttext="{wrapped}"><semantics><mrow>{mathml}</mrow></semantics></math>'
    image = f'<img src="https://wikimedia.org/api/rest_v1/media/math/render/svg/0a" alt="{wrapped}" aria-hidden="true">'
    hidden = f'<span class="mwe-math-mathml-inline" style="display: none;">{math}</span>'
    return f'<span class="mwe-math-element">{hidden}{image}</span>'


INLINE: dict[str, Callable[[str, str], str]] = {
    "MathML": lambda tex, mathml: f"<math><mrow>{mathml}</mrow></math>",
    "MathML with TeX": _annotated,
    "KaTeX": _katex,
    "MathJax 2": _mathjax2,
    "MathJax 3": _mathjax3,
    r"\(..\)": lambda tex, mathml: f"\\({escape(tex)}\\)",
    "$..$": lambda tex, mathml: f"${escape(tex)}$",
    "Wikipedia": _wikipedia,
    "WordPress": lambda tex, mathml: (
        f'<img src="https://s0.wp.com/latex.php?latex={quote(tex)}&amp;bg=fff" alt="{escape(tex)}" class="latex" />'
    ),
}
DISPLAY: dict[str, Callable[[str, str], str]] = {
    "$$..$$": lambda tex, mathml: f"<p>$${escape(tex)}$$</p>",
    r"\[..\]": lambda tex, mathml: f"<div>\\[\n{escape(tex)}\n\\]</div>",
    "MathML block": lambda tex, mathml: f'<div class="equation"><math display="block">{mathml}</math></div>',
    "KaTeX display": lambda tex, mathml: f'<p><span class="katex-display">{_katex(tex, mathml)}</span></p>',
    "MathJax 2 display": lambda tex, mathml: f'<p><script type="math/tex; mode=display">{tex}</script></p>',
}
BLOCKS: tuple[Callable[[str], str], ...] = (
    lambda code: f"<pre>{escape(code)}</pre>",
    lambda code: f'<pre><code class="language-x">{escape(code)}</code></pre>',
    lambda code: f'<div class="highlight"><pre><span></span>{_spanned(code)}</pre></div>',
    lambda code: (
        '<table class="highlighttable"><tr><td class="linenos"><pre>1\n2\n3</pre></td><td class="code">'
        f"<div class='highlight'><pre>{escape(code)}</pre></div></td></tr></table>"
    ),
)


def _spanned(code: str) -> str:
    """Every word in a <span>, as highlighters do."""
    parts = re.split(r"(\w+)", code)
    return "".join(f'<span class="n">{part}</span>' if i % 2 else escape(part) for i, part in enumerate(parts))


def plant(page: str, is_main: Callable[[str], bool], number: int) -> Planted | None:
    """The page with formulas and code in paragraphs whose text is main content; None when it has none.

    `number` makes its plants its own. Code that the page shows itself, beside main paragraphs, is not counted.
    """
    from lxml import html

    tree = html.document_fromstring(page.encode(), parser=html.HTMLParser(encoding="utf-8"))
    formulas: list[tuple[str, str]] = []
    lines: list[str] = []
    paragraphs = [p for p in tree.iter("p") if _usable(p, is_main)]
    for i, paragraph in enumerate(paragraphs[:PARAGRAPHS]):
        n = 1000 + 37 * number + i
        tex, mathml = (form.format(n=n) for form in FORMULAS[n % len(FORMULAS)])
        inline, display = list(INLINE)[n % len(INLINE)], list(DISPLAY)[n % len(DISPLAY)]
        formulas.append((inline, tex))
        _append(paragraph, f"<span>, where {INLINE[inline](tex, mathml)} holds.</span>")
        n += 20_000
        tex, mathml = (form.format(n=n) for form in FORMULAS[n % len(FORMULAS)])
        formulas.append((display, tex))
        code = CODE[n % len(CODE)].format(n=n)
        lines += [line.rstrip() for line in code.split("\n") if line.strip()]
        _after(paragraph, DISPLAY[display](tex, mathml), BLOCKS[i % len(BLOCKS)](code))
    if not formulas:
        return None
    return Planted(str(html.tostring(tree, encoding="unicode")), tuple(formulas), tuple(lines))


def _usable(paragraph: Any, is_main: Callable[[str], bool]) -> bool:
    """Whether it is a paragraph of the main text, and not of comments, footers or menus that say the same."""
    text = " ".join(paragraph.text_content().split())
    around = [paragraph, *paragraph.iterancestors()]
    if any(NOT_MAIN.search(f"{e.get('class') or ''} {e.get('id') or ''} {e.tag}") for e in around):
        return False
    return len(text) >= LEAST_CHARACTERS and around[1].tag != "li" and is_main(text)


def _append(paragraph: Any, markup: str) -> None:
    from lxml import html

    paragraph.append(html.fragment_fromstring(markup))


def _after(paragraph: Any, *markup: str) -> None:
    from lxml import html

    tail, paragraph.tail = paragraph.tail, None
    at = paragraph
    for part in markup:
        element = html.fragment_fromstring(part)
        at.addnext(element)
        at = element
    at.tail = tail


def survived(planted: Planted, text: str) -> tuple[list[str], int]:
    """(notations of the formulas that are in the text, number of code lines that stand in it as lines)."""
    flat = re.sub(r"\s+", "", text)
    kept = [notation for notation, tex in planted.formulas if re.sub(r"\s+", "", tex) in flat]
    have = {line.rstrip() for line in text.split("\n")}
    return kept, sum(line in have for line in planted.lines)


def planted_pages(pages: Sequence[tuple[str, Callable[[str], bool]]]) -> Iterator[Planted]:
    """Each (page, test of main text) with its plants, where it has main paragraphs."""
    for number, (page, is_main) in enumerate(pages):
        if (planted := plant(page, is_main, number)) is not None:
            yield planted
