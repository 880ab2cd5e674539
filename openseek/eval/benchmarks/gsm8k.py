"""GSM8K (Cobbe et al., 2021): grade-school word problems, answered in free text, scored on the final number.

Rows: question, answer (a solution that ends in "#### NUMBER").
"""

from openseek.eval.benchmarks.definition import Definition, Question, Row, text_field
from openseek.rl.rewards import REWARDS


def question(row: Row) -> Question:
    """The problem and "Answer:"; the reference is what follows the last ####."""
    text = text_field(row, "question").strip()
    _, marker, final = text_field(row, "answer").rpartition("####")
    if not marker or not final.strip():
        raise ValueError("field 'answer' has no final number after '####'")
    return Question(text, f"Question: {text}\nAnswer:", final.strip())


GSM8K = Definition(
    version=1,
    kind="generate_until",
    question=question,
    metric="exact_match",
    score=REWARDS["math_answer"],
    until=("\n\n", "Question:"),
    max_new_tokens=256,
)
