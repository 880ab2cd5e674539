"""The rules of C4 (Raffel et al., 2020, section 2.2): lines worth keeping, and documents with enough of them.

`C4` decides on a document by the lines that C4 keeps, without changing it; `C4Lines` takes the other lines out. What a
line must be is told in c4_kernels.py; the numbers are those of datatrove's filter.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, Transform, at_least, at_most, replace_column

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.transform import Statistics


@dataclasses.dataclass(frozen=True)
class C4(Filter):
    """Pages of running text as against menus, placeholders and program text."""

    enabled: bool = False
    """Whether the step runs at all."""
    languages: tuple[str, ...] = ("en",)
    """Only documents in these languages: marks, phrases and words are English."""
    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: brackets and short lines are theirs by nature."""
    min_sentences: int = 5
    """Fewest sentences in the lines that C4 keeps."""
    terminal_punctuation: bool = True
    """Whether a line must end with . ! ? or a quote; FineWeb applied C4 without this."""
    max_lorem_ipsum_lines: int = 0
    """Most lines with the placeholder "lorem ipsum"."""
    max_curly_bracket_lines: int = 0
    """Most lines with an opening curly bracket, of those that are else in order and do not name JavaScript."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Three rules, all named c4_*."""
        s, kind = statistics, "c4" if self.terminal_punctuation else "c4_open"
        return {
            "c4_min_sentences": at_least(s[f"{kind}_sentences"], self.min_sentences),
            "c4_lorem_ipsum": at_most(s[f"{kind}_lorem_lines"], self.max_lorem_ipsum_lines),
            "c4_curly_bracket": at_most(s[f"{kind}_curly_lines"], self.max_curly_bracket_lines),
        }


@dataclasses.dataclass(frozen=True)
class C4Lines(Transform):
    """Takes out the lines that C4 does not keep, and citation marks such as [1] and [edit] in the others."""

    enabled: bool = False
    """Whether the step runs at all."""
    languages: tuple[str, ...] = ("en",)
    """Only documents in these languages: marks, phrases and words are English."""
    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: brackets and short lines are theirs by nature."""
    terminal_punctuation: bool = True
    """Take out lines that do not end with . ! ? or a quote, or that end with an ellipsis."""
    min_words: int = 3
    """Take out lines of fewer words, as white space parts them."""
    max_word_length: int = 1000
    """Take out lines with a longer word."""
    javascript: bool = True
    """Take out lines that name JavaScript: most ask the reader to switch it on."""
    policies: bool = True
    """Take out lines about cookies, privacy policies and terms of use."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the lines of the documents in scope sifted."""
        from openseek.data.c4_lines import keep_lines

        mask = self.within(batch)
        if not mask.any():
            return batch
        texts = keep_lines(
            batch.column("text"),
            mask,
            terminal_punctuation=self.terminal_punctuation,
            min_words=self.min_words,
            max_word_length=self.max_word_length,
            javascript=self.javascript,
            policies=self.policies,
        )
        return replace_column(batch, "text", texts)
