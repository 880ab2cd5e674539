"""Quality rules for program text after StarCoder 1 and 2 (Li et al., 2023; Lozhkov et al., 2024) and OpenCoder.

Generated files, tables, encoded data, minified text, files of comments or imports alone, and Python that does not
parse (Huang et al., 2024, appendix A). Limits without a name beside them are ours, set on the bundled code.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from openseek.data.transform import Filter, Rule, at_least, at_most

if TYPE_CHECKING:
    import numpy as np

    from openseek.data.transform import Statistics

# As JSON writes a path: lock files of package managers, outputs of compilers and of minifiers.
MADE = (
    r'(?i)"[^"]*(package-lock\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|cargo\.lock|composer\.lock|gemfile\.lock'
    r"|pipfile\.lock|uv\.lock|go\.sum|_pb2(_grpc)?\.pyi?|\.pb\.(go|cc|h)|\.min\.(js|css)|\.bundle\.js|\.g\.dart"
    r'|\.designer\.cs)"'
)


@dataclasses.dataclass(frozen=True)
class CodeQuality(Filter):
    """Code that somebody wrote and that one can learn from."""

    reads_text: ClassVar[bool] = True

    enabled: bool = False
    """Whether the step runs at all."""
    sources: tuple[str, ...] = ("code",)
    """Only documents of these sources."""
    min_lines: int = 3
    """Fewest lines with text."""
    max_lines: int = 100_000
    """Most lines with text (StarCoder 2)."""
    min_alpha_tokens: float = 0.1
    """Least share of words and signs that are words."""
    min_blanks: float = 0.05
    """Least share of white space: minified text has hardly any."""
    max_generated_lines: int = 0
    """Most of the first ten lines that say that the file was generated."""
    generated_paths: bool = True
    """Whether lock files, compiled protocols and minified files are known by their path in meta."""
    max_data_lines: float = 0.7
    """Greatest share of lines of numbers and strings alone."""
    max_encoded: float = 0.4
    """Greatest share of bytes in base64 or hex runs."""
    max_encoded_run: int = 1024
    """Longest such run in bytes (StarCoder 2)."""
    max_comment_lines: float = 0.9
    """Greatest share of lines that are comments."""
    max_import_lines: float = 0.5
    """Greatest share of lines that import."""
    max_assert_lines: float = 0.6
    """Greatest share of lines with an assertion."""
    max_todo_lines: float = 0.1
    """Greatest share of lines with TODO, FIXME or XXX."""
    parse_python: bool = True
    """Whether documents whose meta names Python must parse."""
    max_parsed_bytes: int = 1_000_000
    """Longer Python is not parsed, and passes."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Fourteen rules, all named code_*."""
        s = statistics

        def share(name: str) -> np.ndarray:
            return s.ratio(name, "code_lines")

        return {
            "code_min_lines": at_least(s["code_lines"], self.min_lines),
            "code_max_lines": at_most(s["code_lines"], self.max_lines),
            "code_alpha_tokens": at_least(s.ratio("alpha_tokens", "code_tokens"), self.min_alpha_tokens),
            "code_blanks": at_least(s.ratio("blank_bytes", "code_bytes"), self.min_blanks),
            "code_generated": at_most(s["generated_lines"], self.max_generated_lines),
            "code_generated_path": self._generated_path(s),
            "code_data_lines": at_most(share("data_lines"), self.max_data_lines),
            "code_encoded": at_most(s.ratio("encoded_bytes", "code_bytes"), self.max_encoded),
            "code_encoded_run": at_most(s["longest_encoded"], self.max_encoded_run),
            "code_comments": at_most(share("comment_lines"), self.max_comment_lines),
            "code_imports": at_most(share("import_lines"), self.max_import_lines),
            "code_asserts": at_most(share("assert_lines"), self.max_assert_lines),
            "code_todo": at_most(share("todo_lines"), self.max_todo_lines),
            "code_python_syntax": self._python_syntax(s),
        }

    def _generated_path(self, statistics: Statistics) -> Rule:
        import numpy as np
        import pyarrow.compute as pc

        found = np.zeros(statistics.batch.num_rows)
        if self.generated_paths:
            matched = pc.match_substring_regex(statistics.batch.column("meta"), MADE)  # type: ignore[attr-defined]
            found = pc.fill_null(matched, False).to_numpy(zero_copy_only=False).astype(float)  # type: ignore[attr-defined]
        return at_most(found, 0.0)

    def _python_syntax(self, statistics: Statistics) -> Rule:
        """Value: line of the first error, detail: its reason."""
        import numpy as np
        import pyarrow as pa

        from openseek.data.python_syntax import is_python, syntax_error

        batch = statistics.batch
        lines, details = np.zeros(batch.num_rows), [""] * batch.num_rows
        if self.parse_python:
            wanted = self.within(batch) & is_python(batch.column("meta"))
            for row in np.flatnonzero(wanted & (statistics["code_bytes"] <= self.max_parsed_bytes)).tolist():
                lines[row], details[row] = syntax_error(batch.column("text")[row].as_py())
        return at_most(lines, 0.0)._replace(detail=pa.array(details, pa.string()))
