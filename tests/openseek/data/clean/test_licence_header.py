"""Notices at the top of source files go; everything else at the top stays."""

import json

import pytest

from openseek.data.clean.licence_header import StripLicenceHeader, strip

MIT = """Copyright (c) 2020 Jane Doe

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software, to deal in the Software without restriction, subject to these:

http://example.org/terms

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND."""


def marked(mark: str, text: str = MIT) -> str:
    return "\n".join(f"{mark} {line}".rstrip() for line in text.split("\n"))


FIRST = "#!/bin/sh\n# -*- coding: utf-8 -*-\n"
TOLD = "# Tools that count words in files.\n"
CODE = "import os\n\nprint(os.name)\n"


@pytest.mark.parametrize(
    "header",
    [
        *(marked(mark) for mark in ("#", "//", "--", ";", "%", ";;")),
        "/*\n" + marked(" *") + "\n */",
        "/* " + MIT + " */",
        "<!--\n" + MIT + "\n-->",
        '"""' + MIT + '\n"""',
        "# Copyright 2015 The Go Authors. All rights reserved.",
        "// SPDX-License-Identifier: Apache-2.0",
        "// Copyright 2020 X.\n\n// Licensed under the Apache License, Version 2.0",
        "# 版权所有 2020 某公司",
    ],
)
def test_notices_go(header: str) -> None:
    assert strip(header + "\n\n" + CODE) == CODE
    assert strip(header + "\n" + CODE) == CODE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#!/usr/bin/env python\n" + marked("#") + "\n\n" + CODE, "#!/usr/bin/env python\n\n" + CODE),
        (FIRST + marked("#") + "\n" + CODE, FIRST + CODE),
        ("// Copyright 2015 A.\n\n//go:build linux\n\npackage a\n", "//go:build linux\n\npackage a\n"),
        ("// Copyright 2015 A.\n\n// Package a counts.\npackage a\n", "// Package a counts.\npackage a\n"),
        (TOLD + "#\n" + marked("#") + "\n" + CODE, TOLD + CODE),
        (marked("#") + "\n#\n" + TOLD + CODE, TOLD + CODE),
        (
            "/*\n * Copyright 2015 A. All rights reserved.\n *\n * Counts the words of a file.\n */\nint a;\n",
            "/*\n * Counts the words of a file.\n */\nint a;\n",
        ),
        (
            '"""Count the words of a file.\n\nCopyright 2015 A. All rights reserved.\n"""\n' + CODE,
            '"""Count the words of a file.\n"""\n' + CODE,
        ),
    ],
)  # fmt: skip
def test_what_else_is_there_stays(text: str, expected: str) -> None:
    assert strip(text) == expected
    assert strip(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "",
        "# Count the copyright notices of a tree.\n" + CODE,
        '"""Parse licence files."""\n' + CODE,
        CODE + "\n" + marked("#"),
        "#include <a.h>\n// code\n",
        "/* never closed\n" + MIT,
    ],
)
def test_stays(text: str) -> None:
    assert strip(text) == text


def test_scope_and_spdx(documents) -> None:
    text = "// SPDX-License-Identifier: (MIT OR Apache-2.0)\n\n" + CODE
    batch = StripLicenceHeader()(documents([text, CODE], source="code"))
    assert batch["text"].to_pylist() == [CODE, CODE]
    assert json.loads(batch["meta"][0].as_py()) == {"spdx": "MIT OR Apache-2.0"} and batch["meta"][1].as_py() == ""
    web = documents([text])
    assert StripLicenceHeader()(web).equals(web)
