from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from openseek.eval.config import Benchmark
from openseek.eval.harness import measure
from openseek.eval.lm import TransformerLM
from openseek.model.hf import save_checkpoint
from openseek.model.transformer import Transformer

KINDS = [
    ("mmlu", {"num_fewshot": 2}),
    ("agieval_zh", {}),
    ("gsm8k", {"max_new_tokens": 12}),
    ("lambada", {}),
    ("bits_per_byte", {}),
]


def ours(model: Transformer, tokenizer: Tokenizer, **changes: int) -> TransformerLM:
    return TransformerLM(model, tokenizer, end_id=0, stop_ids=frozenset({0}), **changes)


@pytest.fixture(scope="module")
def theirs(model: Transformer, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory):
    """The harness's own Hugging Face model over our export."""
    from lm_eval.models.huggingface import HFLM
    from transformers import DeepseekV3ForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("export")
    save_checkpoint(model, None, folder, eod=0)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|pad|>")
    exported = DeepseekV3ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    made: Any = HFLM
    return made(pretrained=exported, tokenizer=fast, batch_size=4, max_length=128, device="cpu")


@pytest.mark.parametrize("name, settings", KINDS)
def test_our_adapter_gives_the_harness_models_records(
    model, tokenizer, theirs, files: Path, name: str, settings
) -> None:
    benchmark = Benchmark(name, str(files / f"{'lambada' if name == 'bits_per_byte' else name}.jsonl"), **settings)
    score, records = measure(ours(model, tokenizer, batch_tokens=300), benchmark)
    expected, expected_records = measure(theirs, benchmark)
    assert score.estimate.value == pytest.approx(expected.estimate.value, rel=1e-5)
    assert score.estimate.high == pytest.approx(expected.estimate.high, rel=1e-5)
    for mine, other in zip(records, expected_records, strict=True):
        assert mine["doc_hash"] == other["doc_hash"]
        assert mine["prompt_hash"] == other["prompt_hash"]
        assert mine["value"] == pytest.approx(other["value"], rel=1e-4)
        if name == "gsm8k":
            assert mine["response"] == other["response"]


def test_the_parity_test_can_fail(model, tokenizer, theirs, files: Path) -> None:
    """Control: a model whose head is off by one token gives other numbers."""
    shifted = Transformer(model.config)
    shifted.load_state_dict(model.state_dict())
    with torch.no_grad():
        shifted.embed_tokens.weight.copy_(model.embed_tokens.weight.roll(1, 0))
    benchmark = Benchmark("bits_per_byte", str(files / "lambada.jsonl"))
    wrong, _ = measure(ours(shifted, tokenizer), benchmark)
    right, _ = measure(theirs, benchmark)
    assert wrong.estimate.value != pytest.approx(right.estimate.value, rel=1e-3)


def test_lettered_choices_share_one_forward_pass(
    model, tokenizer, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, rows = ours(model, tokenizer), []
    forward = lm._logprobs
    monkeypatch.setattr(lm, "_logprobs", lambda ids: rows.extend(ids) or forward(ids))
    measure(lm, Benchmark("mmlu", str(files / "mmlu.jsonl")))
    assert len(rows) == 16


def test_a_long_context_loses_its_beginning_and_is_counted(model, tokenizer, files: Path) -> None:
    score, _ = measure(
        ours(model, tokenizer, max_length=24), Benchmark("mmlu", str(files / "mmlu.jsonl"), num_fewshot=3)
    )
    assert score.truncated == 13 * 4
    free, _ = measure(ours(model, tokenizer), Benchmark("lambada", str(files / "lambada.jsonl")))
    assert free.truncated == 0


def test_an_answer_without_tokens_and_damaged_weights_are_refused(model, tokenizer, files: Path) -> None:
    with pytest.raises(ValueError, match="no tokens of its own"):
        ours(model, tokenizer)._loglikelihood_tokens([(("context", ""), [5], [])])
    broken = Transformer(model.config)
    with torch.no_grad():
        broken.norm.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="log-probability"):
        measure(ours(broken, tokenizer), Benchmark("lambada", str(files / "lambada.jsonl")))
