import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from openseek.rl.problems import Prompt, read_problems, split_heldout


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        special_tokens=["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["user assistant"], trainer)
    return made


def test_unusable_rows_are_dropped_with_their_rule(tmp_path: Path) -> None:
    metas = [
        ("one", {"answer": "1"}),
        ("two", {"answer": ""}),
        ("three", {}),
        ("four", {"answer": 4}),
        (" one ", {"answer": "2"}),
        ("long " * 30, {"answer": "5"}),
    ]
    rows = [{"id": str(i), "text": text, "meta": json.dumps(meta)} for i, (text, meta) in enumerate(metas)]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "00000.parquet")
    problems = read_problems(tmp_path, tokenizer(), 40)
    assert [p.id for p in problems.prompts] == ["0"]
    assert [(d["row"], d["rule"]) for d in problems.dropped] == [
        (1, "no_answer"),
        (2, "no_answer"),
        (3, "no_answer"),
        (4, "duplicate"),
        (5, "overlong"),
    ]
    assert problems.rows_in == len(problems.prompts) + len(problems.dropped)
    assert problems.dropped[3]["partner"] == "0"


def test_a_problem_keeps_its_side_when_others_come() -> None:
    prompts = [Prompt(str(i), f"problem {i}", (1,), "1") for i in range(500)]
    training, heldout = split_heldout(prompts, 0.2)
    assert sorted(map(int, [p.id for p in training + heldout])) == list(range(500))
    assert 70 <= len(heldout) <= 130
    fewer = split_heldout(prompts[::3], 0.2)[1]
    assert set(fewer) == set(heldout) & set(prompts[::3])
