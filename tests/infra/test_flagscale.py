"""FlagScale's command lines become those of `openseek`."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "infra" / "flagscale"
CONVERT = (
    "--model-type deepseek_v3 --loader transformers --saver mcore --load-dir D --save-dir D2 "
    "--target-tensor-parallel-size 1 --target-pipeline-parallel-size 2 --target-decoder-first-pipeline-num-layers 13 "
    "--target-expert-parallel-size 4 --target-params-dtype bf16 --true-vocab-size 151851"
)
BACK = "--model-type deepseek_v3 --loader mcore --saver transformers --load-dir D --save-dir D2"


def shown(script: str, words: str) -> subprocess.CompletedProcess[str]:
    """What a script says instead of running it."""
    command = [sys.executable, str(SCRIPTS / script), "--print-command", *shlex.split(words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "script, words, expected",
    [
        (
            "run.py",
            "--config-path ./conf --config-name x.yaml action=run train.model.num_layers=4 +train.a=1",
            "flagscale --config-path ./conf --config-name x.yaml --action run train.model.num_layers=4 +train.a=1",
        ),
        (
            "run.py",
            "--config-path=conf --config-name=x action=stop",
            "flagscale --config-path conf --config-name x --action stop",
        ),
        (
            "run.py",
            "-cp conf -cn x --root R --background ~train.model.seed action=dryrun",
            "flagscale --config-path conf --config-name x --action dryrun --root R --background '~train.model.seed'",
        ),
        ("run.py", "--config-path conf --config-name x", "flagscale --config-path conf --config-name x"),
        (
            "convert.py",
            CONVERT,
            "convert --checkpoint D --out D2 --config.to mcore --config.tp 1 --config.pp 2 --config.ep 4 "
            "--config.first 13 --config.true-vocab-size 151851 --config.make-vocab-size-divisible-by 64 "
            "--config.dtype bf16",
        ),
        ("convert.py", BACK, "convert --checkpoint D --out D2 --config.to hf"),
        (
            "convert.py",
            f"{BACK} --true-vocab-size 151851 --target-params-dtype fp32",
            "convert --checkpoint D --out D2 --config.to hf --config.true-vocab-size 151851 --config.dtype fp32",
        ),
    ],
)
def test_words_are_translated(script: str, words: str, expected: str) -> None:
    told = shown(script, words)
    assert (told.stdout, told.stderr, told.returncode) == (f"openseek {expected}\n", "", 0)


@pytest.mark.parametrize(
    "script, words, message",
    [
        ("run.py", "--config-name x action=run", "--config-path"),
        ("run.py", "--config-path c --config-name x action=auto_tune", "`openseek sweep` looks for the best"),
        ("run.py", "--config-path c --config-name x --multirun", "--multirun"),
        ("convert.py", f"{CONVERT} --target-num-experts 8", "--target-num-experts: a model keeps its experts"),
        ("convert.py", CONVERT.replace("deepseek_v3", "mixtral"), "--model-type mixtral"),
        ("convert.py", CONVERT.replace("deepseek_v3", "qwen2 deepseek_v3"), "one model is converted into itself"),
        ("convert.py", CONVERT.replace("--saver mcore", "--saver megatron"), "invalid choice: 'megatron'"),
        ("convert.py", f"{CONVERT} --nothing", "--nothing"),
    ],
)
def test_what_cannot_be_handed_on_is_named(script: str, words: str, message: str) -> None:
    told = shown(script, words)
    assert told.returncode == 2 and message in told.stderr


def test_options_without_effect_are_told() -> None:
    told = shown("convert.py", f"{BACK} --megatron-path M --no-checking")
    assert told.stdout == "openseek convert --checkpoint D --out D2 --config.to hf\n"
    assert "--megatron-path is left aside: no Megatron is imported" in told.stderr
    assert "--no-checking is left aside" in told.stderr


def test_a_run_is_handed_over_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "run.py"), "--config-path", "none", "--config-name", "x", "action=dryrun"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert (told.returncode, told.stdout) == (1, "")
    assert "openseek: flagscale: --config-path none is no folder" in told.stderr


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "D2").mkdir()
    (tmp_path / "D2" / "mine").write_text("")
    command = [sys.executable, str(SCRIPTS / "convert.py"), *shlex.split(BACK)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert told.returncode == 1 and "holds other files" in told.stderr
    assert [path.name for path in (tmp_path / "D2").iterdir()] == ["mine"]


def test_a_checkpoint_goes_to_megatron_and_back(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from openseek.model.hf import save_checkpoint
    from openseek.model.presets import PRESETS
    from openseek.model.transformer import Transformer

    (tmp_path / "tokenizer.json").write_text("{}")
    torch.manual_seed(0)
    save_checkpoint(Transformer(PRESETS["debug_small"]), tmp_path / "tokenizer.json", tmp_path / "D", eod=0)

    def convert(words: str) -> None:
        command = [sys.executable, str(SCRIPTS / "convert.py"), *shlex.split(words)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
        assert told.returncode == 0, told.stderr

    sizes = (
        CONVERT.replace("num-layers 13", "num-layers 2").replace("151851", "512").replace("dtype bf16", "dtype fp32")
    )
    convert(sizes)
    saved = tmp_path / "D2"
    step = saved / (saved / "latest_checkpointed_iteration.txt").read_text().strip()
    assert len(list(step.glob("mp_rank_00_*/model_optim_rng.pt"))) == 2 * 4
    assert not (saved / "latest_checkpointed_iteration.txt").readlink().is_absolute()
    convert(sizes)  # it is there already
    convert(BACK.replace("-dir D ", "-dir D2 ").replace("--save-dir D2", "--save-dir D3"))
    before, after = load_file(tmp_path / "D" / "model.safetensors"), load_file(tmp_path / "D3" / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
