import pytest

from openseek.rl.rewards import REWARDS


@pytest.mark.parametrize(
    "completion, score",
    [
        ("<think>2+2</think><answer>4</answer>", 1.0),
        (" <think>a\nb</think>\n<answer> 4 </answer>\n", 1.0),
        ("<think></think><answer>4</answer>", 0.0),
        ("<think>a</think><answer>4</answer> and more", 0.0),
        ("<think>a</think><think>b</think><answer>4</answer>", 0.0),
        ("<answer>4</answer><think>a</think>", 0.0),
        ("4", 0.0),
    ],
)
def test_format_reward_asks_for_each_tag_once_and_in_order(completion: str, score: float) -> None:
    assert REWARDS["format"](completion, "4") == score
