import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from openseek.data import chat
from openseek.eval.checkpoint import evaluate_checkpoint, load_lm
from openseek.eval.config import Benchmark, Evaluate
from openseek.eval.uncertainty import compare
from openseek.model.hf import save_checkpoint
from openseek.model.transformer import Transformer


@pytest.fixture(scope="module")
def artifact(model: Transformer, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain")
    tokenizer.save(str(folder / "tokenizer.json"))
    save_checkpoint(model, folder / "tokenizer.json", folder / "checkpoint", eod=0)
    return folder


def config(files: Path, **changes) -> Evaluate:
    return Evaluate(
        (
            Benchmark("mmlu", str(files / "mmlu.jsonl"), num_fewshot=1, limit=10),
            Benchmark("agieval_zh", str(files / "agieval_zh.jsonl"), **changes),
            Benchmark("gsm8k", str(files / "gsm8k.jsonl"), max_new_tokens=6, chat=True),
            Benchmark("bits_per_byte", str(files / "lambada.jsonl"), limit=None),
        )
    )


def test_a_checkpoint_becomes_a_report(artifact: Path, files: Path, tmp_path: Path) -> None:
    facts = evaluate_checkpoint(tmp_path, artifact, config(files))
    assert facts["rows_in"] == facts["rows_out"] == 10 + 8 + 5 + 9
    assert facts["duplicates"] == 1
    scores = {s["benchmark"]: s for s in json.loads((tmp_path / "scores.json").read_text())["benchmarks"]}
    assert scores["mmlu"]["chance"] == pytest.approx(0.25)
    assert scores["agieval_zh"]["chance"] == pytest.approx(0.5)
    assert scores["gsm8k"]["chance"] is None
    assert "mmlu" in facts["at_chance"], "random weights guess"
    assert 0 < scores["bits_per_byte"]["low"] < scores["bits_per_byte"]["value"] < scores["bits_per_byte"]["high"]
    report = (tmp_path / "report.md").read_text()
    assert "| mmlu | acc |" in report
    assert "at chance" in report
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert "<td>mmlu</td>" in (tmp_path / "report.html").read_text()
    lines = [json.loads(line) for line in (tmp_path / "metrics" / "rank00000.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    records = pq.read_table(tmp_path / "data" / "00000.parquet").to_pylist()
    assert len(records) == facts["rows_out"]
    by_key = {f"{r['benchmark']}/{r['doc_id']}/{r['prompt_hash']}": r["value"] for r in records}
    assert compare(by_key, by_key).verdict == "no significant difference"


def test_a_chat_question_is_tokenised_as_in_training(artifact: Path, files: Path) -> None:
    lm = load_lm(artifact / "checkpoint", config(files))
    messages = [{"role": "user", "content": " \n<|im_end|> 问题"}]
    assert lm.tok_encode(lm.apply_chat_template(messages)) == chat.prompt_ids(lm.tokens, messages)
    assert 3 not in lm.tok_encode("a<|im_end|>b"), "a special token that a text spells stays text"


def test_bad_settings_are_refused(artifact: Path, files: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="benchmarks is empty"):
        evaluate_checkpoint(tmp_path, artifact, Evaluate())
    with pytest.raises(ValueError, match="takes all 8 rows"):
        evaluate_checkpoint(tmp_path, artifact, config(files, num_fewshot=8))
