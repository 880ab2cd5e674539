"""HellaSwag (Zellers et al., 2019): which of four endings continues a scene; scored by likelihood a byte.

Rows: activity_label, ctx, endings (list), label (index).
"""

from openseek.eval.benchmarks.definition import Definition, Question, Row, options_field, text_field


def question(row: Row) -> Question:
    """The scene; the endings are the choices."""
    endings, label = options_field(row, "endings"), row.get("label")
    if not isinstance(label, int) or not 0 <= label < len(endings):
        raise ValueError(f"field 'label' is {label!r}: it must be an index of the {len(endings)} endings")
    text = f"{text_field(row, 'activity_label').strip()}: {text_field(row, 'ctx').strip()}"
    return Question(text, text, endings[label], endings)


HELLASWAG = Definition(version=1, kind="multiple_choice", question=question, metric="acc_norm")
