"""AGIEval (Zhong et al., 2023), the Chinese multiple-choice parts (gaokao-*, logiqa-zh), answered by letter.

Rows: passage (text or null), question, options (each beginning "(A)"), label (letter).
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
    """Passage, question, options and 答案：; questions on one passage form a cluster."""
    options = options_field(row, "options")
    passage = row.get("passage") or ""
    if not isinstance(passage, str):
        raise ValueError(f"field 'passage' is {passage!r}: it must be a text or null")
    lines = [passage.strip(), text_field(row, "question").strip(), *options]
    text = "\n".join(line for line in lines if line)
    letters = tuple(LETTERS[: len(options)])
    target = letter_field(row, "label", len(options))
    return Question(text, f"{text}\n答案：", target, letters, cluster=passage)


AGIEVAL_ZH = Definition(version=1, kind="multiple_choice", question=question, metric="acc", delimiter="")
