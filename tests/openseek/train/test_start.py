"""Training on from a checkpoint, at its own or a longer context; and which checkpoints are refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from openseek.fields import changed
from openseek.model.config import ModelConfig, Yarn
from openseek.model.hf import load_checkpoint
from openseek.parallel.dims import Ranks
from openseek.recipes import RECIPES
from openseek.train.loader import heldout_batches
from openseek.train.loop import Fit
from openseek.train.presets import PRESETS
from openseek.train.pretrain import Pretrain, heldout_loss, train
from openseek.train.schedule import Schedule
from openseek.train.start import differences, initial_model

ONE = Ranks(0, 1, torch.device("cpu"), None)
SHORT, LONG = 32, 128
SHAPE = ModelConfig(
    hidden_size=48,
    num_hidden_layers=2,
    kv_lora_rank=24,
    intermediate_size=96,
    moe_intermediate_size=32,
    num_nextn_predict_layers=0,
    initializer_range=0.1,
    max_position_embeddings=SHORT,
)
CONFIG = Pretrain(
    model=SHAPE,
    fit=Fit(schedule=Schedule(kind="constant", peak=1e-2)),
    train_tokens=60 * 16 * SHORT,
    warmup_tokens=3000,
    sequence_length=SHORT,
    global_batch_size=16,
    micro_batch_size=16,
    heldout_sequences=16,
)
LONGER = dataclasses.replace(
    CONFIG,
    model=dataclasses.replace(
        SHAPE, max_position_embeddings=LONG, rope_scaling=Yarn(factor=4.0, original_max_position_embeddings=SHORT)
    ),
    fit=Fit(schedule=Schedule(kind="constant", peak=3e-3)),
    train_tokens=30 * 8 * LONG,
    sequence_length=LONG,
    global_batch_size=8,
)


@pytest.fixture(scope="module")
def short(counting: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact's folder with a model that has been trained on short windows."""
    out = tmp_path_factory.mktemp("short")
    train(out, counting, CONFIG)
    return out


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics/rank00000.jsonl").read_text().splitlines()]


def test_a_lengthened_model_reads_far_better_than_the_one_it_comes_from(counting, short, tmp_path):
    far = heldout_batches(counting, sequence_length=LONG, num_sequences=16, batch_size=16, ranks=ONE)
    near = heldout_batches(counting, sequence_length=SHORT, num_sequences=16, batch_size=16, ranks=ONE)
    model = load_checkpoint(short / "checkpoint")
    before = [heldout_loss(model, batches, True, ONE) for batches in (near, far)]
    facts = train(tmp_path, counting, LONGER, short)
    assert facts["heldout_loss"] < before[1] - 0.1
    losses = [line["loss"] for line in lines(tmp_path)]
    assert losses[-1] < losses[0]
    # it goes on from what was learned: random weights start at ln 60
    assert losses[0] < 0.9 * np.log(60)
    longer = load_checkpoint(tmp_path / "checkpoint")
    raw = json.loads((tmp_path / "checkpoint" / "config.json").read_text())
    assert raw["rope_scaling"]["type"] == "yarn" and raw["rope_scaling"]["factor"] == 4.0
    assert raw["max_position_embeddings"] == LONG
    assert longer.config.rope_scaling == LONGER.model.rope_scaling
    assert heldout_loss(longer, far, True, ONE) == pytest.approx(facts["heldout_loss"], rel=1e-5)


def test_weights_start_as_the_checkpoint_has_them(counting, short, tmp_path):
    still = dataclasses.replace(CONFIG, train_tokens=1, fit=Fit(schedule=Schedule(kind="constant", peak=0.0)))
    still = dataclasses.replace(still, model=dataclasses.replace(SHAPE, bias_update_rate=0.0))
    train(tmp_path, counting, still, short)
    ours, theirs = (load_checkpoint(out / "checkpoint").state_dict() for out in (tmp_path, short))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_rows_that_only_pad_the_vocabulary_may_be_added(short):
    source = short / "checkpoint"
    stored = load_checkpoint(source)
    rows = stored.config.vocab_size
    model = initial_model(dataclasses.replace(SHAPE, vocab_size=rows + 7), rows, source / "tokenizer.json", short)
    weight = model.embed_tokens.weight
    assert torch.equal(weight[:rows], stored.embed_tokens.weight) and not weight[rows:].any()
    router = "layers.1.mlp.gate.weight"
    assert torch.equal(model.state_dict()[router], stored.state_dict()[router])
    with pytest.raises(ValueError, match=f"model.vocab_size={rows - 1}, the checkpoint has {rows}"):
        initial_model(dataclasses.replace(SHAPE, vocab_size=rows - 1), rows - 1, source / "tokenizer.json", short)


def test_a_checkpoint_of_another_model_or_tokenizer_is_refused(counting, short, tmp_path):
    other = dataclasses.replace(LONGER, model=dataclasses.replace(LONGER.model, n_routed_experts=4, rope_theta=5e5))
    with pytest.raises(ValueError, match=r"n_routed_experts=4, the checkpoint has 8; model\.rope_theta=500000\.0"):
        train(tmp_path, counting, other, short)
    copy = tmp_path / "copy" / "checkpoint"
    copy.mkdir(parents=True)
    for file in (short / "checkpoint").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "tokenizer.json").write_text("[]")
    with pytest.raises(ValueError, match="is not the mixture's tokenizer"):
        train(tmp_path, counting, LONGER, tmp_path / "copy")


def test_only_what_a_kind_of_model_reads_must_agree():
    mla, gqa = ModelConfig(), ModelConfig(attention="gqa")
    assert differences(mla, dataclasses.replace(mla, num_key_value_heads=4, mtp_loss_weight=0.1)) == []
    assert differences(gqa, dataclasses.replace(gqa, num_key_value_heads=4, head_dim=32, kv_lora_rank=8)) == []
    assert differences(gqa, dataclasses.replace(gqa, num_key_value_heads=2)) == [
        "model.num_key_value_heads=4, the checkpoint has 2"
    ]
    assert "model.attention='mla', the checkpoint has 'gqa'" in differences(mla, gqa)
    dense = ModelConfig(n_routed_experts=0)
    assert differences(dense, dataclasses.replace(dense, num_experts_per_tok=7)) == []


def test_deepseek_v3s_stages_follow_on_each_other():
    first, then, last = (PRESETS[f"deepseek_v3{kind}"] for kind in ("", "_yarn_32k", "_yarn_128k"))
    assert differences(then.model, first.model) == differences(last.model, then.model) == []
    assert [config.steps().num_steps for config in (then, last)] == [1000, 1000]
    assert {config.learning_rate()(step) for config in (then, last) for step in (0, 999)} == {7.3e-6}
    assert (then.sequence_length, last.sequence_length) == (32768, 131072)
    assert last.model.rope_scaling == Yarn(factor=40.0, original_max_position_embeddings=4096)
    sizes = first.batch_sizes()
    assert sizes.size(0) == 3072 and sizes.size(first.steps().num_steps - 1) == 15360
    assert changed(Pretrain(), {"preset": "deepseek_v3_yarn_32k"}) == then


def test_the_debug_recipe_is_lengthened_by_its_own_recipe():
    debug, longer = RECIPES["debug"].pretrain, RECIPES["long_context_debug"].pretrain
    assert differences(longer.model, debug.model) == []
    assert longer.sequence_length == 4 * debug.sequence_length == longer.model.max_position_embeddings
