r"""Math reward: the last stated answer of a completion equals the reference.

Plain numbers (thousands separators, units, percent, fractions, Chinese full-width digits) are compared exactly as
fractions; only what holds LaTeX or algebra goes to math-verify, in a process of its own with a wall limit
(`symbolic.py`). Nothing is ever given to `eval`.
"""

import re
import unicodedata
from fractions import Fraction

from openseek.rl.rewards import symbolic

MAX_CHARACTERS = 4096
"""An answer is looked for in the last so many characters: reasoning before them does not slow the search."""
_MAX_DIGITS = 64

_NUMBER = r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+−]?\.\d+"
_LAST_NUMBER = re.compile(rf"(?:{_NUMBER})(?:\s*/\s*\d+)?\s*%?")
# One number with what people write around it: a currency before, a unit of at most three short words after.
_PLAIN = re.compile(
    rf"[$¥￥€£]?\s*(?P<top>{_NUMBER})(?:\s*/\s*(?P<bottom>\d+))?\s*(?P<percent>%|\\%)?\s*(?:[A-Za-z°]{{1,12}}\.?(?:\s[A-Za-z]{{1,12}}\.?){{0,2}}|[一-鿿]{{1,6}})?[.。]?"
)
_FRACTION = re.compile(r"([-+−]?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")
_MARKERS = re.compile(
    r"(?:\bfinal answer\b|\bthe answer\b|\banswer\b|答案|####)(?:\s*(?:is|:|=|为|是|：))*\s*([^\n]+)", re.IGNORECASE
)


def _boxed(text: str) -> str | None:
    r"""The contents of the last `\boxed{...}` with balanced braces; None if there is none."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 1, start + len("\\boxed{")
    for index in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return text[begin:index]
    return None


def stated_answer(completion: str) -> str:
    r"""What a completion states as its answer: the last `\boxed{}`, else the last `<answer>`, `####` or "answer is",
    else its last number, else the whole of it."""
    text = unicodedata.normalize("NFKC", completion)[-MAX_CHARACTERS:]
    boxed = _boxed(text)
    if boxed is not None:
        return boxed.strip()
    end = text.rfind("</answer>")
    begin = text.rfind("<answer>", 0, end) if end >= 0 else -1
    if begin >= 0:
        return text[begin + len("<answer>") : end].strip()
    marked = _MARKERS.findall(text)
    if marked:
        text = marked[-1].strip()
        if number(text) is not None or symbolic.looks_symbolic(text):
            return text
    if number(text.strip()) is not None:
        return text.strip()
    numbers = _LAST_NUMBER.findall(text)
    return numbers[-1].strip() if numbers else text.strip()


def number(text: str) -> tuple[Fraction, bool] | None:
    r"""The number that `text` is, and whether it carries a percent sign; None if it is anything but one number.

    Reads 1,234.5, -3, .5, 3/4, \frac{3}{4}, 50%, $18, 18 apples, 18元. A percentage is a hundredth.
    """
    text = unicodedata.normalize("NFKC", text).strip().strip("$").replace("\\,", "").replace("\\!", "")
    text = _FRACTION.sub(r"\1\2/\3", text).replace("\\$", "$")
    match = _PLAIN.fullmatch(text) if len(text) <= 2 * _MAX_DIGITS else None
    if match is None or len(match["top"]) > _MAX_DIGITS:
        return None
    value = Fraction(match["top"].replace(",", "").replace("−", "-"))
    if match["bottom"] is not None:
        if int(match["bottom"]) == 0:
            return None
        value /= int(match["bottom"])
    percent = match["percent"] is not None
    return (value / 100 if percent else value), percent


def _numbers_agree(stated: tuple[Fraction, bool], reference: tuple[Fraction, bool]) -> bool:
    if stated[1] == reference[1]:
        return stated[0] == reference[0]
    # "How many percent?" is answered 50 or 50 %: beside a percent sign, a bare number may mean percent or the share.
    share, bare = (stated[0], reference[0]) if stated[1] else (reference[0], stated[0])
    return bare in (share, share * 100)


def math_answer(completion: str, answer: str) -> float:
    """1.0 if the completion's last stated answer equals `answer`, else 0.0.

    Raises ValueError for an empty reference: it can never be met, so the problem file is at fault.
    """
    if not answer.strip():
        raise ValueError("the reference answer is empty: drop the problem or give its answer")
    stated = stated_answer(completion)
    if not stated:
        return 0.0
    gold_text = _boxed(answer) or answer
    left, right = number(stated), number(gold_text)
    if left is not None and right is not None:
        return float(_numbers_agree(left, right))
    if unicodedata.normalize("NFKC", stated).casefold() == unicodedata.normalize("NFKC", gold_text).strip().casefold():
        return 1.0
    if symbolic.looks_symbolic(stated) or symbolic.looks_symbolic(gold_text):
        return float(symbolic.equal(stated, gold_text))
    return 0.0
