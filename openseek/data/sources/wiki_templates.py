"""Templates of wikis that stand for text of their own; all others are furniture of a page and show nothing."""

import re

LINK_OR_PIPE = re.compile(r"\[\[|\]\]|\|")
NAMED = re.compile(r"\s*([A-Za-z0-9_ -]{1,30}?)\s*=(?!=)")
# A template that stands for a passage is short; longer ones are boxes.
MAX_CHARACTERS = 20_000
# Which argument, from 1, is the text.
SHOWN = {
    **dict.fromkeys(
        (
            "nowrap",
            "nobr",
            "small",
            "big",
            "smaller",
            "larger",
            "em",
            "strong",
            "abbr",
            "tooltip",
            "hover title",
            "mvar",
        )
        + (
            "math",
            "mono",
            "code",
            "tt",
            "kbd",
            "var",
            "samp",
            "sic",
            "ipa",
            "unicode",
            "script",
            "linktext",
            "angle bracket",
        )
        + (
            "vanchor",
            "visible anchor",
            "ill",
            "interlanguage link",
            "link-en",
            "tsl",
            "le",
            "flag",
            "flagcountry",
            "sup",
        )
        + (
            "sub",
            "num",
            "val",
            "as written",
            "not a typo",
            "proper name",
            "le",
            "lang-en",
            "nobold",
            "noitalic",
            "gaps",
        ),
        1,
    ),
    **dict.fromkeys(("lang", "color", "font color", "transl", "transliteration", "rtl-lang"), 2),
}
PASSAGES = frozenset(
    ("quote", "blockquote", "cquote", "quotation", "quote box", "poemquote", "cite quote", "pull quote")
)
SIGNS = {
    **dict.fromkeys(("ndash", "endash", "en dash", "–"), "–"),
    **dict.fromkeys(("snd", "spnd", "spaced ndash", "spaced en dash", "snds"), " – "),
    **dict.fromkeys(("mdash", "emdash", "em dash", "—"), "—"),
    **dict.fromkeys(("·", "dot", "middot", "•", "bull", "bullet"), " · "),
    **dict.fromkeys(("nbsp", "space", "thinsp", "hair space", "spaces"), " "),
    **{"'": "'", "'s": "'s", "\" '": "\" '", "=": "=", "!": "|", "pipe": "|", "pi": "π", "e-sub": "e", "infin": "∞"},
    **{"(": "{", ")": "}", "times": "×", "minus": "−", "pm": "±", "degree": "°", "deg": "°"},
}
RANGES = frozenset(("to", "and", "or", "by", "x", "-", "–", "to(-)", "and(-)", "+/-", "±"))


def template_text(body: str) -> str:
    """What the template `{{body}}` shows in running text; its own templates are replaced already."""
    name = body.partition("|")[0].strip().lower().replace("_", " ")
    if "|" not in body and ":" not in name:
        return SIGNS.get(name, "")
    if len(body) > MAX_CHARACTERS:
        return ""
    if name.startswith(("formatnum:", "lc:", "uc:", "lcfirst:", "ucfirst:")):
        return body.partition(":")[2].partition("|")[0].strip()
    if not (name in SHOWN or name in PASSAGES or name in SIGNS or name in _COMPOSED or name.startswith("lang-")):
        return ""
    values = _arguments(body)
    if name in _COMPOSED:
        return _COMPOSED[name](values)
    if name in SIGNS:
        return SIGNS[name]
    text = values.get(str(SHOWN.get(name, 1))) or values.get("text") or values.get("quote") or ""
    return f"\n\n{text}\n\n" if name in PASSAGES else text


def _arguments(body: str) -> dict[str, str]:
    """Arguments by name; those without one are numbered from 1."""
    values: dict[str, str] = {}
    number = 0
    for part in _split(body)[1:]:
        if named := NAMED.match(part):
            values[named.group(1)] = part[named.end() :].strip()
        else:
            number += 1
            values[str(number)] = part.strip()
    return values


def _split(body: str) -> list[str]:
    """The parts between those `|` that stand in no link."""
    parts, start, depth = [], 0, 0
    for match in LINK_OR_PIPE.finditer(body):
        if match.group() == "|":
            if depth == 0:
                parts.append(body[start : match.start()])
                start = match.end()
        else:
            depth = depth + 1 if match.group() == "[[" else max(0, depth - 1)
    return [*parts, body[start:]]


def _quantity(values: dict[str, str]) -> str:
    """{{convert|5|to|10|km|mi}}: the measure as it was written."""
    plain = [values[str(i)] for i in range(1, 6) if str(i) in values]
    count = 4 if len(plain) > 3 and plain[1] in RANGES else 2
    return " ".join(plain[:count])


def _fraction(values: dict[str, str]) -> str:
    plain = [values[str(i)] for i in range(1, 4) if str(i) in values]
    return "/".join(plain) if len(plain) < 3 else f"{plain[0]} {plain[1]}/{plain[2]}"


def _with_original(values: dict[str, str]) -> str:
    """{{nihongo|text|original|romanised}}."""
    rest = ", ".join(values[i] for i in ("2", "3") if values.get(i))
    return f"{values.get('1', '')} ({rest})".strip() if rest else values.get("1", "")


_COMPOSED = {
    **dict.fromkeys(("convert", "cvt"), _quantity),
    **dict.fromkeys(("frac", "sfrac", "fraction"), _fraction),
    **dict.fromkeys(("nihongo", "korean"), _with_original),
    **dict.fromkeys(("circa", "c."), lambda values: f"c. {values.get('1', '')}".strip()),
    "as of": lambda values: f"As of {' '.join(v for k, v in values.items() if k.isdigit())}".strip(),
}
