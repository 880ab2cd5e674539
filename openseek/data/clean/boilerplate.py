"""Lines of web pages that are not part of the text: consent banners, sharing buttons, copyright and navigation."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from openseek.data.transform import Transform, rewrite

if TYPE_CHECKING:
    import pyarrow as pa

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


@dataclasses.dataclass(frozen=True)
class BoilerplateLines(Transform):
    """Take short boilerplate lines out, and runs of empty lines down to one."""

    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: there, such a line is content."""
    max_characters: int = 120
    """Only lines up to this length go: a sentence of an article may well speak of cookies."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without those lines."""
        return rewrite(batch, self.within(batch), self.strip)

    def strip(self, text: str) -> str:
        """The text without boilerplate lines."""
        if LINE.search(text):
            lines = text.split("\n")
            text = "\n".join(x for x in lines if len(x) > self.max_characters or not LINE.search(x))
        return BLANK_LINES.sub("\n\n", text)
