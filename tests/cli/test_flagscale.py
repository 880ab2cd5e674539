"""`openseek flagscale`: an experiment on Megatron token files, from its YAML to a recorded loss."""

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from cli.__main__ import main
from openseek.artifact import read_manifest
from openseek.data.token_shards import TokenShardWriter, dtype_for
from openseek.data.tokenizer import Tokenize, encode, train

TASK = {
    "system": {"disable_bias_linear": True, "reset_attention_mask": True, "precision": {"bf16": True}},
    "model": {
        "num_layers": 2,
        "hidden_size": 32,
        "num_attention_heads": 2,
        "ffn_hidden_size": 64,
        "seq_length": 16,
        "max_position_embeddings": 64,
        "swiglu": True,
        "normalization": "RMSNorm",
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
        "position_embedding_type": "rope",
        "multi_latent_attention": True,
        "kv_lora_rank": 16,
        "qk_head_dim": 8,
        "qk_pos_emb_head_dim": 4,
        "v_head_dim": 8,
        "qk_layernorm": True,
        "num_experts": 4,
        "moe_ffn_hidden_size": 16,
        "moe_shared_expert_intermediate_size": 16,
        "moe_router_topk": 2,
        "moe_layer_freq": "[0]+[1]",
        "moe_router_score_function": "sigmoid",
        "moe_router_enable_expert_bias": True,
        "moe_router_load_balancing_type": "seq_aux_loss",
        "micro_batch_size": 2,
        "global_batch_size": 4,
        "train_samples": 8,
        "optimizer": {"lr_scheduler": {"lr": 1e-3, "lr_decay_style": "cosine", "lr_warmup_samples": 4}},
    },
    "data": {
        "data_path": ["0.75", "data/web_text_document", "0.25", "data/code_text_document"],
        "split": "1",
        "tokenizer": {"tokenizer_path": "data/tokenizer.json", "vocab_size": 300},
    },
}
HERE = ("flagscale", "--config-path", "conf", "--config-name", "tiny")


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, made the current one, with the two files, token files of two sources, and their tokenizer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "train").mkdir(parents=True)
    head = {"defaults": ["_self_", {"train": "task"}], "experiment": {"exp_name": "tiny", "exp_dir": "out"}}
    (tmp_path / "conf" / "tiny.yaml").write_text(yaml.safe_dump(head))
    (tmp_path / "conf" / "train" / "task.yaml").write_text(yaml.safe_dump(TASK))
    texts = {"web": [f"page number {i} of many" for i in range(30)], "code": [f"x[{i}] = {i}" for i in range(30)]}
    tokenizer = train([text for some in texts.values() for text in some], Tokenize(vocab_size=280))
    eod = tokenizer.token_to_id("<|endoftext|>")
    assert eod is not None
    (tmp_path / "data").mkdir()
    tokenizer.save(str(tmp_path / "data" / "tokenizer.json"))
    for name, some in texts.items():
        with TokenShardWriter(tmp_path / "data" / f"{name}_text_document", dtype_for(280)) as shard:
            for ids in encode(tokenizer, some):
                shard.add_document([*ids, eod])
    (tmp_path / "where.yaml").write_text("executor: {kind: inline}\ntracking_uri: 'off'\n")
    return tmp_path


def test_a_dry_run_shows_recipe_keys_sizes_and_what_is_missing(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (experiment / "data" / "code_text_document.bin").unlink()
    words = ("train.model.num_layers=3", "train.model.moe_layer_freq='[0]+[1]*2'")
    assert main([*HERE, "--action", "dryrun", *words]) == 0
    told = capsys.readouterr().out
    shown = yaml.safe_load(told[: told.index("used:")])
    assert shown["pretrain"]["model"]["num_hidden_layers"] == 3
    assert shown["mix"]["weights"] == {"web": 0.75, "code": 0.25}
    assert "  train.model.num_layers: pretrain.model.num_hidden_layers=3\n" in told
    assert "training: 2 steps, 128 tokens" in told
    assert "parameters: " in told
    assert f"missing on this machine: 2\n  {experiment}/data/code_text_document.bin\n  GPUs: 1 a node" in told
    assert not (experiment / "out").exists()


def test_a_run_trains_on_the_files_where_they_are(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*HERE, "--action", "run", "--where", "where.yaml"]) == 0
    told = capsys.readouterr().out
    facts = read_manifest(experiment / "out" / "pretrain")["facts"]
    assert facts["steps"] == 2 and facts["tokens"] == 2 * 4 * 17
    assert 4.5 < facts["lm_loss"] < 7
    assert "checkpoint: out/pretrain-" in told
    mixture = json.loads((experiment / "out" / "mix" / "mixture.json").read_text())
    assert {e["source"]: e["weight"] for e in mixture["entries"]} == {"web": 0.75, "code": 0.25}
    assert [e["prefixes"] for e in mixture["entries"]] == [
        [str(experiment / f"data/{name}_text_document")] for name in ("code", "web")
    ]
    assert not list((experiment / "out").rglob("*.bin"))
    assert not (experiment / "out" / "logs" / "openseek.json").exists()
    before = os.stat(experiment / "out" / "pretrain" / "manifest.json").st_mtime_ns
    assert main([*HERE, "--where", "where.yaml"]) == 0
    assert os.stat(experiment / "out" / "pretrain" / "manifest.json").st_mtime_ns == before


def test_missing_files_are_named_all_at_once_before_anything_runs(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train.data.data_path=[1,/none/a_text_document,1,/none/b_text_document]", "--where", "where.yaml")
    assert main([*HERE, *words]) == 1
    told = capsys.readouterr().err
    assert all(f"/none/{name}_text_document.{suffix}" in told for name in "ab" for suffix in ("bin", "idx"))
    assert not (experiment / "out").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["+train.system.pipeline_model_parallel_size=2", "+experiment.runner.nnodes=2"], "--parallel as_dp"),
        (["+experiment.runner.nnodes=2"], "give --where with executor.kind slurm"),
        (["+action=query"], "action=query: use run, stop, dryrun"),
        (["train.model.num_layer=2"], "num_layer"),
        (["--action", "write"], "--action write needs --recipe"),
    ],
)
def test_mistakes_are_named(
    experiment: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*HERE, "--where", "where.yaml", *words]) == 1
    assert message in capsys.readouterr().err


def test_a_recipe_of_ours_is_written_as_two_files(experiment: Path) -> None:
    assert (
        main(["flagscale", "--action", "write", "--recipe", "debug", "--config-path", "new", "--config-name", "d"]) == 0
    )
    assert yaml.safe_load((experiment / "new" / "train" / "d.yaml").read_text())["openseek"]["filter"]


def test_a_run_in_the_background_is_stopped_by_its_record(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("train.model.train_samples=400000", "--where", "where.yaml")
    assert main([*HERE, "--background", *words]) == 0
    record = json.loads((experiment / "out" / "logs" / "openseek.json").read_text())
    log = experiment / "out" / "logs" / "openseek.log"
    deadline = time.monotonic() + 120
    while not list((experiment / "out").glob("pretrain-*/metrics/*.jsonl")) and time.monotonic() < deadline:
        assert "failed" not in log.read_text(), log.read_text()
        time.sleep(0.2)
    assert main([*HERE, *words]) == 1
    assert "runs this experiment already" in capsys.readouterr().err
    assert main([*HERE, "--action", "stop", *words]) == 0
    assert f"ended process {record['pid']}" in capsys.readouterr().out
    assert not Path(f"/proc/{record['pid']}").exists() or "Z" in Path(f"/proc/{record['pid']}/stat").read_text()
    assert "interrupted" in log.read_text()
    assert main([*HERE, "--action", "stop", *words]) == 0
    assert "nothing was running" in capsys.readouterr().out
