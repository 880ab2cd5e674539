"""LAMBADA (Paperno et al., 2016): the last word of a passage, which needs the whole passage.

Rows: text.
"""

from openseek.eval.benchmarks.definition import Definition, Question, Row, text_field


def question(row: Row) -> Question:
    """The passage without its last word; the target is that word with the space before it."""
    text = text_field(row, "text").strip()
    context, space, word = text.rpartition(" ")
    if not space or not context.strip():
        raise ValueError("field 'text' has a single word: there is no context to guess it from")
    return Question(context, context, space + word)


LAMBADA = Definition(version=1, kind="loglikelihood", question=question, metric="acc", delimiter="")
