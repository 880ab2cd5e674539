"""Wikitext to text: what goes, what stays, and what is refused before it costs minutes."""

import contextlib
import time

import pytest

from openseek.data.sources.wikitext import MAX_CHARACTERS, TooComplex, Wikitext

WIKI = Wikitext({"file": 6, "category": 14, "portal": 100, "datei": 6}, "zh-cn")


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''Bold''' ''it'' '''''both''''' l'eau", "Bold it both l'eau"),
        ("[[a]] [[b|c]] [[:Category:D]] [[b#x|y]] [[Portal:Z|z]]", "a c Category:D y z"),
        ("x[[File:a.png|thumb|A [[b]] and {{c}}]][[Category:D]][[Datei:e.png]][[图像:f.png]]y[[fr:G]]", "xy"),
        ("[http://a.b label] [http://a.b] http://c.d", "label http://c.d"),
        ("a<ref>{{cite|x=<!-- y -->}}</ref><ref name=b/><ref name='c'>d</ref>.", "a."),
        ("a<!-- b\n\n{{c -->d", "ad"),
        ("{{Infobox|a={{b|{{c}}}}\n|d=[[e|f]]}}text{{unclosed", "textunclosed"),
        ("a\n{| class=x\n! b || c\n|-\n| d\n{|\n| nested\n|}\n|}\ne", "a\n\ne"),
        ("10<sup>-6</sup> H<sub>2</sub>O<br/>&nbsp;&lt;b&gt; &alpha;", "10^-6 H2O\n<b> α"),
        ("* a\n** b\n# c\n: d\n; e", "- a\n- b\n- c\nd\ne"),
        ("Foo ({{lang|fr|été}}; {{IPAc-en|x}}; [[File:a.ogg]]) bar ({{x}})", "Foo (été) bar"),
        (
            "{{convert|5|to|10|km|mi}} {{convert|3|kg}} {{frac|1|2}} {{circa|1900}}{{snd}}b",
            "5 to 10 km 3 kg 1/2 c. 1900 – b",
        ),
        ("{{lang|de|[[a|b]] c}} {{lang-en|d}} {{nihongo|e|絵|e}} {{formatnum:1234}}", "b c d e (絵, e) 1234"),
        ("__NOTOC__ a {{{1|b}}} c", "a c"),
        ("<nowiki>'''[[raw]]</nowiki> <div>block</div>x", "'''[[raw]]\nblock\nx"),
        ("-{zh-hans:软件;zh-hant:軟體}- -{plain}- -{H|zh-cn:a;zh-tw:b}-", "软件 plain"),
        ("שלום \u202babc\u202c e\u0301 👩‍👩‍👧", "שלום \u202babc\u202c e\u0301 👩‍👩‍👧"),
    ],
)
def test_markup_becomes_text(wikitext: str, text: str) -> None:
    assert WIKI.plain(wikitext) == text


def test_formulas_and_code_stay_as_they_stand() -> None:
    code = 'def f(x):\n    if x < 1:\n\n\n        return "{{x}}"  # [[y]]'
    escaped = code.replace("<", "&lt;")
    for tag in ("syntaxhighlight lang='python'", "source lang=python", "pre"):
        assert WIKI.plain(f"a\n<{tag}>\n{escaped}\n</{tag.split()[0]}>\nb") == f"a\n\n{code}\n\nb"
    assert WIKI.plain("a <math>x'' &lt; {{a}} \\frac{1}{2}</math>.") == "a $x'' < {{a}} \\frac{1}{2}$."
    assert WIKI.plain('<math display="block">y</math> <chem>H2O</chem>') == "$$y$$ $\\ce{H2O}$"
    assert WIKI.plain("a <code>[[b]]</code> <syntaxhighlight inline lang=c>i++</syntaxhighlight>") == "a b i++"


def test_headings_stay_as_lines_unless_nothing_is_below_them() -> None:
    page = (
        "lead\n== A ==\n=== B ===\ntext\n=== C ===\n{{t}}\n== References ==\n{{reflist}}\n=== Notes ===\n<references/>"
    )
    assert WIKI.plain(page) == "lead\n\nA\n\nB\n\ntext"


@pytest.mark.parametrize(
    "hostile",
    [
        "{{" * 50_000,
        "{{lang|" * 50_000 + "}}" * 50_000,
        "{{" * 50_000 + "|}" * 50_000,
        "[[a|" * 50_000,
        "[[a|]" * 50_000,
        "{{a|[[b|" * 50_000,
        "<b>" * 50_000,
        "[http://a " * 50_000,
        "<ref>" * 50_000,
        "<math>" * 50_000,
        "<!--" * 50_000,
        ("*" * 30 + "\n") * 50_000,
        ":" * 250_000,
        "=a=\n" * 50_000,
        " " * 1_000_000 + "(",
        "(" * 500_000,
        "\n" * 1_000_000 + ")",
        "{{lang" + "|" * 250_000 + "}}",
        "&#" * 50_000,
        "<div>" * 250 + "x" * 1000,
    ],
    ids=lambda text: text[:10].strip(),
)
def test_hostile_markup_ends_soon(hostile: str) -> None:
    started = time.process_time()
    with contextlib.suppress(TooComplex):
        WIKI.plain(hostile)
    assert time.process_time() - started < 60


def test_limits_are_told() -> None:
    with pytest.raises(TooComplex, match=rf"{MAX_CHARACTERS + 1} characters, more than {MAX_CHARACTERS}"):
        WIKI.plain("x" * (MAX_CHARACTERS + 1))
    with pytest.raises(TooComplex, match=r"more than 300 \[\[ are opened and not closed"):
        WIKI.plain("[[a|" * 400)
    # A long list of lines with breaks and closed tags is no such thing.
    assert WIKI.plain("<b>a</b><br>[[b]]<li>" * 400).count("b") == 400
