"""The rules of Gopher's MassiveText (Rae et al., 2021, appendix A.1, table A1): quality and repetition.

Words, lines and duplicates are defined in word_kernels.py and text_kernels.py, such that datatrove's filters of the
same name decide alike on English. Of Chinese and the like a word is one character.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, at_least, at_most

if TYPE_CHECKING:
    from openseek.data.transform import Statistics

NGRAM_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


@dataclasses.dataclass(frozen=True)
class GopherQuality(Filter):
    """Prose as against lists, navigation and noise. Signs are words too, except where a field says otherwise."""

    languages: tuple[str, ...] = ("en",)
    """Only documents in these languages: words and the stop words are English."""
    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: code and formulas are not prose."""
    min_words: int = 50
    """Fewest words, not counting punctuation."""
    max_words: int = 100_000
    """Most words, not counting punctuation."""
    min_mean_word_length: float = 3.0
    """Least mean length of a word in characters, punctuation left out."""
    max_mean_word_length: float = 10.0
    """Greatest mean length of a word in characters, punctuation left out."""
    max_hash_ratio: float = 0.1
    """Most "#" a word."""
    max_ellipsis_ratio: float = 0.1
    """Most ellipses a word."""
    max_bullet_lines: float = 0.9
    """Greatest share of lines that begin with a bullet or a hyphen."""
    max_ellipsis_lines: float = 0.3
    """Greatest share of lines that end with an ellipsis."""
    min_alpha_words: float = 0.8
    """Least share of words with a letter in them."""
    punctuation_counts: bool = True
    """Whether a sign is a word without a letter there, as datatrove has it: most technical prose is then below 0.8."""
    min_stop_words: int = 2
    """Fewest different words of: the, be, to, of, and, that, have, with; in small letters."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Ten rules, all named gopher_*."""
        s, mean_length = statistics, statistics.ratio("lexical_characters", "lexical_words")
        alpha_words = s.ratio("alpha_words", "words" if self.punctuation_counts else "lexical_words")
        return {
            "gopher_min_words": at_least(s["lexical_words"], self.min_words),
            "gopher_max_words": at_most(s["lexical_words"], self.max_words),
            "gopher_min_mean_word_length": at_least(mean_length, self.min_mean_word_length),
            "gopher_max_mean_word_length": at_most(mean_length, self.max_mean_word_length),
            "gopher_hash_ratio": at_most(s.ratio("hashes", "words"), self.max_hash_ratio),
            "gopher_ellipsis_ratio": at_most(s.ratio("ellipses", "words"), self.max_ellipsis_ratio),
            "gopher_bullet_lines": at_most(s.ratio("bullet_lines", "text_lines"), self.max_bullet_lines),
            "gopher_ellipsis_lines": at_most(s.ratio("ellipsis_lines", "text_lines"), self.max_ellipsis_lines),
            "gopher_alpha_words": at_least(alpha_words, self.min_alpha_words),
            "gopher_stop_words": at_least(s["stop_words"], self.min_stop_words),
        }


@dataclasses.dataclass(frozen=True)
class GopherRepetition(Filter):
    """Text that repeats itself: lines, paragraphs, word n-grams; shares are of all characters of the document."""

    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: programs and proofs repeat lines by their nature."""
    max_duplicate_lines: float = 0.3
    """Greatest share of lines that stood there before."""
    max_duplicate_line_characters: float = 0.2
    """Greatest share of characters in such lines."""
    max_duplicate_paragraphs: float = 0.3
    """Greatest share of paragraphs that stood there before."""
    max_duplicate_paragraph_characters: float = 0.2
    """Greatest share of characters in such paragraphs."""
    max_top_ngrams: tuple[float, float, float] = (0.20, 0.18, 0.16)
    """Greatest shares of characters in the most frequent 2-, 3- and 4-gram."""
    max_duplicate_ngrams: tuple[float, float, float, float, float, float] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    """Greatest shares of characters in 5- to 10-grams that stood there before."""
    character_languages: tuple[str, ...] = ("zh", "ja", "th")
    """Languages in which a word is one character: of their n-grams only duplicate 10-grams are looked at."""
    max_duplicate_10_characters: float = 0.30
    """Greatest share of characters in runs of ten characters that stood there before, in those languages."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Fourteen rules, all named repetition_*."""
        s = statistics
        found = {
            "repetition_lines": at_most(s.ratio("duplicate_lines", "split_lines"), self.max_duplicate_lines),
            "repetition_line_characters": at_most(
                s.ratio("duplicate_line_characters", "characters"), self.max_duplicate_line_characters
            ),
            "repetition_paragraphs": at_most(
                s.ratio("duplicate_paragraphs", "paragraphs"), self.max_duplicate_paragraphs
            ),
            "repetition_paragraph_characters": at_most(
                s.ratio("duplicate_paragraph_characters", "characters"), self.max_duplicate_paragraph_characters
            ),
        }
        by_character = dataclasses.replace(self, languages=self.character_languages, except_sources=()).within(s.batch)
        for size, limit in zip(NGRAM_SIZES, self.max_top_ngrams, strict=True):
            rule = at_most(s.ratio(f"top_{size}gram", "characters"), limit)
            found[f"repetition_top_{size}gram"] = rule._replace(broken=rule.broken & ~by_character)
        for size, limit in zip(DUPLICATE_SIZES, self.max_duplicate_ngrams, strict=True):
            rule = at_most(s.ratio(f"duplicate_{size}gram", "characters"), limit)
            found[f"repetition_duplicate_{size}gram"] = rule._replace(broken=rule.broken & ~by_character)
        rule = at_most(s.ratio("duplicate_10gram", "characters"), self.max_duplicate_10_characters)
        found["repetition_duplicate_10_characters"] = rule._replace(broken=rule.broken & by_character)
        return found
