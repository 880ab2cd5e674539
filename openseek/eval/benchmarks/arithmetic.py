"""Short verifiable problems in English and Chinese (samples/make_arithmetic.py), scored on the stated number.

Rows: question, answer.
"""

from openseek.eval.benchmarks.definition import Definition, Question, Row, text_field
from openseek.rl.rewards import REWARDS


def question(row: Row) -> Question:
    """The question as it stands, then "Answer:" for a base model."""
    text = text_field(row, "question").strip()
    return Question(text, f"Question: {text}\nAnswer:", text_field(row, "answer").strip())


ARITHMETIC = Definition(
    version=1,
    kind="generate_until",
    question=question,
    metric="exact_match",
    score=REWARDS["math_answer"],
    until=("\n",),
    max_new_tokens=16,
)
