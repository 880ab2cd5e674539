"""Pretraining as a user starts it: real text, ranks that submitit starts, kills, no compiler, Slurm.

A DeepSpeed process costs many seconds before its first step, so launches are few and shared.
"""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from openseek.artifact import read_manifest
from openseek.data.sources import Source
from openseek.data.tokenizer import Tokenize
from openseek.model.config import ModelConfig, Yarn
from openseek.model.hf import load_checkpoint
from openseek.parallel.dims import ParallelDims
from openseek.train.batch_ramp import BatchRamp
from openseek.train.loop import Fit
from openseek.train.pretrain import Pretrain
from openseek.train.schedule import Schedule
from tasks.launch import cancel, on_ranks
from tasks.train import pretrain
from tasks.where import Executor, Where, using

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = Pretrain(
    model=ModelConfig(
        hidden_size=48, num_hidden_layers=3, kv_lora_rank=24, intermediate_size=64, moe_intermediate_size=32
    ),
    fit=Fit(schedule=Schedule(peak=4e-3, final=4e-4), ema_decay=0.7),
    train_tokens=6 * 8 * 64,
    batch_ramp=BatchRamp(start=4, increment=4, tokens=8 * 64),
    snapshot_every_steps=2,
    average_snapshots=2,
    warmup_tokens=512,
    sequence_length=64,
    global_batch_size=8,
    micro_batch_size=2,
    heldout_sequences=6,
)
LOCAL = Executor(kind="local")
KINDS = ("checkpoint", "checkpoint_ema", "checkpoint_average", "snapshots/step-00000002")


def spread(config: Pretrain, **changes) -> Pretrain:
    return dataclasses.replace(config, fit=dataclasses.replace(config.fit, **changes))


def lines(out: Path, rank: int = 0) -> list[dict[str, float]]:
    text = (out / "metrics" / f"rank{rank:05d}.jsonl").read_text()
    return [{k: v for k, v in json.loads(line).items() if k != "tokens_per_second"} for line in text.splitlines()]


@pytest.fixture(scope="module")
def mixture(tmp_path_factory, samples) -> Path:
    """A `mix` artifact of real English text, made by the tasks before."""
    from openseek.data.sources import Ingest
    from tasks.ingest import ingest
    from tasks.mix import mix
    from tasks.tokens import tokenize

    with using(Where(root=tmp_path_factory.mktemp("corpus"))):
        source = Source("en_edu", str(samples / "en_edu" / "fineweb-edu-docs.parquet"), lang="en", licence="by")
        documents = ingest(config=Ingest(sources=(source,)))
        mixed = mix(tokenize(documents, config=Tokenize(vocab_size=1024, heldout_fraction=0.05)))
        content = json.loads((mixed / "mixture.json").read_text())
        held = content["heldout"]
        text = {"prefixes": held["prefixes"], "documents": held["documents"], "tokens": held["tokens"]}
        held["sources"] = {"en_edu": text | {"bytes": 4 * held["tokens"]}}
        (mixed / "mixture.json").write_text(json.dumps(content))
        return mixed


@pytest.fixture(scope="module")
def one_rank(mixture, tmp_path_factory) -> Path:
    """TINY trained by one rank in this process."""
    with using(Where(root=tmp_path_factory.mktemp("one"), executor=Executor(kind="inline"))):
        return pretrain(mixture, config=TINY)


def worst_difference(a: Path, b: Path, kind: str = "checkpoint") -> float:
    """Largest relative difference of norms over the tensors of two checkpoints."""
    ours, theirs = (load_checkpoint(each / kind).state_dict() for each in (a, b))
    return max(((ours[n] - theirs[n]).norm() / theirs[n].norm().clamp(min=1e-9)).item() for n in theirs)


def test_two_ranks_equal_one(mixture, one_rank, tmp_path):
    with using(Where(root=tmp_path, executor=LOCAL)):
        out = pretrain(mixture, config=spread(TINY, parallel=ParallelDims(dp=2)))
    assert out.name == one_rank.name  # the layout is no part of what the artifact is
    for ours, theirs in zip(lines(out), lines(one_rank), strict=True):
        for name in ("loss", "mtp_loss", "aux_loss", "grad_norm", "load_imbalance"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4), (ours["step"], name)
        assert ours["tokens"] == theirs["tokens"]
    assert lines(out, 1) == lines(out)
    for kind in KINDS:
        assert worst_difference(out, one_rank, kind) < 1e-3
    facts, other = (read_manifest(each)["facts"] for each in (out, one_rank))
    assert facts["heldout_loss"] == pytest.approx(other["heldout_loss"], rel=1e-4)
    for name in ("heldout_loss_ema", "heldout_loss_average"):
        assert facts[name] == pytest.approx(other[name], rel=1e-4)
    assert facts["heldout_losses"] == pytest.approx(other["heldout_losses"], rel=1e-4)


def test_every_kind_of_average_is_another_model_and_each_is_measured(one_rank):
    facts = read_manifest(one_rank)["facts"]
    assert len({facts[f"heldout_loss{kind}"] for kind in ("", "_ema", "_average")}) == 3
    assert [line["batch_size"] for line in lines(one_rank)] == [4, 4, 8, 8, 8, 8, 8]
    assert sorted(path.name for path in (one_rank / "snapshots").iterdir()) == [f"step-{n:08d}" for n in (2, 4, 6)]
    last, before = (load_checkpoint(one_rank / f"snapshots/step-{n:08d}").state_dict() for n in (6, 4))
    average = load_checkpoint(one_rank / "checkpoint_average").state_dict()
    for name, tensor in average.items():
        torch.testing.assert_close(tensor, (last[name] + before[name]) / 2, msg=name)
    assert worst_difference(one_rank, one_rank, "checkpoint") == 0
    assert any(not torch.equal(average[name], last[name]) for name in last)


def test_ranks_that_see_the_same_half_are_noticed(mixture, one_rank, tmp_path):
    def same_half(out, mixture, config):
        import dataclasses

        import openseek.train.loader as loader
        from openseek.train.pretrain import train

        original = loader.Loader.__call__

        def first_rank(self, step):
            self.ranks = dataclasses.replace(self.ranks, rank=0)
            return original(self, step)

        loader.Loader.__call__ = first_rank
        return train(out, mixture, config)

    out = tmp_path / "same-half"
    out.mkdir()
    config = spread(TINY, parallel=ParallelDims(dp=2))
    with using(Where(root=tmp_path, executor=LOCAL)):
        on_ranks(same_half, config.fit.parallel, out=out, mixture=mixture, config=config)
    ours, theirs = lines(out)[0], lines(one_rank)[0]
    assert abs(ours["loss"] - theirs["loss"]) > 1e-3 * theirs["loss"]
    assert abs(ours["grad_norm"] - theirs["grad_norm"]) > 1e-2 * theirs["grad_norm"]
    assert worst_difference(out, one_rank) > 1e-2


def test_heldout_loss_falls_below_the_unigram_entropy(mixture, root):
    config = dataclasses.replace(
        TINY,
        model=ModelConfig(hidden_size=96, num_hidden_layers=2, bias_update_rate=0.02, initializer_range=0.1),
        fit=Fit(schedule=Schedule(peak=5e-3, final=5e-4)),
        batch_ramp=BatchRamp(),
        average_snapshots=0,
        train_tokens=60_000,
        warmup_tokens=4_000,
        global_batch_size=4,
        micro_batch_size=4,
        heldout_sequences=64,
    )
    out = pretrain(mixture, config=config)
    facts = read_manifest(out)["facts"]
    assert facts["heldout_loss"] < facts["unigram_entropy_nats"] - 0.1
    measured = {line["step"]: line["heldout_loss/en_edu"] for line in lines(out) if "heldout_loss/en_edu" in line}
    assert list(measured) == [math.ceil(facts["steps"] / 2), facts["steps"]]
    assert facts["heldout_losses"] == {"en_edu": measured[facts["steps"]]}
    assert facts["heldout_losses"]["en_edu"] == pytest.approx(facts["heldout_loss"], rel=0.1)
    assert facts["heldout_bits_per_byte"]["en_edu"] == pytest.approx(measured[facts["steps"]] / math.log(2) / 4)
    assert facts["packing_efficiency"] > 0.99
    untrained = dataclasses.replace(config, train_tokens=1, fit=Fit(schedule=Schedule(peak=0.0, final=0.0)))
    facts = read_manifest(pretrain(mixture, config=untrained))["facts"]
    assert facts["heldout_loss"] > facts["unigram_entropy_nats"]


def test_killed_without_a_compiler_it_resumes_to_the_same_bytes(mixture, one_rank, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "bash", "env", "uname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    program = tmp_path / "train.py"
    program.write_text(
        textwrap.dedent(f"""
        import shutil
        assert not any(shutil.which(name) for name in ("gcc", "g++", "cc", "c++", "clang", "ninja", "nvcc"))
        import dataclasses
        from pathlib import Path
        from openseek.model.config import ModelConfig
        from openseek.train.batch_ramp import BatchRamp
        from openseek.train.fill_in_the_middle import FillInTheMiddle
        from openseek.train.loop import Fit
        from openseek.train.schedule import Schedule
        from openseek.train.pretrain import Pretrain
        from tasks.train import pretrain
        from tasks.where import Executor, Where, using
        config = {TINY!r}
        config = dataclasses.replace(config, fit=dataclasses.replace(config.fit, save_every_steps=2))
        with using(Where(root=Path({str(tmp_path)!r}), executor=Executor(kind="inline"))):
            print(pretrain(Path({str(mixture)!r}), config=config))
        """).replace("ParallelDims(", "__import__('openseek.parallel.dims', fromlist=['']).ParallelDims(")
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "PATH": str(tools),
        "TORCH_EXTENSIONS_DIR": str(tmp_path / "x"),
    }
    command = [sys.executable, str(program)]
    out = tmp_path / one_rank.name
    first = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while first.poll() is None and not (out / "resume" / "LATEST").exists():
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    error = first.communicate()[1]
    assert (out / "resume" / "LATEST").exists(), error
    assert not (out / "manifest.json").exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert lines(out) == lines(one_rank)
    for kind in KINDS:
        weights = f"{kind}/model.safetensors"
        assert (out / weights).read_bytes() == (one_rank / weights).read_bytes(), kind
    assert not (out / "resume").exists()


def test_a_training_goes_on_from_a_checkpoint_at_twice_the_length(mixture, one_rank, root):
    yarn = Yarn(factor=2.0, original_max_position_embeddings=64)
    config = dataclasses.replace(
        TINY,
        model=dataclasses.replace(TINY.model, rope_scaling=yarn, max_position_embeddings=128),
        sequence_length=128,
        batch_ramp=BatchRamp(),
        train_tokens=8 * 128,
        average_snapshots=0,
    )
    out = pretrain(mixture, one_rank, config=config, label="long")
    manifest = read_manifest(out)
    assert manifest["inputs"]["checkpoint"]["fingerprint"] == read_manifest(one_rank)["fingerprint"]
    assert lines(out)[0]["lm_loss"] < lines(one_rank)[0]["lm_loss"] - 0.15
    assert load_checkpoint(out / "checkpoint").config.rope_scaling == yarn
    narrow = dataclasses.replace(config, model=dataclasses.replace(config.model, hidden_size=32))
    with pytest.raises(ValueError, match=r"holds another model: model\.hidden_size=32, the checkpoint has 48"):
        pretrain(mixture, one_rank, config=narrow)


def test_what_cannot_be_trained_is_named(mixture, root):
    with pytest.raises(ValueError, match="model.vocab_size=50 is below the tokenizer's"):
        pretrain(mixture, config=dataclasses.replace(TINY, model=dataclasses.replace(TINY.model, vocab_size=50)))
    with pytest.raises(ValueError, match="global_batch_size=7 must be a multiple of fit.parallel.dp=2"):
        spread(dataclasses.replace(TINY, global_batch_size=7, batch_ramp=BatchRamp()), parallel=ParallelDims(dp=2))
    with pytest.raises(ValueError, match="average_snapshots=4 of 3 snapshots"):
        dataclasses.replace(TINY, average_snapshots=4)
    with pytest.raises(ValueError, match="sequence_length=5000"):
        dataclasses.replace(TINY, sequence_length=5000)


@pytest.mark.slurm
def test_slurm_trains_on_two_nodes_and_cancelling_leaves_no_job(mixture, one_rank, slurm, tmp_path):
    executor = Executor(kind="slurm", nodes=2, master_addr="127.0.0.1", memory_gb=2, timeout_min=20)
    with using(Where(root=tmp_path, executor=executor, flow_run_id="flow-1")):
        out = pretrain(mixture, config=spread(TINY, parallel=ParallelDims(dp=2)))
        for ours, theirs in zip(lines(out), lines(one_rank), strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)

        import threading

        def sleeper(out):
            import time

            (out / "started").write_text("")
            time.sleep(600)
            return {}

        folder = tmp_path / "sleeper"
        folder.mkdir()
        failure: list[BaseException] = []

        def launch() -> None:
            try:
                with using(Where(root=tmp_path, executor=executor, flow_run_id="flow-2")):
                    on_ranks(sleeper, ParallelDims(dp=2), out=folder)
            except RuntimeError as error:
                failure.append(error)

        thread = threading.Thread(target=launch)
        thread.start()
        deadline = time.monotonic() + 60
        while not (folder / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        cancel("flow-2")
        thread.join(timeout=60)
        assert "ended without a result" in str(failure[0])
    queue = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True, timeout=30)
    assert "openseek-flow" not in queue.stdout
    assert torch.isfinite(torch.tensor(lines(out)[-1]["loss"]))
