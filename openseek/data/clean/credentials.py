"""Secrets out of source code: keys, tokens and passwords that somebody left in a file."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import re
from typing import TYPE_CHECKING

from openseek.data.transform import Transform

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from openseek.data.word_automaton import Automaton

# Token forms that their issuers document: a fixed beginning, then letters of a known number.
TOKENS = {
    "aws_key": rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "github_token": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b",
    "gitlab_token": rb"\bglpat-[A-Za-z0-9_\-]{20,64}(?![A-Za-z0-9_\-])",
    "slack_token": rb"\bxox[abeoprs]-[A-Za-z0-9\-]{16,255}(?![A-Za-z0-9\-])",
    "google_key": rb"\bAIza[A-Za-z0-9_\-]{35}(?![A-Za-z0-9_\-])",
    "openai_key": rb"\bsk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_\-]{32,255}(?![A-Za-z0-9_\-])",
    "hf_token": rb"\bhf_[A-Za-z]{34}\b",
    "stripe_key": rb"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}\b",
    "jwt": rb"\beyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{16,}",
}
PRIVATE_KEY = re.compile(
    rb"-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?)-----(.{16,16384}?)-----END \1-----", re.DOTALL
)
URL_PASSWORD = re.compile(rb"\b[a-z][a-z0-9+.\-]{1,20}://[^\s:/@\"'<>{}$]{1,64}:([^\s:/@\"'<>{}$%()]{3,128})@[\w\[]")
ASSIGNED = re.compile(
    rb"(?i)(?:pass(?:word|wd|phrase)|secret(?:[_\-]?(?:access)?[_\-]?key)?|api[_\-]?key|access[_\-]?key|auth[_\-]?token"
    rb"|access[_\-]?token|private[_\-]?key|client[_\-]?secret|credentials?)[\"']?\s{0,4}(?::=|=>|[:=])\s{0,4}"
    rb"(?:[\"']([^\s\"'<>{}$%()\[\]]{6,256})[\"']|([A-Za-z0-9+/_\-.!@#^&*~]{12,256})(?=\s|$|[,;]))"
)
# Words near which a secret may stand, and the bytes before and behind that decide.
ASSIGNMENTS = ("password", "passwd", "passphrase", "secret", "credential", "api key", "access key", "private key")
ASSIGNMENTS += ("auth token", "access token")
HINTS = {form.replace(" ", mark): (16, 360) for form in ASSIGNMENTS for mark in (" ", "_", "-", "")}
HINTS |= dict.fromkeys(("akia", "asia", "glpat-", "aiza", "sk-", "hf_", "k_live_", "k_test_"), (4, 300))
HINTS |= dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "eyj"), (4, 4096))
HINTS |= {"://": (24, 280), "-----begin": (4, 20_000)}
PLACEHOLDER = re.compile(
    rb"(?i)example|sample|dummy|placeholder|changeme|change_me|your|xxx|\*\*\*|\.\.\.|test|todo|redacted|password|secret"
    rb"|insert|replace|none|null|undefined|12345|abcde|foobar"
)
UUID = re.compile(rb"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NAME = re.compile(rb"[A-Za-z_][A-Za-z_]*(?:[.\-/][A-Za-z_]+)*")
FORMS = {kind: re.compile(pattern) for kind, pattern in TOKENS.items()}
Found = tuple[int, int, str, str]


@dataclasses.dataclass(frozen=True)
class MaskSecrets(Transform):
    """Put a placeholder in place of secrets; `meta` counts them under "masked", values are not kept.

    Line structure stays: a key of several lines becomes as many lines. Names, UUIDs, hashes that nothing calls a
    secret, and placeholders ("your-key-here") stay.
    """

    sources: tuple[str, ...] = ("code",)
    """Only documents of these sources."""
    placeholder: str = "<SECRET>"
    """In place of a secret."""
    min_entropy: float = 3.0
    """Bits a character from which the value of `password = "..."` and the like counts as a secret."""

    def __post_init__(self) -> None:
        if not self.placeholder or not 0 <= self.min_entropy <= 8:
            raise ValueError(
                f"secrets.placeholder is {self.placeholder!r} and min_entropy {self.min_entropy}: "
                f"give a text, and bits between 0 and 8"
            )

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with secrets masked."""
        import numpy as np

        from openseek.data.masking import hide

        rows, spans = np.flatnonzero(self.within(batch)), []
        for row, base, window in _windows(batch.column("text"), rows) if len(rows) else ():
            spans += [(row, base + a, base + b, kind, token) for a, b, kind, token in self.found(window)]
        return hide(batch, spans)

    def found(self, text: bytes) -> list[Found]:
        """(start, stop, kind, placeholder) of the secrets in UTF-8 bytes, in order, without overlaps."""
        spans: list[tuple[int, int, str]] = []
        if b"PRIVATE KEY" in text:
            spans += [(*match.span(2), "private_key") for match in PRIVATE_KEY.finditer(text)]
        for kind, form in FORMS.items():
            spans += [(*m.span(), kind) for m in form.finditer(text) if not _is_harmless(m[0][4:])]
        spans += [(*m.span(1), "url_password") for m in URL_PASSWORD.finditer(text) if not _is_harmless(m[1])]
        for match in ASSIGNED.finditer(text):
            group = 1 if match[1] is not None else 2
            if self._is_secret(match[group], quoted=group == 1):
                spans.append((*match.span(group), "password"))
        taken: list[Found] = []
        for start, stop, kind in spans:
            if all(stop <= a or start >= b for a, b, _, _ in taken):
                taken.append((start, stop, kind, self._token(text[start:stop])))
        return sorted(taken)

    def _token(self, value: bytes) -> str:
        """The placeholder, on as many lines as the value."""
        lines = value.decode("utf-8", "replace").split("\n")
        if len(lines) == 1:
            return self.placeholder
        return "\n".join([lines[0].strip() and self.placeholder] + [line and self.placeholder for line in lines[1:]])

    def _is_secret(self, value: bytes, *, quoted: bool) -> bool:
        """Whether an assigned value looks drawn by lot: enough entropy, several kinds of characters, no name."""
        if _is_harmless(value) or UUID.fullmatch(value) or (NAME.fullmatch(value) and entropy(value) < 4.2):
            return False
        kinds = sum(bool(re.search(kind, value)) for kind in (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^A-Za-z0-9_.\-/]"))
        return kinds >= (2 if quoted else 3) and entropy(value) >= self.min_entropy - (
            0.5 if quoted and kinds > 2 else 0
        )


def _is_harmless(value: bytes) -> bool:
    return bool(PLACEHOLDER.search(value)) or len(set(value)) < 4


def entropy(value: bytes) -> float:
    """Shannon entropy of the bytes, in bits a byte."""
    counts = collections.Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)


@functools.cache
def _hints() -> tuple[Automaton, np.ndarray]:
    """(automaton of the hints, bytes before and behind each)."""
    import numpy as np

    from openseek.data.word_automaton import build

    automaton, words = build(list(HINTS), np.ones(len(HINTS), np.uint64))
    return automaton, np.array([HINTS[word] for word in words], np.int64)


def _windows(column: pa.Array, rows: np.ndarray) -> list[tuple[int, int, bytes]]:
    """(row, position in the column's buffer, bytes) of the parts of the chosen texts that hold a hint."""
    import numpy as np

    from openseek.data.masking import joined
    from openseek.data.word_automaton import find
    from openseek.data.words import string_buffers

    automaton, around = _hints()
    active = np.zeros(len(column), np.uint64)
    active[rows] = 1
    hits = find(column, automaton, active, whole_words=False, overlapping=True)
    data, offsets = string_buffers(column)
    begins = np.maximum(hits.start - around[hits.word, 0], offsets[hits.row])
    ends = np.minimum(hits.stop + around[hits.word, 1], offsets[hits.row + 1])
    starts, stops = joined(begins, ends)
    belongs = np.searchsorted(offsets, starts, side="right") - 1
    spans = zip(belongs.tolist(), starts.tolist(), stops.tolist(), strict=True)
    return [(row, start, data[start:stop].tobytes()) for row, start, stop in spans]
