import time

from openseek.rl.rewards import symbolic


def test_a_late_comparison_is_ended_by_the_wall_limit_and_the_next_one_works() -> None:
    worker = symbolic.Worker()
    try:
        assert worker.equal(r"\frac{1}{2}", "0.5")
        # Past the guard against towers of powers on purpose: the limit is what must hold.
        begin = time.monotonic()
        assert not worker.equal("7^{7^{7^{7}}}", "5", seconds=0.5)
        assert time.monotonic() - begin < 5
        assert worker.timeouts == 1
        assert worker.equal("x+1", "1+x")
    finally:
        worker.close()


def test_prose_and_plain_numbers_start_no_worker() -> None:
    for text in ("8", "the cat sat", "答案", "3.5 kg", "", "x" * 400):
        assert not symbolic.looks_symbolic(text)
    for text in (r"\sqrt{2}", "x^2", "a_1", "2x", "x+1", "(1,2)"):
        assert symbolic.looks_symbolic(text), text
