"""Code rules: real code passes, minified and data files do not."""

import inspect
import re
import textwrap

import pytest

from openseek.data.filters import Filters
from openseek.data.filters.source_code import SourceCode
from openseek.data.transform import apply


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (inspect.getsource(textwrap), []),
        ("x=1;" * 251, ["code_longest_line", "code_mean_line"]),
        ("\n".join(["value = 12345 " * 8] * 5), ["code_mean_line"]),
        ("\n".join(["[[],{},(),[],{},()]"] * 5), ["code_alphanumeric"]),
    ],
)
def test_rules(documents, text: str, rules: list[str]) -> None:
    _, dropped = apply([SourceCode()], documents([text], source="code"), task="filter")
    assert dropped["rule"].to_pylist() == rules
    _, dropped = apply([SourceCode()], documents([text], source="web"), task="filter")
    assert dropped.num_rows == 0


def test_the_default_steps_keep_a_source_file_as_it_is_but_for_its_copyright(documents) -> None:
    text = inspect.getsource(textwrap)
    notice = re.search(r"# Copyright.*?\n\n", text, re.DOTALL)
    assert notice
    kept, _ = apply(Filters().steps(), documents([text], source="code"), task="filter")
    assert kept["text"].to_pylist() == [text.replace(notice[0], "")]
