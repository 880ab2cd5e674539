"""CMATH (Wei et al., 2023): Chinese primary-school word problems, scored on the stated number.

Rows: question, golden.
"""

from openseek.eval.benchmarks.definition import Definition, Question, Row, text_field
from openseek.rl.rewards import REWARDS


def question(row: Row) -> Question:
    """The problem and 答案：."""
    text = text_field(row, "question").strip()
    return Question(text, f"问题：{text}\n答案：", text_field(row, "golden").strip())


CMATH_ZH = Definition(
    version=1,
    kind="generate_until",
    question=question,
    metric="exact_match",
    score=REWARDS["math_answer"],
    delimiter="",
    until=("\n\n", "问题："),
    max_new_tokens=256,
)
