"""Format reward of DeepSeek-R1 (arXiv:2501.12948): reasoning in `<think>`, the result in `<answer>`."""

import re

# Possessive-free but linear: each part is a lazy scan to one literal, and the match is anchored at both ends.
_TEMPLATE = re.compile(r"\s*<think>(.+?)</think>\s*<answer>(.+?)</answer>\s*\Z", re.DOTALL)
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")


def format_reward(completion: str, answer: str) -> float:
    """1.0 if the completion is `<think>reasoning</think><answer>result</answer>` with each tag exactly once, else 0.0.

    The reference `answer` is not read: whether the result is right is another reward's question.
    """
    if any(completion.count(tag) != 1 for tag in _TAGS):
        return 0.0
    match = _TEMPLATE.match(completion)
    return 1.0 if match and match[1].strip() and match[2].strip() else 0.0
