"""The sweep as a pure state machine: results so far in, the runs still to do out.

    sweep = Sweep(config)
    results = []
    while runs := sweep.next(results):
        results += [Result(run, losses_of(run)) for run in runs]    # None for a training that failed
    table = sweep.report(results)

Phases: the design, batches by expected improvement, the check of the optimum. A batch comes only when all results of
those before are there; with a part of them, `next` names the runs that are missing. So a killed sweep goes on by
replay: the same configuration, seed and results give the same runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from openseek.sweep.config import Result, Run, SweepConfig

if TYPE_CHECKING:
    from openseek.sweep.surrogate import Surrogate

CHECK_SEED = 1000
"""Seeds of the check start so far after those of the search."""


class Sweep:
    """What to run next, and what the runs say.

    Args:
        config: Domains, fields, budget.
        pool: The only points that may run, where trainings exist already; empty: all that the caps allow. It needs
            `check_seeds` 0.
    """

    def __init__(self, config: SweepConfig, pool: Sequence[dict[str, float]] = ()) -> None:
        from openseek.sweep.space import matrix

        if not config.unknowns:
            raise ValueError("sweep: neither domains nor fields vary: name at least two domains, or one field")
        if pool and config.check_seeds:
            raise ValueError(
                f"sweep.check_seeds is {config.check_seeds}, but a pool has no other trainings: set check_seeds to 0"
            )
        self.config = config
        self.pool = tuple(pool)
        self.rows = matrix(pool, config) if pool else None

    def next(self, results: Sequence[Result]) -> list[Run]:
        """The runs that are missing now; empty: the sweep is finished."""
        have = {result.run.name: result for result in results}
        search, stopped = self._search(have)
        if missing := [run for run in search if run.name not in have]:
            return missing
        assert stopped
        names = self._check_names()
        if all(name in have for name in names):
            return []
        check = self._check([have[run.name] for run in search])
        return [run for run in check if run.name not in have]

    def report(self, results: Sequence[Result], elsewhere: bool = False) -> dict[str, Any]:
        """Tables of what was run, fitted, found and checked, as plain values; `openseek.sweep.report` lists them."""
        from openseek.sweep.report import report

        return report(self.config, results, self.rows, elsewhere)

    def _search(self, have: dict[str, Result]) -> tuple[list[Run], bool]:
        """(runs of the design and of all batches that are known now, whether no other batch follows)."""
        runs, batch, number = [], self._design(), 0
        checking = any(name in have for name in self._check_names())
        while True:
            runs += batch
            if any(run.name not in have for run in batch):
                return runs, False
            number += 1
            size = min(self.config.batch_runs, self.config.budget_runs - len(runs))
            names = [f"batch{number:02d}-{place:02d}" for place in range(size)]
            if not names or (checking and names[0] not in have):
                return runs, True
            if all(name in have for name in names):
                batch = [have[name].run for name in names]
            else:
                batch = self._propose([have[run.name] for run in runs], names, any(name in have for name in names))
            if not batch:
                return runs, True

    def _design(self) -> list[Run]:
        from openseek.sweep.design import initial_points, pool_points

        points = initial_points(self.config) if self.rows is None else pool_points(self.config, self.pool)
        repeats, runs = 0, []
        for place, (kind, point) in enumerate(points):
            repeats += kind == "repeat"
            seed = self.config.seed + (repeats if kind == "repeat" else 0)
            runs.append(Run(f"design-{place:02d}", kind, point, seed))
        return runs

    def _propose(self, results: list[Result], names: list[str], begun: bool) -> list[Run]:
        """The next batch; none when the best expected improvement is below the noise, unless it has begun.

        Only a noise that repeats have measured ends a search: the process's own holds what its shape cannot follow.
        """
        from openseek.sweep.acquire import candidates, propose
        from openseek.sweep.space import point

        surrogate, config = self._surrogate(results), self.config
        rows = candidates(surrogate, config, config.seed + len(results)) if self.rows is None else self.rows
        places, gains = propose(surrogate, rows, len(names))
        noise = surrogate.measured.noise or 0.0
        if not places or (gains[0] < noise and not begun):
            return []
        chosen = [point(rows[place], config) if self.rows is None else self.pool[place] for place in places]
        return [Run(name, "proposed", each, config.seed) for name, each in zip(names, chosen, strict=False)]

    def _check_names(self) -> list[str]:
        kinds = ("optimum", "reference", "rival")
        return [f"check-{kind}-{seed}" for seed in range(self.config.check_seeds) for kind in kinds]

    def _check(self, results: list[Result]) -> list[Run]:
        """Optimum, reference and rival, with the same seeds."""
        from openseek.sweep.optimum import find_optimum, find_rival
        from openseek.sweep.space import natural, point

        surrogate, config = self._surrogate(results), self.config
        best = find_optimum(surrogate, config, self.rows).point
        points = [best, point(natural(config), config), find_rival(surrogate, best, config, self.rows)[1]]
        kinds = ("optimum", "natural" if config.domains else "reference", "rival")
        first = config.seed + CHECK_SEED
        return [
            Run(name, kinds[place % 3], points[place % 3], first + place // 3)
            for place, name in enumerate(self._check_names())
        ]

    def _surrogate(self, results: list[Result]) -> Surrogate:
        from openseek.sweep.surrogate import fit, usable

        return fit(usable(results, self.config), self.config)
