"""PIQA (Bisk et al., 2020): which of two ways reaches a goal; scored by likelihood a byte.

Rows: goal, sol1, sol2, label (0 or 1).
"""

from openseek.eval.benchmarks.definition import Definition, Question, Row, text_field


def question(row: Row) -> Question:
    """The goal; the two solutions are the choices."""
    choices, label = (text_field(row, "sol1"), text_field(row, "sol2")), row.get("label")
    if label not in (0, 1):
        raise ValueError(f"field 'label' is {label!r}: it must be 0 or 1")
    text = text_field(row, "goal").strip()
    return Question(text, f"Question: {text}\nAnswer:", choices[label], choices)


PIQA = Definition(version=1, kind="multiple_choice", question=question, metric="acc_norm")
