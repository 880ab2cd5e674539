"""Bits per byte of whole texts: a likelihood that models with different tokenizers can be compared on.

Rows: text, or the question or prompt of a benchmark whose texts serve as fixed held-out ones.
"""

from openseek.eval.benchmarks.definition import Definition, Question, Row, text_field


def question(row: Row) -> Question:
    """The text itself."""
    text = text_field(row, next((name for name in ("text", "question", "prompt") if name in row), "text"))
    return Question("", "", text)


BITS_PER_BYTE = Definition(version=1, kind="loglikelihood_rolling", question=question, metric="bits_per_byte")
