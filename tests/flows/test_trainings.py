import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from flows.trainings import Trained, losses, side_by_side
from tasks.launch import RanksFailed
from tasks.where import Where, current, using

REPOSITORY = Path(__file__).resolve().parents[2]


def test_results_come_in_order_from_the_callers_place(tmp_path: Path) -> None:
    barrier = threading.Barrier(2, timeout=20)

    def call(number: int) -> Path:
        barrier.wait()  # passes only where two calls run at the same time
        return current().root / str(number)

    with using(Where(root=tmp_path)):
        found = side_by_side([lambda n=n: call(n) for n in range(4)], workers=2)
    assert [each.path for each in found] == [tmp_path / str(n) for n in range(4)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_fails_is_told_and_the_others_go_on(workers: int) -> None:
    def fails() -> Path:
        raise RanksFailed("rank 0 failed: the loss is nan")

    found = side_by_side([fails, lambda: Path("done")], workers)
    assert [each.path for each in found] == [None, Path("done")]
    assert found[0].reason == "rank 0 failed: the loss is nan"
    assert losses(found[0]) is None


@pytest.mark.parametrize("workers", [1, 2])
def test_other_errors_end_all(workers: int) -> None:
    def wrong() -> Path:
        raise ValueError("a field is wrong")

    with pytest.raises(ValueError, match="a field is wrong"):
        side_by_side([wrong, lambda: Path("done")], workers)


def test_a_failed_training_has_no_facts() -> None:
    assert Trained(None, "why").facts == {}


def test_an_interrupt_ends_the_jobs_of_the_threads(tmp_path: Path) -> None:
    """The launcher gets Ctrl-C while two jobs run that would take a minute."""
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import time
            from pathlib import Path
            from flows.trainings import side_by_side
            from openseek.parallel.dims import ParallelDims
            from tasks.launch import on_ranks
            from tasks.where import Where, using

            def sleep(out, config=None):
                (out / "alive").touch()
                time.sleep(60)
                return {{}}

            def call(name):
                out = Path({str(tmp_path)!r}) / name
                out.mkdir()
                on_ranks(sleep, ParallelDims(), out=out)
                return out

            if __name__ == "__main__":
                from program import call
                with using(Where(root=Path({str(tmp_path)!r}))):
                    side_by_side([lambda: call("a"), lambda: call("b"), lambda: call("c")], workers=2)
            """
        )
    )
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}:{tmp_path}"}
    process = subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not all((tmp_path / name / "alive").exists() for name in "ab"):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in error
    assert not (tmp_path / "c").exists()
    assert not list((tmp_path / ".jobs").glob("ranks-*.json"))
