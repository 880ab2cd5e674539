"""Boilerplate lines go; sentences about them, code and other lines stay."""

import pytest

from openseek.data.clean.boilerplate import BoilerplateLines

LONG = "The regulator found that the site did not ask before it began to use cookies, " + "and said so at length " * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A story.\nWe use cookies to improve your visit\nIt ends.", "A story.\nIt ends."),
        ("Text\nShare on Facebook\n© 2024 All rights reserved", "Text"),
        ("正文第一段。\n上一篇：旧闻\n版权所有 未经许可不得转载\n正文第二段。", "正文第一段。\n正文第二段。"),
        ("a\n\n\n \n\nb", "a\n\nb"),
        (LONG, LONG),
        ("Cookies are baked.\nHe took the previous one.", "Cookies are baked.\nHe took the previous one."),
    ],
)
def test_lines(text: str, expected: str) -> None:
    assert BoilerplateLines().strip(text) == expected


def test_code_is_left_alone(documents) -> None:
    batch = documents(["print('All rights reserved')\n\n\n\nx = 1"], source="code")
    assert BoilerplateLines()(batch).equals(batch)
