"""`openseek compare`, on trainings and evaluations that really ran."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cli.__main__ import main
from openseek.data.mixture import Mix
from openseek.data.tokenizer import Tokenize
from openseek.eval.config import Benchmark, Evaluate
from openseek.model.config import ModelConfig
from openseek.sweep.pages import trainings
from openseek.train.loop import Fit
from openseek.train.pretrain import Pretrain
from openseek.train.schedule import Schedule
from tasks.evaluate import evaluate
from tasks.mix import mix
from tasks.tokens import tokenize
from tasks.train import pretrain
from tasks.where import Where

MODEL = ModelConfig(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    kv_lora_rank=8,
    intermediate_size=32,
    moe_intermediate_size=16,
    n_routed_experts=2,
    num_nextn_predict_layers=0,
    initializer_range=0.1,
)
SHORT = Pretrain(
    model=MODEL,
    fit=Fit(schedule=Schedule(peak=2e-2, final=2e-3)),
    train_tokens=6 * 8 * 32,
    warmup_tokens=0,
    sequence_length=32,
    global_batch_size=8,
    heldout_sequences=4,
)


def test_two_trainings_with_their_repeats(
    documents_of, root: Where, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    rows = [{"text": f"{'ab' * 40} {i}", "source": "letters"} for i in range(30)]
    rows += [{"text": " ".join(str(i * k) for k in range(40)), "source": "numbers"} for i in range(30)]
    tokens = tokenize(documents_of([rows]), config=Tokenize(vocab_size=280, heldout_fraction=0.2))
    found = {}
    for name, weight in (("a", 0.95), ("b", 0.05)):
        mixture = mix(tokens, config=Mix({"letters": weight, "numbers": 1 - weight}), label=name)
        found[name] = [pretrain(mixture, config=replace(SHORT, seed=seed), label=name) for seed in range(2)]
    capsys.readouterr()
    assert main(["compare", str(found["a"][0]), found["b"][1].name, "--root", str(root.root)]) == 0
    page = capsys.readouterr().out
    assert "2 and 2 seeds" in page
    assert "letters" in page
    assert "0.95" in page

    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows[:4]))
    config = Evaluate(benchmarks=(Benchmark("bits_per_byte", str(tmp_path / "text.jsonl")),))
    scored = [evaluate(found[name][0], config=config, label=name) for name in "ab"]
    assert main(["compare", *map(str, scored), "--root", str(root.root)]) == 0
    assert "bits_per_byte" in capsys.readouterr().out

    assert main(["compare", str(tokens), str(found["a"][0]), "--root", str(root.root)]) == 1
    assert "is of the task tokenize: give two trainings" in capsys.readouterr().err
    assert main(["compare", "nothing", str(found["a"][0]), "--root", str(root.root)]) == 1
    assert "'nothing' is no finished artifact" in capsys.readouterr().err


def side(name: str, losses: dict[int, float]) -> dict:
    return {
        "name": name,
        "weights": {"web": 1.0},
        "losses": {seed: {"web": value} for seed, value in losses.items()},
        "means": losses,
        "tokens": 100,
    }


def test_one_training_each_needs_a_known_noise() -> None:
    one, other = side("one", {0: 2.0}), side("other", {0: 1.9})
    assert "no verdict" in trainings(one, other, None)
    assert "B better" in trainings(one, other, (0.01, 4))
    assert "no difference seen" in trainings(one, other, (0.2, 4))
    assert "nothing to compare" in trainings(one, side("failed", {}), (0.01, 4))
    assert "not at equal tokens: 100 and 7" in trainings(one, other | {"tokens": 7}, (0.01, 4))
