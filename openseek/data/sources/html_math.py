"""MathML to LaTeX: a walk over the elements of presentation MathML, with tables for operators, letters and accents.

An author's own TeX, kept beside the MathML as an annotation or `alttext`, is preferred: it is what was written.
"""

import re
import unicodedata
from typing import Any

from openseek.data.sources.html_symbols import ACCENTS, COMMANDS, FUNCTIONS, INFIX, LIMITS, UNDER_ACCENTS, VARIANTS

TEX_ENCODINGS = frozenset({"application/x-tex", "application/x-latex", "latex", "tex", "text/x-tex", "text/latex"})
COMMAND = re.compile(r"\\[A-Za-z]+")
ENDS_IN_COMMAND = re.compile(r"\\[A-Za-z]+$")
OPEN, CLOSE = frozenset("([{|‖⟨⌈⌊"), frozenset(")]}|‖⟩⌉⌋")
SPECIAL = {"{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_", "$": r"\$", "\\": r"\backslash"}
INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064\u200b\ufeff"))
STRIKES = frozenset({"updiagonalstrike", "downdiagonalstrike", "horizontalstrike", "verticalstrike"})
MAX_DEPTH = 100


def name(element: Any) -> str:
    """The local name of an element, without a prefix such as `mml:`; "" for comments and the like."""
    return element.tag.rpartition("}")[2].rpartition(":")[2].lower() if isinstance(element.tag, str) else ""


def latex_of(math: Any) -> str:
    """The LaTeX of a <math> element, without dollar signs; "" when there is nothing in it."""
    for part in math.iter():
        if name(part) == "annotation" and (part.get("encoding") or "").lower() in TEX_ENCODINGS:
            return tidy("".join(part.itertext()))
    alt = math.get("alttext") or ""
    return tidy(alt) if COMMAND.search(alt) else tidy(_row(math, 0))


def tidy(tex: str) -> str:
    """TeX on one line without the delimiters and the \\displaystyle that a renderer put around it."""
    tex = re.sub(r"(?<!\\)%[ \t]*\n", " ", tex)
    tex = " ".join(tex.split())
    for start, end in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if tex.startswith(start) and tex.endswith(end) and len(tex) > len(start) + len(end):
            tex = tex[len(start) : -len(end)].strip()
            break
    match = re.fullmatch(r"\{\s*\\(?:display|text)style\b(.*)\}", tex)
    if match and _balanced(match.group(1)):
        tex = match.group(1)
    return re.sub(r"^\s*\\(?:display|text)style\b", "", tex).strip()


def _balanced(tex: str) -> bool:
    """Whether its braces close in order, so that the braces around it belong together."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", tex):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def _join(parts: list[str]) -> str:
    """Parts side by side; a command is parted from the letter after it."""
    text = ""
    for part in parts:
        if part and part[0].isalpha() and ENDS_IN_COMMAND.search(text):
            text += " "
        text += part
    return text


def _element(node: Any, depth: int) -> str:
    """The LaTeX of one element."""
    kind = name(node)
    if depth > MAX_DEPTH:
        return _plain("".join(node.itertext()))
    if kind in _LEAVES:
        return _LEAVES[kind](node)
    children = [child for child in node if name(child)]
    layout = _LAYOUTS.get(kind)
    if layout is None:
        return _row(node, depth)
    least, function = layout
    # A fraction with one part or a power without an exponent is broken; its parts are kept side by side.
    return function(node, children, depth + 1) if len(children) >= least else _row(node, depth)


def _row(node: Any, depth: int) -> str:
    """Elements side by side, with stretched brackets around what is tall."""
    children = [child for child in node if name(child)]
    if not children:
        return _plain("".join(node.itertext()))
    while len(children) == 1 and name(children[0]) in ("mrow", "mstyle"):
        inner = [child for child in children[0] if name(child)]
        if not inner:
            break
        children = inner
    parts = [_element(child, depth + 1) for child in children]
    signs = [_sign(child) for child in children]
    for i, sign in enumerate(signs):
        if sign in INFIX and 0 < i < len(parts) - 1 and parts[i]:
            parts[i] = f" {parts[i]} "
    if len(parts) > 1 and signs[0] in OPEN and any(name(c) == "mtable" for c in children):
        closed = signs[-1] in CLOSE
        inner = parts[1:-1] if closed else parts[1:]
        return _join(["\\left" + parts[0], " ", *inner, " ", "\\right" + (parts[-1] if closed else ".")])
    return _join(parts)


def _sign(node: Any) -> str:
    """The character of an operator element; "" for others."""
    return (node.text or "").strip() if name(node) == "mo" and len(node) == 0 else ""


def _plain(text: str) -> str:
    """Characters of a formula as LaTeX."""
    return _join([_character(c) for c in " ".join(text.translate(INVISIBLE).split())])


def _character(c: str) -> str:
    if c in COMMANDS:
        return COMMANDS[c]
    if c in SPECIAL:
        return SPECIAL[c]
    known = unicodedata.name(c, "")
    if known.startswith("MATHEMATICAL "):
        # Alphanumerics that carry their style in the character: 𝐱, 𝔽, 𝒜.
        base = unicodedata.normalize("NFKC", c)
        letter = COMMANDS.get(base, base)
        for style, command in VARIANTS.items():
            if style in known.lower():
                return f"\\{command}{{{letter}}}"
        return letter
    return c


def _identifier(node: Any) -> str:
    text = " ".join("".join(node.itertext()).translate(INVISIBLE).split())
    variant = (node.get("mathvariant") or "").replace("-", " ")
    for style, command in VARIANTS.items():
        if style in variant:
            return f"\\{command}{{{_plain(text)}}}"
    if len(text) == 1:
        return f"\\mathrm{{{text}}}" if variant == "normal" and text.isascii() and text.isalpha() else _character(text)
    if text in FUNCTIONS:
        return f"\\{text}"
    return f"\\mathrm{{{_plain(text)}}}" if text.isalpha() and text.isascii() else _plain(text)


def _operator(node: Any) -> str:
    text = " ".join("".join(node.itertext()).translate(INVISIBLE).split())
    if text in FUNCTIONS:
        return f"\\{text}"
    return f"\\operatorname{{{text}}}" if len(text) > 1 and text.isalpha() and text.isascii() else _plain(text)


def _text(node: Any) -> str:
    text = re.sub(r"\s+", " ", "".join(node.itertext()).replace("\xa0", " "))
    return (
        "\\text{" + re.sub(r"[{}%&#_$]", lambda m: "\\" + m.group(), text) + "}" if text.strip() else " " * bool(text)
    )


def _space(node: Any) -> str:
    width = re.fullmatch(r"(\d*\.?\d+)em", node.get("width") or "")
    return "\\quad " if width and float(width.group(1)) >= 1 else " "


def _base(tex: str) -> str:
    """What a script is put on: in braces unless it is one sign."""
    return (
        tex if len(tex) <= 1 or COMMAND.fullmatch(tex) or re.fullmatch(r"\\[a-z]+\{[^{}\\]*\}", tex) else f"{{{tex}}}"
    )


def _script(mark: str, tex: str) -> str:
    tex = tex.strip()
    if tex in ("′", "'", "\\prime") and mark == "^":
        return "'"
    return f"{mark}{tex}" if len(tex) == 1 else f"{mark}{{{tex}}}"


def _scripts(*marks: str) -> Any:
    def build(node: Any, children: list[Any], depth: int) -> str:
        parts = [_element(child, depth) for child in children]
        return _base(parts[0]) + "".join(_script(m, p) for m, p in zip(marks, parts[1:], strict=False) if p.strip())

    return build


def _over(node: Any, children: list[Any], depth: int) -> str:
    base, above = _element(children[0], depth), _element(children[1], depth).strip()
    mark = "".join(children[1].itertext()).strip()
    if mark in ACCENTS:
        command = ACCENTS[mark]
        wide = {"bar": "overline", "hat": "widehat", "tilde": "widetilde", "vec": "overrightarrow"}
        return f"\\{wide.get(command, command) if len(children[0]) else command}{{{base}}}"
    return f"{_base(base)}{_script('^', above)}" if _has_limits(base) else f"\\overset{{{above}}}{{{base}}}"


def _under(node: Any, children: list[Any], depth: int) -> str:
    base, below = _element(children[0], depth), _element(children[1], depth).strip()
    mark = "".join(children[1].itertext()).strip()
    if mark in UNDER_ACCENTS:
        return f"\\{UNDER_ACCENTS[mark]}{{{base}}}"
    return f"{_base(base)}{_script('_', below)}" if _has_limits(base) else f"\\underset{{{below}}}{{{base}}}"


def _under_over(node: Any, children: list[Any], depth: int) -> str:
    base, below, above = (_element(child, depth).strip() for child in children[:3])
    if _has_limits(base):
        return f"{_base(base)}{_script('_', below)}{_script('^', above)}"
    return f"\\overset{{{above}}}{{\\underset{{{below}}}{{{base}}}}}"


def _has_limits(base: str) -> bool:
    """Operators whose limits stand above and below them, and braces with a remark."""
    found = COMMAND.match(base)
    return found is not None and found.group()[1:] in LIMITS


def _multiscripts(node: Any, children: list[Any], depth: int) -> str:
    """A base with pairs of scripts after it and, behind <mprescripts/>, before it."""
    texts = ["" if name(c) == "none" else _element(c, depth) for c in children]
    split = next((i for i, c in enumerate(children) if name(c) == "mprescripts"), len(children))

    def pairs(scripts: list[str]) -> str:
        return "".join(_script("_^"[i % 2], script) for i, script in enumerate(scripts) if script)

    before = pairs(texts[split + 1 :])
    return ("{}" + before if before else "") + _base(texts[0]) + pairs(texts[1:split])


def _fraction(node: Any, children: list[Any], depth: int) -> str:
    above, below = _element(children[0], depth).strip(), _element(children[1], depth).strip()
    command = "binom" if re.fullmatch(r"0(\.0*)?[a-z]*", node.get("linethickness") or "") else "frac"
    return f"\\{command}{{{above}}}{{{below}}}"


def _root(node: Any, children: list[Any], depth: int) -> str:
    return f"\\sqrt[{_element(children[1], depth).strip()}]{{{_element(children[0], depth).strip()}}}"


def _table(node: Any, children: list[Any], depth: int) -> str:
    rows = []
    for row in children:
        cells = [cell for cell in row if name(cell)] if name(row) in ("mtr", "mlabeledtr") else [row]
        cells = cells[1:] if name(row) == "mlabeledtr" else cells
        rows.append(" & ".join(_row(cell, depth).strip() for cell in cells))
    return "\\begin{matrix} " + " \\\\ ".join(rows) + " \\end{matrix}"


def _fenced(node: Any, children: list[Any], depth: int) -> str:
    signs = (node.get("separators") if node.get("separators") is not None else ",").strip()
    text = ""
    for i, child in enumerate(children):
        text += (_plain(signs[min(i, len(signs)) - 1]) + " " if i and signs else "") + _element(child, depth)
    left, right = node.get("open", "("), node.get("close", ")")
    tall = "\\frac" in text or "\\begin" in text
    first = ("\\left" if tall else "") + (_plain(left) or "." * tall)
    return _join([first, text, ("\\right" if tall else "") + (_plain(right) or "." * tall)])


def _enclosed(node: Any, children: list[Any], depth: int) -> str:
    kinds, inner = set((node.get("notation") or "longdiv").split()), _row(node, depth).strip()
    if kinds & {"box", "roundedbox", "circle"}:
        return f"\\boxed{{{inner}}}"
    if kinds & STRIKES:
        return f"\\cancel{{{inner}}}"
    for kind, command in (("radical", "sqrt"), ("top", "overline"), ("bottom", "underline"), ("actuarial", "overline")):
        if kind in kinds:
            return f"\\{command}{{{inner}}}"
    return inner


_LEAVES: dict[str, Any] = {
    "mi": _identifier,
    "mn": lambda node: _plain("".join(node.itertext())),
    "mo": _operator,
    "mtext": _text,
    "ms": _text,
    "mspace": _space,
    "annotation": lambda node: "",
    "annotation-xml": lambda node: "",
    "mprescripts": lambda node: "",
    "none": lambda node: "",
}
# Element: the children it needs, and its function.
_LAYOUTS: dict[str, Any] = {
    "msup": (2, _scripts("^")),
    "msub": (2, _scripts("_")),
    "msubsup": (3, _scripts("_", "^")),
    "mover": (2, _over),
    "munder": (2, _under),
    "munderover": (3, _under_over),
    "mmultiscripts": (1, _multiscripts),
    "mfrac": (2, _fraction),
    "msqrt": (1, lambda node, children, depth: f"\\sqrt{{{_row(node, depth).strip()}}}"),
    "mroot": (2, _root),
    "mtable": (1, _table),
    "mfenced": (0, _fenced),
    "menclose": (0, _enclosed),
    "mphantom": (0, lambda node, children, depth: f"\\phantom{{{_row(node, depth)}}}"),
    "semantics": (1, lambda node, children, depth: _element(children[0], depth)),
    "maction": (1, lambda node, children, depth: _element(children[0], depth)),
}
