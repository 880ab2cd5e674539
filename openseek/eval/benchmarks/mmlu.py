"""MMLU (Hendrycks et al., 2021): English multiple choice over 57 subjects, answered by letter.

Rows: question, options (list), answer (letter), topic.
"""

from openseek.eval.benchmarks.definition import (
    LETTERS,
    Definition,
    Question,
    Row,
    letter_field,
    options_field,
    text_field,
)


def question(row: Row) -> Question:
    """The question, its lettered options and "Answer:"."""
    options = options_field(row, "options")
    lines = [text_field(row, "question").strip(), *(f"{a}. {b}" for a, b in zip(LETTERS, options, strict=False))]
    text = "\n".join(lines)
    letters = tuple(LETTERS[: len(options)])
    return Question(text, f"{text}\nAnswer:", letter_field(row, "answer", len(options)), letters)


MMLU = Definition(version=1, kind="multiple_choice", question=question, metric="acc")
