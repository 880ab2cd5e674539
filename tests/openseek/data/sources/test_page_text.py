"""Formulas and code survive extraction; without the words that stand for them they do not."""

import pytest

from benchmarks.planted_pages import plant, survived
from openseek.data.sources import warc_records
from openseek.data.sources.charset import decode
from openseek.data.sources.page_text import main_text
from openseek.data.sources.record import Bad, Limits
from openseek.raw_files import RawFile

P = "".join(
    f"<p>This is paragraph {i} of an article on things that one writes of when text is needed.</p>" for i in range(4)
)
NEAR = "<p>And here is the paragraph that follows it, which has as many words as the ones before.</p>"


def text_of(inner: str, extractor: str = "trafilatura") -> str:
    page = f"<html><body><nav><a href='/'>Home</a></nav><article><h1>Title</h1>{P}{inner}{NEAR}</article></body></html>"
    return main_text(page, extractor)


@pytest.fixture(scope="module")
def planted(samples):
    """Pages of the bundled archives with formulas and code planted in their paragraphs."""
    pages = []
    for name in ("en_web", "zh_web"):
        path = RawFile.at(samples / name / "docs.warc.gz")
        for number, record in enumerate(warc_records.Records(path, Limits(1 << 24, 1000.0))):
            assert not isinstance(record, Bad)
            status, headers, body = warc_records.http_head(record.block)
            decoded = decode(body, None)
            if number % 3 or status != 200 or "html" not in headers.get("content-type", "") or decoded is None:
                continue
            if (page := plant(decoded.text, lambda text: True, number)) is not None:
                pages.append(page)
    return pages[:60]


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_planted_formulas_and_every_code_line_survive(planted, extractor: str) -> None:
    formulas, lines = sum(len(p.formulas) for p in planted), sum(len(p.lines) for p in planted)
    assert formulas > 300
    kept = [survived(p, main_text(p.html, extractor)) for p in planted]
    assert sum(len(k) for k, _ in kept) >= 0.98 * formulas
    assert sum(n for _, n in kept) == lines
    # Control: the extractor by itself loses many of them.
    plain = [survived(p, main_text(p.html, extractor, blocks=False)) for p in planted]
    assert sum(len(k) for k, _ in plain) < 0.7 * formulas
    assert sum(n for _, n in plain) < lines


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>Text \\(a_1\\) with a formula in words enough to be kept by all.</p>", "Text $a_1$ with"),
        ("<p>It costs $5 or $6, and words enough to be kept by all of them.</p>", "It costs $5 or $6, and"),
        ("<p>\\begin{align} a &= b \\\\ c &= d \\end{align}</p>", "$$\\begin{align} a &= b \\\\ c &= d \\end{align}$$"),
        ("<p>$$<br>x = \\frac{1}{2}<br>$$</p>", "$$x = \\frac{1}{2}$$"),
        (
            '<p>So <img class="ztext-math" src="//z/equation?tex=x%5E2" alt="x^2"> is what we say here.</p>',
            "So $x^2$ is",
        ),
        (
            '<p>So <img src="//l/latex.php?latex=%5Calpha+%2B1&bg=f"> is what we say of it here.</p>',
            "So $\\alpha +1$ is",
        ),
        ('<p>So <img src="/photo.jpg" alt="a photo of math"> is what we say here and now.</p>', "So is what we say"),
        ('<p>So <span class="f" data-tex="y^3"></span> is what we say of it here and now.</p>', "So $y^3$ is"),
        ('<script type="math/mml"><math><mi>π</mi></math></script>', "$\\pi$"),
        ("<pre>a\n  b\n\n    c();</pre>", "```\na\n  b\n\n    c();\n```"),
        ('<pre><code class="language-c++">x;</code></pre>', "```c++\nx;\n```"),
        ("<pre>if x:<br>&nbsp;&nbsp;y()<br></pre>", "```\nif x:\n  y()\n```"),
        ("<pre>```\nx = 1;\n```</pre>", "````\n```\nx = 1;\n```\n````"),
        ("<code>one();<br>  two();</code>", "```\none();\n  two();\n```"),
        ("<pre>Roses are red,\n   violets are blue</pre>", "\nRoses are red,\n   violets are blue\n"),
        ("<p>Call <code>f(x, $y)</code> and do what the text says here and now.</p>", "Call f(x, $y) and"),
    ],
)
def test_notations(markup: str, expected: str, extractor: str) -> None:
    assert expected in text_of(markup, extractor)


def test_line_numbers_and_previews_go() -> None:
    table = (
        '<table class="highlighttable"><tr><td class="linenos"><pre>1\n2</pre></td>'
        '<td class="code"><pre>for i in x:\n    f(i)</pre></td></tr></table>'
    )
    assert "```\nfor i in x:\n    f(i)\n```\nAnd here" in text_of(table)
    mathjax = (
        '<p>Let <span class="MathJax_Preview">PRE</span><span class="MathJax">SHOWN</span>'
        '<script type="math/tex">x^2</script> be what it is, in words enough for a paragraph.</p>'
    )
    text = text_of(mathjax)
    assert "Let $x^2$ be" in text
    assert "PRE" not in text
    assert "SHOWN" not in text


def test_code_outside_the_content_stays_out() -> None:
    page = f"<html><body><article><h1>T</h1>{P}</article><footer><pre>junk = 1;</pre></footer>"
    page += "<div class='comments'><p>hi</p><pre>spam = 2;</pre></div></body></html>"
    text = main_text(page)
    assert "junk" not in text
    assert "spam" not in text


def test_a_page_that_is_all_code_is_its_code() -> None:
    for extractor in ("trafilatura", "resiliparse"):
        assert (
            main_text("<html><body><pre>x = 1;\n  y = 2;\n</pre></body></html>", extractor)
            == "```\nx = 1;\n  y = 2;\n```"
        )


def test_the_same_page_gives_the_same_text() -> None:
    first = text_of("<p>\\(a\\)</p><pre>x</pre>")
    main_text("<html><body><p>another page</p></body></html>")
    assert text_of("<p>\\(a\\)</p><pre>x</pre>") == first
