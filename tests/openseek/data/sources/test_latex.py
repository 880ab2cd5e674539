"""LaTeX: bodies, inputs within the source root, comments, chapters."""

from pathlib import Path

import pytest

from openseek.data.sources import Source, latex
from openseek.data.sources.record import Bad, Item, Limits, Row, Skipped
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=50_000, expansion=1000)
PAPER = (
    r"""\documentclass[12pt]{article} % a class
\title{On \emph{things} \\ and more}
\author{Ann \and Bo}
\newcommand{\x}{\mathbf{x}}
\begin{document}
\maketitle
\begin{abstract}Short.\end{abstract}
% a comment line
\section{Intro}\label{sec:intro}
Half of it is 50\% certain~\cite[p.~3]{a,b}, see \eqref{eq:e} % why
and \citep{c}. \\% a break
\begin{equation}\label{eq:e}
  \frac{a}{b} = \x^2 % the formula
\end{equation}
\begin{verbatim}
  % kept \cite{x} \label{y}
\end{verbatim}
\begin{comment}
never
\end{comment}
\iffalse gone \fi
\section[Short]{The \textbf{End} {of} it}
Use \verb|a % b \cite{z}| here. 中文 👩‍👩‍👧 e"""
    + "\u0301"
    + r"""
\bibliography{refs}
\end{document}
after
"""
)


def read(root: Path, name: str, split: str = "", limits: Limits = LIMITS) -> list[Item]:
    file = RawFile(str(root / name), name, (root / name).stat().st_size)
    return list(latex.read(file, Source("papers", str(root), split=split), limits))  # type: ignore[arg-type]


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".tex")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_paper_is_its_body_with_formulas_and_code_as_they_stand(tmp_path: Path) -> None:
    write(tmp_path, a=PAPER)
    (item,) = read(tmp_path, "a.tex")
    assert isinstance(item, Row)
    assert item.text == (
        "\\begin{abstract}Short.\\end{abstract}\n\\section{Intro}\nHalf of it is 50\\% certain, see \\eqref{eq:e} and. "
        "\\\\\\begin{equation}\n  \\frac{a}{b} = \\x^2 \\end{equation}\n"
        "\\begin{verbatim}\n  % kept \\cite{x} \\label{y}\n"
        "\\end{verbatim}\n\n\\section[Short]{The \\textbf{End} {of} it}\nUse \\verb|a % b \\cite{z}| here. "
        "中文 👩‍👩‍👧 e\u0301"
    )
    assert item.meta == {"path": "a.tex", "title": "On \\emph{things} and more", "author": "Ann \\and Bo"}


def test_chapters_and_sections(tmp_path: Path) -> None:
    body = r"\begin{document}Preface. \chapter{One} a \section{S} b \chapter*{Two {x}} c \end{document}"
    write(tmp_path, a=PAPER, book=r"\documentclass{book}" + body, part=r"\chapter{Only} text")
    assert len(read(tmp_path, "a.tex", "")) == 1
    told = {
        name: [(i.position, i.meta.get("chapter")) for i in read(tmp_path, name, split) if isinstance(i, Row)]
        for name, split in (("a.tex", "chapter"), ("book.tex", ""), ("part.tex", ""))
    }
    assert told == {
        "a.tex": [(0, None), (1, "Intro"), (2, "The \\textbf{End} {of} it")],
        "book.tex": [(0, None), (1, "One"), (2, "Two {x}")],
        "part.tex": [(0, "Only")],
    }
    assert len(read(tmp_path, "book.tex", "file")) == 1


def test_inputs_are_followed_below_the_root_and_read_once(tmp_path: Path) -> None:
    (tmp_path / "secret.tex").write_text("SECRET")
    root = tmp_path / "root"
    write(
        root,
        book__main=r"\documentclass{book}\begin{document}\include{ch/one} \input ch/two.tex"
        r" \input{../../secret} \input{/etc/passwd} \input{nowhere} %\input{off}"
        "\n" + r"\input{link}\end{document}",
        book__ch__one=r"\chapter{One} first \input{ch/deep}",
        book__ch__deep=r"deep \input{ch/one}",
        book__ch__two="second",
        book__off="on its own",
    )
    (root / "book" / "link.tex").symlink_to(tmp_path / "secret.tex")
    (item,) = read(root, "book/main.tex", "file")
    assert isinstance(item, Row)
    assert "SECRET" not in item.text and "root:" not in item.text
    assert "first deep" in item.text and "second" in item.text
    assert set(item.meta["inputs_missing"]) >= {"../../secret", "/etc/passwd", "nowhere", "link", "ch/one"}
    for part in ("one", "deep", "two"):
        (dropped,) = read(root, f"book/ch/{part}.tex")
        assert dropped == Skipped(0, "input_elsewhere", detail="book/main.tex")
    (alone,) = read(root, "book/off.tex")
    assert isinstance(alone, Row) and alone.text == "on its own"


def test_what_grows_or_cannot_be_read_is_quarantined(tmp_path: Path) -> None:
    write(tmp_path, main=r"\documentclass{a}" + r"\input{part}" * 100, part="x" * 1000)
    (item,) = read(tmp_path, "main.tex")
    assert isinstance(item, Bad) and "with its inputs" in item.error
    write(tmp_path, long="x" * 50_001, bomb=r"\documentclass{a}" + r"\input{b1}" * 9)
    # Eight levels, so that depth alone does not stop it.
    for n in range(1, 9):
        write(tmp_path, **{f"b{n}": rf"\input{{b{n + 1}}}" * 9})
    (item,) = read(tmp_path, "long.tex")
    assert isinstance(item, Bad) and "max_record_bytes" in item.error
    (item,) = read(tmp_path, "bomb.tex")
    assert isinstance(item, Bad) and "with its inputs" in item.error
    (tmp_path / "nul.tex").write_bytes(b"a\0b")
    (item,) = read(tmp_path, "nul.tex")
    assert isinstance(item, Bad)
    write(tmp_path, empty="", only=r"\documentclass{a}\begin{document}% nothing" + "\n" + r"\end{document}")
    for name in ("empty.tex", "only.tex"):
        (item,) = read(tmp_path, name)
        assert isinstance(item, Skipped) and item.rule == "no_text"


def test_other_charsets_and_line_ends(tmp_path: Path) -> None:
    text = "\\section{标题}\r\n这是一个说明，我们在这里说明它的内容。% 注\r\n\r\n第二段是另一个说明。\r\n"
    (tmp_path / "a.tex").write_bytes(text.encode("gb18030"))
    (item,) = read(tmp_path, "a.tex")
    assert isinstance(item, Row)
    assert item.text == "\\section{标题}\n这是一个说明，我们在这里说明它的内容。\n\n第二段是另一个说明。"


@pytest.mark.parametrize(
    "hostile", [r"\begin{verbatim}", r"\iffalse ", r"\verb|", "%\n", r"\chapter{", r"\cite{", "{" * 20]
)
def test_hostile_markup_ends_soon(tmp_path: Path, hostile: str) -> None:
    write(tmp_path, a=hostile * (1_000_000 // len(hostile)))
    import time

    started = time.process_time()
    read(tmp_path, "a.tex", "chapter", Limits(1 << 20, 1000))
    # Quadratic work on a megabyte would take hours.
    assert time.process_time() - started < 60
