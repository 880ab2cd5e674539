"""Lines of web pages that are not part of the text: consent banners, sharing buttons, copyright and navigation."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TYPE_CHECKING

from openseek.data.transform import Transform, replace_column

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from openseek.data.literals import Literals

# After C4's line rules (Raffel et al., 2020, section 2.2), with their Chinese counterparts.
PHRASES = (
    r"(accept|use|uses|using)\b.{0,40}\bcookies?\b|cookie (policy|settings|preferences)|privacy policy"
    r"|terms of (use|service)"
    r"|enable javascript|javascript (is|must|to be)\b|all rights reserved|skip to (main )?content|back to top"
    r"|(share|follow us|tweet|like us) on (facebook|twitter|x|linkedin|instagram|pinterest|whatsapp)"
    r"|sign up for (our|the) newsletter|subscribe to (our|the) newsletter|click here to (subscribe|sign|log)"
    r"|版权所有|未经许可|转载请注明|返回顶部|上一篇|下一篇|点击(查看|进入|下载|关注)|扫(一扫|码关注)|责任编辑|免责声明"
    r"|版權所有|轉載請註明|返回頂部|點擊(查看|進入|下載|關注)|責任編輯|免責聲明"
)
LINE = re.compile(PHRASES, re.IGNORECASE)
BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")


# Every phrase holds one of these; they are what is looked for in the bytes, before the expression is tried.
LITERALS = (
    "cookie", "privacy policy", "terms of use", "terms of service", "javascript", "all rights reserved", "skip to ",
    "back to top", "share on ", "follow us on ", "tweet on ", "like us on ", "newsletter", "click here to ",
    "版权所有", "未经许可", "转载请注明", "返回顶部", "上一篇", "下一篇", "点击查看", "点击进入", "点击下载",
    "点击关注", "扫一扫", "扫码关注", "责任编辑", "免责声明", "版權所有", "轉載請註明", "返回頂部", "點擊查看",
    "點擊進入", "點擊下載", "點擊關注", "責任編輯", "免責聲明",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class BoilerplateLines(Transform):
    """Take short boilerplate lines out, and runs of empty lines down to one."""

    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: there, such a line is content."""
    max_characters: int = 120
    """Only lines up to this length go: a sentence of an article may well speak of cookies."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without those lines; only lines that may be boilerplate are read as Python strings."""
        import numpy as np
        import pyarrow as pa

        from openseek.data.blank_lines import blank_runs
        from openseek.data.literals import lines_with
        from openseek.data.spans import splice
        from openseek.data.words import string_buffers

        mask = self.within(batch)
        column = batch.column("text")
        buffer, offsets = string_buffers(column)
        candidates = lines_with(_literals(), buffer, offsets, mask, foldings=True)
        candidates = candidates[candidates[:, 2] - candidates[:, 1] <= 4 * self.max_characters]
        lines = [buffer[start:stop].tobytes().decode() for _, start, stop in candidates.tolist()]
        gone = candidates[np.array([self.is_boilerplate(line) for line in lines], bool)]
        documents = np.unique(gone[:, 0])
        mask[documents] = False
        runs = blank_runs(buffer, offsets, mask)
        if not len(gone) and not len(runs):
            return batch
        texts = []
        for document in documents.tolist():
            spans = gone[gone[:, 0] == document, 1:]
            texts.append(without(buffer[offsets[document] : offsets[document + 1]], spans - offsets[document]))
        starts = np.concatenate([offsets[documents], runs[:, 1]])
        stops = np.concatenate([offsets[documents + 1], runs[:, 2]])
        new = pa.array(texts + ["\n\n"] * len(runs), pa.large_string())
        order = np.argsort(starts)
        column = splice(column, starts[order], stops[order], new.take(pa.array(order)))
        return replace_column(batch, "text", column)

    def is_boilerplate(self, line: str) -> bool:
        """Whether a line is short and holds one of the phrases."""
        return len(line) <= self.max_characters and LINE.search(line) is not None


@functools.cache
def _literals() -> Literals:
    from openseek.data.literals import compiled

    return compiled(LITERALS)


def without(raw: np.ndarray, spans: np.ndarray) -> str:
    """A text without the lines at these bytes, and with one empty line for several."""
    gone = set(spans[:, 0].tolist())
    kept, at = [], 0
    for line in raw.tobytes().split(b"\n"):
        if at not in gone:
            kept.append(line)
        at += len(line) + 1
    return BLANK_LINES.sub("\n\n", b"\n".join(kept).decode())
