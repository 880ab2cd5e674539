"""Traditional to simplified Chinese (OpenCC), so that both scripts share tokens and duplicates meet."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from openseek.data.transform import Transform, replace_column, rewrite

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

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with every Chinese document simplified, and its script Hans."""
        import numpy as np
        import pyarrow as pa

        # Pages quote in the other script: the document's script does not tell, so all Chinese documents are converted.
        mask = self.within(batch)
        if not mask.any():
            return batch
        scripts = np.array(batch.column("script").to_pylist(), dtype=object)
        scripts[mask & (scripts == "Hant")] = "Hans"
        return replace_column(rewrite(batch, mask, simplify), "script", pa.array(scripts, pa.string()))
