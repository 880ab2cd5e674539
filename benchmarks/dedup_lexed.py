"""Tokens of code and LaTeX by regular expressions: what near copies of these kinds are judged by, without our kernels.

The definition is that of docs/dedup.md (Tokens of code and LaTeX). A word is ("word", letters), an operator
("operator", sign), a command ("command", name), so that no two of different kinds are equal.
"""

import functools
import re
import unicodedata
from collections.abc import Callable

from benchmarks.dedup_reference import NGRAM, Grams

Token = tuple[str, str]
FEWEST = 20
"""A text of fewer tokens is read as prose."""
SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
SPACELESS += "\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Myanmar, Khmer, Kana and Han: each letter is a word."""
NAMES = (
    "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr limits nolimits displaystyle "
    "textstyle scriptstyle quad qquad thinspace medspace hfill noindent centering smallskip medskip bigskip nonumber "
    "notag label hspace vspace protect relax strut allowbreak linebreak"
)
SILENT = frozenset(NAMES.split())
SPELLINGS = {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom"}
SPELLINGS |= {"le": "leq", "ge": "geq", "ne": "neq", "to": "rightarrow", "lbrace": "{", "rbrace": "}"}
COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*|\#(?=[ \#\n]|!(?!\[)|\Z)[^\n]*", re.DOTALL)
STRING = re.compile(r""" "(?:[^"\\\n]|\\[^\n])*" | '(?:[^'\\\n]|\\[^\n])*' """, re.VERBOSE)


def prose_words(text: str) -> list[Token]:
    """Words in lower case."""
    return [("word", _spelled(found[0], _plain)) for found in re.finditer(_word("_"), text)]


def code_tokens(text: str) -> list[Token]:
    """Words as they are spelled and operators, without comments, brackets, commas, semicolons and quotes.

    No comment begins in a string, which ends on its line; a quote without another one makes strings end for its line.
    """
    pattern, tokens, at, unpaired = _code_pattern(), [], 0, 0
    while at < len(text):
        end = at
        if text[at] in "\"'" and at >= unpaired:
            if string := STRING.match(text, at):
                end = string.end()
                tokens += [_token(found, str) for found in pattern.finditer(text, at, end)]
            else:
                newline = text.find("\n", at)
                unpaired = newline if newline >= 0 else len(text)
        elif comment := COMMENT.match(text, at):
            end = comment.end()
        elif found := pattern.match(text, at):
            end = found.end()
            tokens.append(_token(found, str))
        at = max(end, at + 1)
    return tokens if len(tokens) >= FEWEST else prose_words(text)


def latex_tokens(text: str) -> list[Token]:
    """Commands, words in lower case and operators, without comments, braces, delimiters and commands of spacing."""
    tokens = []
    for match in _latex_pattern().finditer(text):
        name = match["command"]
        if name is not None and name not in SILENT:
            tokens.append(("command", SPELLINGS.get(name, name)))
        elif match["word"] is not None or match["operator"] is not None:
            tokens.append(_token(match, _plain))
    return tokens if len(tokens) >= FEWEST else prose_words(text)


def _token(match: re.Match[str], spelled: Callable[[str], str]) -> Token:
    return str(match.lastgroup), _spelled(match[0], spelled)


def _spelled(word: str, spelled: Callable[[str], str]) -> str:
    return "".join(spelled(letter) for letter in word if unicodedata.category(letter) != "Mn")


@functools.cache
def _word(joined: str) -> str:
    """The pattern of a word: letters, digits and `joined`, marks within and after."""
    letters, marks = [], []
    for code in range(0x20000):
        category = unicodedata.category(chr(code))
        if category == "Mn":
            marks.append(chr(code))
        elif category[0] in "LN" or category == "Mc" or chr(code) in joined:
            letters.append(chr(code))
    letter, mark = f"[{_ranges(letters)}]", f"[{_ranges(marks)}]*"
    return rf"(?:(?=[{SPACELESS}]){letter}|[\U00020000-\U0003ffff]|(?:(?![{SPACELESS}]){letter}{mark})+)"


def _ranges(characters: list[str]) -> str:
    """The characters, which are in order, as the inside of a set of a regular expression."""
    bounds: list[list[str]] = []
    for character in characters:
        if bounds and ord(character) == ord(bounds[-1][1]) + 1:
            bounds[-1][1] = character
        else:
            bounds.append([character, character])
    return "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in bounds)


@functools.cache
def _code_pattern() -> re.Pattern[str]:
    operator = r"[!#$%&*+./:<=>?@\\^|~-]"
    return re.compile(f"(?P<word>{_word('_')})|(?P<operator>{operator})")


@functools.cache
def _latex_pattern() -> re.Pattern[str]:
    skipped, command, operator = r"%[^\n]*|\\[^A-Za-z]", r"\\(?P<command>[A-Za-z]+)", r"[!*+/<=>^_|'-]"
    return re.compile(f"{skipped}|{command}|(?P<word>{_word('')})|(?P<operator>{operator})", re.DOTALL)


@functools.cache
def _plain(character: str) -> str:
    """Lower case without accents and compatibility form, where that is one letter."""
    for spelled in (unicodedata.normalize("NFKD", character.lower()), character.lower()):
        letters = [letter for letter in spelled if unicodedata.category(letter) != "Mn"]
        if len(letters) == 1:
            return letters[0]
    return character


def _grams(tokens: Callable[[str], list[Token]]) -> Grams:
    def grams(text: str) -> frozenset[tuple]:
        found = tokens(text)
        return frozenset(zip(*(found[i:] for i in range(NGRAM)), strict=False)) or frozenset([tuple(found)])

    return grams


LEXED: dict[str, Grams] = {"code": _grams(code_tokens), "math": _grams(latex_tokens)}
"""The kinds whose similarity is that of the lexer's tokens; prose has words."""
