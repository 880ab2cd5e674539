"""The row that every measurement gives, CPU timing, and the JSON they are kept in (docs/CONTRACTS.md, Benchmarks)."""

import dataclasses
import json
import platform
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from openseek.artifact import commit, packages

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[1]
REPORTS = REPOSITORY / "docs" / "benchmarks"


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured value, with its peer's on the same input in the same run (None: the peer is absent)."""

    bench: str
    case: str
    metric: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    device: str = ""
    versions: dict[str, str] = dataclasses.field(default_factory=packages)
    commit: str = dataclasses.field(default_factory=commit)
    command: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's."""
        return self.value / self.peer_value if self.peer_value else None


def cpu_name() -> str:
    """The processor's model name, and how many cores of it this process may use."""
    import os

    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, {len(os.sched_getaffinity(0))} cores"
    return platform.processor()


def cpu_seconds(call: Callable[[], T], repeat: int = 1) -> tuple[float, T]:
    """(least user + system seconds of `repeat` calls, the last result): fair on a busy machine, all threads counted."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    times, result = [], None
    for _ in range(repeat):
        before = spent()
        result = call()
        times.append(spent() - before)
    assert result is not None
    return min(times), result


def write(name: str, rows: list[Row]) -> Path:
    """Keep the rows in docs/benchmarks/NAME.json."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"{name}.json"
    items: list[dict[str, Any]] = [{**dataclasses.asdict(row), "ratio": row.ratio} for row in rows]
    path.write_text(json.dumps(items, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
