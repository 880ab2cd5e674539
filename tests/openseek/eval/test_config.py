import pytest

from openseek.eval.config import Benchmark, Evaluate


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"name": "mlu"}, "mmlu"),
        ({"limit": 0}, "limit is 0"),
        ({"num_fewshot": -1}, "num_fewshot"),
        ({"name": "lambada", "chat": True}, "switch chat off"),
        ({"name": "bits_per_byte", "num_fewshot": 1}, "use 0"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
    ],
)
def test_a_benchmark_out_of_range_names_the_field(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Benchmark(**{"name": "mmlu", "path": "x.jsonl", **changes})


def test_two_scores_of_one_name_are_refused() -> None:
    twice = Benchmark("mmlu", "x"), Benchmark("mmlu", "y")
    with pytest.raises(ValueError, match="own label"):
        Evaluate(benchmarks=twice)
    assert [b.key for b in Evaluate((twice[0], Benchmark("mmlu", "y", label="hard"))).benchmarks] == ["mmlu", "hard"]
