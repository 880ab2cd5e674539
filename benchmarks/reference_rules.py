"""Gopher's, C4's and FineWeb's rules in plain Python over given words and sentences: the oracle of the kernels.

It runs in the product's environment and in the peers', on our words or on spaCy's, so that a difference in decisions
can be laid to how words are split or to how a rule is written.
"""

import re
from collections.abc import Callable, Sequence

LIMITS: dict[str, tuple[str, float]] = {
    "gopher_min_words": ("<", 50),
    "gopher_max_words": (">", 100_000),
    "gopher_min_mean_word_length": ("<", 3.0),
    "gopher_max_mean_word_length": (">", 10.0),
    "gopher_hash_ratio": (">", 0.1),
    "gopher_ellipsis_ratio": (">", 0.1),
    "gopher_bullet_lines": (">", 0.9),
    "gopher_ellipsis_lines": (">", 0.3),
    "gopher_alpha_words": ("<", 0.8),
    "gopher_stop_words": ("<", 2),
    "repetition_lines": (">", 0.3),
    "repetition_line_characters": (">", 0.2),
    "repetition_paragraphs": (">", 0.3),
    "repetition_paragraph_characters": (">", 0.2),
    "repetition_top_2gram": (">", 0.20),
    "repetition_top_3gram": (">", 0.18),
    "repetition_top_4gram": (">", 0.16),
    "repetition_duplicate_5gram": (">", 0.15),
    "repetition_duplicate_6gram": (">", 0.14),
    "repetition_duplicate_7gram": (">", 0.13),
    "repetition_duplicate_8gram": (">", 0.12),
    "repetition_duplicate_9gram": (">", 0.11),
    "repetition_duplicate_10gram": (">", 0.10),
    "fineweb_punctuated_lines": ("<", 0.12),
    "fineweb_short_lines": (">", 0.67),
    "fineweb_duplicate_characters": (">", 0.01),
    "fineweb_newlines_per_word": (">", 0.3),
    "c4_min_sentences": ("<", 5),
    "c4_lorem_ipsum": (">", 0),
    "c4_curly_bracket": (">", 0),
}
"""Every rule of the four filters, the side on which a value breaks it, and the published limit."""
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def breaks(rule: str, value: float) -> bool:
    """Whether a document with this value breaks the rule."""
    side, limit = LIMITS[rule]
    return value < limit if side == "<" else value > limit


def share(part: float, whole: float) -> float:
    """part / whole, 0 of nothing."""
    return part / whole if whole else 0.0


def again(pieces: Sequence[str]) -> list[str]:
    """The pieces that were there before."""
    seen: set[str] = set()
    found = []
    for piece in pieces:
        (found.append if piece in seen else seen.add)(piece)
    return found


def top_ngram(words: Sequence[str], size: int) -> int:
    """Characters of the most frequent n-gram, spaces included, times its number."""
    times: dict[tuple[str, ...], int] = {}
    for i in range(len(words) - size + 1):
        gram = tuple(words[i : i + size])
        times[gram] = times.get(gram, 0) + 1
    if not times:
        return 0
    best = max(times, key=lambda gram: times[gram])
    return len(" ".join(best)) * times[best]


def duplicate_ngrams(words: Sequence[str], size: int) -> int:
    """Characters of the n-grams met before; reading goes on behind such a one."""
    seen: set[tuple[str, ...]] = set()
    characters, i = 0, 0
    while i + size <= len(words):
        gram = tuple(words[i : i + size])
        if gram in seen:
            characters += sum(map(len, gram))
            i += size
        else:
            seen.add(gram)
            i += 1
    return characters


def c4(text: str, count_sentences: Callable[[str], int]) -> dict[str, float]:
    """Sentences in the lines that C4 keeps, and lines with its two phrases."""
    sentences = lorem = curly = 0
    for line in text.splitlines():
        words = line.split()
        clean = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", line.strip())
        ended = clean.endswith((".", "?", "!", '"', "'")) and not clean.endswith("...")
        if len(words) < 3 or max(map(len, words)) > 1000 or not ended:
            continue
        lower = clean.lower()
        lorem += "lorem ipsum" in lower
        if "javascript" in lower:
            continue
        curly += "{" in clean
        if not any(policy in lower for policy in POLICIES):
            sentences += count_sentences(clean)
    return {"c4_min_sentences": sentences, "c4_lorem_ipsum": lorem, "c4_curly_bracket": curly}


def measure(
    text: str,
    words: Sequence[str],
    count_sentences: Callable[[str], int],
    is_symbol: Callable[[str], bool],
    is_terminal: Callable[[str], bool],
) -> dict[str, float]:
    """The value of every rule, of a text with these words; the last two tell of one character what it is."""
    lexical = [word for word in words if not all(map(is_symbol, word))]
    text_lines = text.splitlines()
    stops = {"the", "be", "to", "of", "and", "that", "have", "with"} & set(words)
    filled = [line for line in text.split("\n") if line.strip()]
    values: dict[str, float] = {
        "gopher_min_words": len(lexical),
        "gopher_max_words": len(lexical),
        "gopher_min_mean_word_length": share(sum(map(len, lexical)), len(lexical)),
        "gopher_max_mean_word_length": share(sum(map(len, lexical)), len(lexical)),
        "gopher_hash_ratio": share(text.count("#"), len(words)),
        "gopher_ellipsis_ratio": share(text.count("...") + text.count("…"), len(words)),
        "gopher_bullet_lines": share(sum(s.lstrip().startswith(("•", "-")) for s in text_lines), len(text_lines)),
        "gopher_ellipsis_lines": share(sum(s.rstrip().endswith(("...", "…")) for s in text_lines), len(text_lines)),
        "gopher_alpha_words": share(sum(any(map(str.isalpha, word)) for word in words), len(words)),
        "gopher_stop_words": len(stops),
        "fineweb_punctuated_lines": share(sum(is_terminal(line[-1]) for line in filled), len(filled)),
        "fineweb_short_lines": share(sum(len(line) <= 30 for line in filled), len(filled)),
        "fineweb_duplicate_characters": share(sum(map(len, again(filled))), len(text.replace("\n", ""))),
        "fineweb_newlines_per_word": share(text.count("\n"), len(words)),
    }
    for kind, pieces in (("line", re.split("\n+", text)), ("paragraph", re.split("\n{2,}", text.strip()))):
        copies = again(pieces)
        values[f"repetition_{kind}s"] = share(len(copies), len(pieces))
        values[f"repetition_{kind}_characters"] = share(sum(map(len, copies)), len(text))
    for size in (2, 3, 4):
        values[f"repetition_top_{size}gram"] = share(top_ngram(words, size), len(text))
    for size in range(5, 11):
        values[f"repetition_duplicate_{size}gram"] = share(duplicate_ngrams(words, size), len(text))
    return values | c4(text, count_sentences)


def count_sentences(
    line: str,
    words: Sequence[str],
    is_terminal: Callable[[str], bool],
    is_punctuation: Callable[[str], bool],
) -> int:
    """Sentences of a line with these words: one begins at the first word that is no punctuation after one that ends."""
    begins, at = [], 0
    for word in words:
        at = line.index(word, at)
        begins.append((at, at + len(word)))
        at += len(word)
    tokens = []
    for (_, stop), (start, _), word in zip([(0, 0), *begins], begins, words, strict=False):
        gap = line[stop:start]
        tokens += [" ", word] if gap not in ("", " ") and tokens else [word]
    found, ended = 1, False
    for token in tokens:
        terminal = len(token) == 1 and is_terminal(token)
        if ended and not terminal and not all(map(is_punctuation, token)):
            found, ended = found + 1, False
        ended |= terminal
    return found
