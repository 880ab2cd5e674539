"""Documents in languages that the corpus is not about."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openseek.data.transform import Filter, Rule, Scope

if TYPE_CHECKING:
    from openseek.data.transform import Statistics


@dataclasses.dataclass(frozen=True)
class Language(Filter):
    """The languages to keep, by the column that ingest filled."""

    except_sources: tuple[str, ...] = ("code", "math")
    """No document of these sources: identification is unsure about programs and formulas."""
    keep: tuple[str, ...] = ("en", "zh")
    """Languages to keep (ISO 639-1); empty: all."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """language: value 1, and the language as detail, for a document in another language."""
        import numpy as np

        kept = Scope(languages=self.keep).within(statistics.batch)
        return {"language": Rule(np.where(kept, 0.0, 1.0), 0.0, ~kept, statistics.batch.column("lang"))}
