"""Whether program text is Python, and whether Python can parse it; the text is never run."""

from __future__ import annotations

import ast
import threading
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# As JSON writes them: a path that ends in .py, or a programming language.
IN_META = (
    r'(?i)"(path|file_path|filename|file|max_stars_repo_path)":\s*"[^"]*\.pyi?"'
    r'|"(language|programming_language|extension)":\s*"\.?(python|py)"'
)
# `warnings.catch_warnings` changes what all threads see.
_LOCK = threading.Lock()


def is_python(meta: pa.Array) -> np.ndarray:
    """bool [rows]: documents whose meta names a Python file or the language."""
    found = pc.match_substring_regex(meta, IN_META)  # type: ignore[attr-defined]
    return pc.fill_null(found, False).to_numpy(zero_copy_only=False)  # type: ignore[attr-defined]


def syntax_error(text: str) -> tuple[int, str]:
    """(line, reason) of the first error, (0, "") for a text that Python parses.

    What is nested too deeply for the parser is an error at line 1; it gives up by itself and takes no stack with it.
    """
    try:
        with _LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error.lineno or 1, error.msg.split(" (")[0]
    except (RecursionError, MemoryError):
        return 1, "nested too deeply"
    except ValueError as error:
        return 1, str(error)
    return 0, ""
