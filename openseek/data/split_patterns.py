"""How a tokenizer.json cuts a text into words, as a program that a kernel runs: its pre-tokenizers as simple patterns.

Understood are the patterns that byte-level tokenizers use (GPT-2, Llama 3, Qwen, DeepSeek): alternatives of character
classes with greedy repeats, groups that begin an alternative, and a look-ahead of one character. Which characters a
class holds is asked of the tokenizers library itself, so that its Unicode version and case folding count, not ours.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

# What ByteLevel(use_regex=True) splits by, written in the source of the tokenizers library.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONSUME, AHEAD, NOT_AHEAD = 0, 1, 2
ENDLESS = 1 << 40
CODE_POINTS = 0x110000
# Beyond lie only unassigned and private characters and, from 0xE0000 on, tags and variation selectors.
_DENSE, _TAGS = 0x40000, (0xE0000, 0xE1000)
_SURROGATES = (0xD800, 0xE000)
_CONTROLS = {"r": "\r", "n": "\n", "t": "\t", "f": "\f", "v": "\v"}
_QUANTIFIERS = {"?": (0, 1), "*": (0, ENDLESS), "+": (1, ENDLESS)}
# Case folding may make two letters one ("ss", "st"); of these pairs it makes none.
_SAFE_PAIRS = {"re", "ve", "ll"}


class NotUnderstood(ValueError):
    """A tokenizer uses something that the compiled encoder does not know; says what."""


@dataclass(frozen=True)
class Item:
    """`least` to `most` characters of a class, as many as there are; or a look at the next character."""

    atom: str
    """The class as a regular expression, or a character."""
    literal: bool = False
    least: int = 1
    most: int = 1
    look: int = CONSUME


Sequence = tuple[Item, ...]


@dataclass(frozen=True)
class Stage:
    """One pass over the pieces: every match is a piece, and so is what lies between two."""

    alternatives: tuple[Sequence, ...]


def stages(pre_tokenizer: dict[str, Any] | None) -> tuple[Stage, ...]:
    """The passes that the `pre_tokenizer` of a tokenizer.json makes; NotUnderstood says what is beyond them.

    ByteLevel has to be the last one, since it changes the text.
    """
    kind = (pre_tokenizer or {}).get("type")
    if pre_tokenizer is None or kind is None:
        raise NotUnderstood("it has no pre-tokenizer")
    if kind == "Sequence":
        parts = pre_tokenizer["pretokenizers"]
        if not parts or any(part["type"] == "ByteLevel" for part in parts[:-1]):
            raise NotUnderstood("its ByteLevel is not the last pre-tokenizer")
        return tuple(stage for part in parts for stage in _one(part))
    return _one(pre_tokenizer)


def _one(spec: dict[str, Any]) -> tuple[Stage, ...]:
    kind = spec["type"]
    if kind == "ByteLevel":
        if spec.get("add_prefix_space", True):
            raise NotUnderstood("it puts a space before a text")
        return (parse(GPT2),) if spec.get("use_regex", True) else ()
    if kind == "Digits":
        most = 1 if spec["individual_digits"] else ENDLESS
        return (Stage(((Item("Digits", most=most),),)),)
    if kind == "Split" and spec["behavior"] == "Isolated" and not spec["invert"]:
        pattern = spec["pattern"]
        return (parse(pattern["Regex"] if "Regex" in pattern else re.escape(pattern["String"])),)
    raise NotUnderstood(f"it splits words with {kind} ({spec.get('behavior', 'own rules')})")


def parse(pattern: str) -> Stage:
    """A regular expression as alternatives; NotUnderstood names what it uses beyond classes and greedy repeats."""
    alternatives, stop = _alternation(pattern, 0, False)
    if stop != len(pattern):
        raise NotUnderstood(f"its pattern has an unmatched ) at {stop}: {pattern}")
    if any(not sum(item.least for item in items if item.look == CONSUME) for items in alternatives):
        raise NotUnderstood(f"its pattern can match nothing: {pattern}")
    return Stage(tuple(alternatives))


def _alternation(pattern: str, i: int, folded: bool) -> tuple[list[Sequence], int]:
    found: list[Sequence] = []
    while True:
        options, i = _sequence(pattern, i, folded)
        found += options
        if i == len(pattern) or pattern[i] == ")":
            return found, i
        i += 1


def _sequence(pattern: str, i: int, folded: bool) -> tuple[list[Sequence], int]:
    """The alternatives that one sequence stands for: more than one where it holds a group."""
    options: list[Sequence] = [()]
    while i < len(pattern) and pattern[i] not in "|)":
        if pattern.startswith(("(?!", "(?="), i):
            item, i = _atom(pattern, i + 3, False)
            if i == len(pattern) or pattern[i] != ")":
                raise NotUnderstood(f"its pattern looks further than one character: {pattern}")
            look = NOT_AHEAD if pattern[i - len(item.atom) - 1] == "!" else AHEAD
            options, i = [(*o, Item(item.atom, item.literal, look=look)) for o in options], i + 1
        elif pattern[i] == "(":
            if any(item.least != item.most for o in options for item in o):
                raise NotUnderstood(f"its pattern has a group behind a repeat: {pattern}")
            inner = 4 if pattern.startswith("(?i:", i) else 3 if pattern.startswith("(?:", i) else 1
            if inner == 1 and pattern.startswith("(?", i):
                raise NotUnderstood(f"its pattern uses {pattern[i : i + 3]}")
            group, i = _alternation(pattern, i + inner, folded or inner == 4)
            if i == len(pattern):
                raise NotUnderstood(f"its pattern has an unmatched (: {pattern}")
            if pattern[i + 1 : i + 2] in ("?", "*", "+", "{"):
                raise NotUnderstood(f"its pattern repeats a group: {pattern}")
            options, i = [(*o, *g) for o in options for g in group], i + 1
        else:
            item, i = _atom(pattern, i, folded)
            least, most, i = _quantifier(pattern, i)
            options = [(*o, Item(item.atom, item.literal, least, most)) for o in options]
    if folded:
        for items in options:
            text = "".join(item.atom[4:-1] if item.atom.startswith("(?i:") else "-" for item in items)
            if any(a.isalpha() and b.isalpha() and a + b not in _SAFE_PAIRS for a, b in zip(text, text[1:])):  # noqa: B905
                raise NotUnderstood(f"its pattern folds the case of {text!r}")
    return options, i


def _atom(pattern: str, i: int, folded: bool) -> tuple[Item, int]:
    c = pattern[i]
    if c == "[":
        stop = _class_end(pattern, i)
        return Item(f"(?i:{pattern[i:stop]})" if folded else pattern[i:stop]), stop
    if c == "\\" and i + 1 < len(pattern):
        c, stop = pattern[i + 1], i + 2
        if c in "pP":
            stop = pattern.find("}", i) + 1
            if pattern[i + 2 : i + 3] != "{" or not stop:
                raise NotUnderstood(f"its pattern has a class that ends nowhere: {pattern}")
            return Item(pattern[i:stop]), stop
        if c in "sSdDwW":
            return Item(pattern[i:stop]), stop
        if c.isalnum() and c not in _CONTROLS:
            raise NotUnderstood(f"its pattern uses \\{c}")
        c = _CONTROLS.get(c, c)
    elif c in ".^$*+?{":
        raise NotUnderstood(f"its pattern uses {c} at {i}: {pattern}")
    else:
        stop = i + 1
    return (Item(f"(?i:{c})") if folded and c.isalpha() else Item(c, literal=True)), stop


def _class_end(pattern: str, i: int) -> int:
    depth = 0
    while i < len(pattern):
        if pattern[i] == "\\":
            i += 1
        elif pattern[i] == "[":
            depth += 1
        elif pattern[i] == "]":
            depth -= 1
            if not depth:
                return i + 1
        i += 1
    raise NotUnderstood(f"its pattern has a class that ends nowhere: {pattern}")


def _quantifier(pattern: str, i: int) -> tuple[int, int, int]:
    """(least, most, place behind it)."""
    least, most = _QUANTIFIERS.get(pattern[i : i + 1], (1, 1))
    stop = i + 1 if pattern[i : i + 1] in _QUANTIFIERS else i
    if braces := re.compile(r"\{(\d+)(,?)(\d*)\}").match(pattern, i):
        least, stop = int(braces[1]), braces.end()
        most = int(braces[3]) if braces[3] else ENDLESS if braces[2] else least
    if stop > i and pattern[stop : stop + 1] in ("?", "+", "*", "{"):
        raise NotUnderstood(f"its pattern repeats without giving back, or as little as it can: {pattern}")
    return least, most, stop


@functools.lru_cache(maxsize=128)
def members(item: Item) -> np.ndarray:
    """Which code points [0x110000] bool the tokenizers library counts to a class."""
    from tokenizers import Regex, pre_tokenizers

    found = np.zeros(CODE_POINTS, bool)
    if item.literal:
        found[ord(item.atom)] = True
        return found
    dense = np.r_[0 : _SURROGATES[0], _SURROGATES[1] : _DENSE, _TAGS[0] : _TAGS[1], 0x90000, 0xF0000, 0x100000]
    text = "".join(map(chr, dense.tolist()))
    held = np.ones(len(dense), bool)
    if item.atom == "Digits":
        # A digit cuts the letters around it apart.
        pieces = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str("".join(f"a{c}" for c in text) + "a")
        held[:] = False
        held[[start // 2 for _, (start, stop) in pieces if stop == start + 1 and start % 2]] = True
    else:
        try:
            splitter = pre_tokenizers.Split(Regex(f"(?:{item.atom})+"), "removed")
        except Exception as error:
            # The library raises plain Exception for a pattern that it cannot read.
            raise NotUnderstood(f"its pattern holds {item.atom!r}: {error}") from error
        for _, (start, stop) in splitter.pre_tokenize_str(text):
            held[start:stop] = False
    found[dense] = held
    found[_DENSE : _TAGS[0]] = found[_TAGS[1] : 0xF0000] = found[0x90000]
    found[0xF0000:0x100000], found[0x100000:] = found[0xF0000], found[0x100000]
    found.setflags(write=False)
    return found
