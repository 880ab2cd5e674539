"""Traditional to simplified Chinese (OpenCC), so that both scripts share tokens and duplicates meet."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from openseek.data.transform import Transform, replace_column

if TYPE_CHECKING:
    import pyarrow as pa


@functools.cache
def _converter(conversion: str) -> Any:
    from opencc import OpenCC

    return OpenCC(conversion)


def simplify(text: str) -> str:
    """The text in simplified characters; words that keep a traditional character (乾隆) keep it."""
    return _converter("t2s").convert(text)


@dataclasses.dataclass(frozen=True)
class SimplifyChinese(Transform):
    """Rewrite traditional characters of Chinese documents; Japanese, which shares many of them, is left alone."""

    languages: tuple[str, ...] = ("zh",)
    """Only documents in these languages."""

    han_per_kana: int = 20
    """With fewer ideographs for each Kana a text is Japanese, whatever its language is said to be."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with every Chinese document simplified, and its script Hans."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from openseek.data.chinese_kernels import marked_lines
        from openseek.data.spans import splice
        from openseek.data.words import string_buffers

        # Pages quote in the other script: the document's script does not tell, so all Chinese documents are scanned.
        mask = self.within(batch)
        if not mask.any():
            return batch
        buffer, offsets = string_buffers(batch.column("text"))
        lines = marked_lines(buffer, offsets, mask, self.han_per_kana)
        if not len(lines):
            return batch
        spans = zip(lines[:, 1].tolist(), lines[:, 2].tolist(), strict=True)
        texts = [simplify(buffer[start:stop].tobytes().decode()) for start, stop in spans]
        column = splice(batch.column("text"), lines[:, 1], lines[:, 2], pa.array(texts, pa.large_string()))
        scripts, changed = batch.column("script"), np.zeros(batch.num_rows, bool)
        changed[lines[:, 0]] = True
        traditional = pc.and_(pa.array(changed), pc.equal(scripts, "Hant"))  # type: ignore[attr-defined]
        scripts = pc.if_else(traditional.fill_null(False), "Hans", scripts)  # type: ignore[attr-defined]
        return replace_column(replace_column(batch, "text", column), "script", scripts)
