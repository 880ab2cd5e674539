"""`openseek bench NAME`: one subject beside its peers, as a table and as docs/benchmarks/NAME.json."""

import importlib
import os

import tyro

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def bench(name: tyro.conf.Positional[str], write: bool = True) -> int:
    """Measure one subject beside its peers on the same input in the same run.

    Args:
        name: Subject: minhash, data, dedup, dedup_contamination, dedup_scale, tokens, mixtures, rms_norm or convert.
        write: Also write docs/benchmarks/NAME.json.
    """
    for variable in THREADS:
        os.environ.setdefault(variable, "1")
    from rich.console import Console
    from rich.table import Table

    from benchmarks import BENCHMARKS, rows

    if name not in BENCHMARKS:
        raise ValueError(f"{name!r} is no benchmark; they are {', '.join(BENCHMARKS)}")
    measured = importlib.import_module(f"benchmarks.{name}").measure()
    table = Table(title=f"{name} on {measured[0].device}", title_justify="left")
    for column in ("case", "metric", "value", "unit", "peer", "peer value", "ratio"):
        table.add_column(column)
    for row in measured:
        peer = "absent" if row.peer and row.peer_value is None else f"{row.peer_value:.4g}" if row.peer_value else ""
        ratio = f"{row.ratio:.2f}" if row.ratio else ""
        table.add_row(row.case, row.metric, f"{row.value:.4g}", row.unit, row.peer, peer, ratio)
    Console().print(table)
    if write:
        print(f"written: {rows.write(name, measured)}")
    return 0
