"""A rule of one's own, in one file: a Filter over statistics that are counted anyway, and a Filters that has it."""

from __future__ import annotations

import dataclasses

from openseek.data.filters import Filters
from openseek.data.transform import Filter, Rule, Statistics, apply, at_most
from openseek.fields import changed


@dataclasses.dataclass(frozen=True)
class Shouting(Filter):
    """Pages that shout."""

    except_sources: tuple[str, ...] = ("code",)
    """No document of these sources."""
    max_symbols: float = 0.2
    """Greatest share of characters that are signs."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """shouting: the share of signs among the characters."""
        return {"shouting": at_most(statistics.ratio("symbols", "characters"), self.max_symbols)}


@dataclasses.dataclass(frozen=True)
class OwnFilters(Filters):
    """The steps of the project, then one's own."""

    shouting: Shouting = Shouting()
    """Pages that shout."""


def test_an_own_rule_runs_among_the_others(documents) -> None:
    config = changed(OwnFilters(), {"preset": "own", "shouting.max_symbols": 0.1})
    batch = documents(["Buy now!!! Only today!!!!!", "A quiet page."])
    kept, dropped = apply(config.steps(), batch, task="filter")
    assert kept["text"].to_pylist() == ["A quiet page."]
    assert (dropped["rule"].to_pylist(), dropped["limit"].to_pylist()) == (["shouting"], [0.1])
    kept, _ = apply(OwnFilters(shouting=Shouting(enabled=False)).steps()[:3], batch, task="filter")
    assert kept.num_rows == 2
