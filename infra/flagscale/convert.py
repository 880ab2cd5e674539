"""FlagScale's `convert.py --model-type deepseek_v3 --loader transformers --saver mcore ...`, as `openseek convert`.

The result lies in SAVE_DIR as Megatron or transformers look for it. SAVE_DIR is an artifact at the same time: the files
are in SAVE_DIR/checkpoint, and links beside it name them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LAYOUTS = {"transformers": "hf", "mcore": "mcore"}
MODELS = ("deepseek_v3", "deepseek_v2", "moonlight", "aquila3_dense", "aquila_dense", "qwen2", "qwen3")
SIZES = {
    "target_tensor_parallel_size": "tp",
    "target_pipeline_parallel_size": "pp",
    "target_expert_parallel_size": "ep",
    "target_expert_tensor_parallel_size": "etp",
    "target_decoder_first_pipeline_num_layers": "first",
    "target_decoder_last_pipeline_num_layers": "last",
    "true_vocab_size": "true-vocab-size",
    "make_vocab_size_divisible_by": "make-vocab-size-divisible-by",
}
"""FlagScale's options -> fields of `convert`."""
DIVISIBLE = 64
"""make_vocab_size_divisible_by where FlagScale is not told it."""
NEEDLESS = {
    "--megatron-path": "no Megatron is imported",
    "--max-queue-size": "the tensors are streamed, not queued",
    "--no-checking": "the plan is always checked as a whole",
    "--vocab-file": "the tokenizer's files are taken from the folder",
    "--loader-transformer-impl": "the names in the files tell it",
    "--position-embedding-type": "the checkpoint tells it",
    "--build-model-with-initialization": "no model is built",
}
"""Options that change nothing here -> why."""
REFUSED = {
    "--target-num-experts": "a model keeps its experts: dense models are not turned into models with experts",
    "--target-num-layers-per-virtual-pipeline-stage": "give virtual stages as `openseek convert --config.vpp N`",
    "--source-model-type": "one model is converted into itself",
}
FLAGS = ("--no-checking", "--build-model-with-initialization")


def words(arguments: Sequence[str]) -> tuple[list[str], Path]:
    """(the words of `openseek`, SAVE_DIR) for those of FlagScale; exits with status 2 for what cannot be handed on."""
    parser = argparse.ArgumentParser(prog="convert.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--model-type", nargs="+", required=True, help=", ".join(MODELS))
    parser.add_argument("--loader", required=True, choices=LAYOUTS)
    parser.add_argument("--saver", required=True, choices=LAYOUTS)
    parser.add_argument("--load-dir", required=True)
    parser.add_argument("--save-dir", required=True)
    parser.add_argument("--target-params-dtype", choices=("bf16", "fp16", "fp32"))
    for option in SIZES:
        parser.add_argument(f"--{option.replace('_', '-')}", type=int)
    for option in (*NEEDLESS, *REFUSED):
        parser.add_argument(option, action="store_true" if option in FLAGS else "store")
    given = vars(parser.parse_args(arguments))
    for option, why in REFUSED.items():
        if given[_name(option)] is not None:
            parser.error(f"{option}: {why}")
    for option, why in NEEDLESS.items():
        if given[_name(option)]:
            print(f"convert.py: {option} is left aside: {why}", file=sys.stderr)
    if unknown := [model for model in given["model_type"] if model not in MODELS]:
        parser.error(f"--model-type {unknown[0]}: models of {', '.join(MODELS)} are converted; config.json tells which")
    if len(given["model_type"]) > 1:
        parser.error(f"--model-type {' '.join(given['model_type'])}: {REFUSED['--source-model-type']}")
    to = LAYOUTS[given["saver"]]
    found = ["convert", "--checkpoint", given["load_dir"], "--out", given["save_dir"], "--config.to", to]
    for option, field in SIZES.items():
        value = given[option] if given[option] is not None else DIVISIBLE if option.startswith("make_") else None
        if value is None or (to == "hf" and field != "true-vocab-size"):
            continue
        found += [f"--config.{field}", str(value)]
    if given["target_params_dtype"]:
        found += ["--config.dtype", given["target_params_dtype"]]
    return found, Path(given["save_dir"])


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def link(folder: Path) -> None:
    """Name each thing in `folder`/checkpoint in `folder` itself."""
    for path in sorted((folder / "checkpoint").iterdir()):
        place = folder / path.name
        if not place.is_symlink():
            place.symlink_to(path.relative_to(folder))


def main() -> int:
    """Convert, then link; with --print-command as the first word only show the command. Returns the exit status."""
    shown = sys.argv[1:2] == ["--print-command"]
    command, folder = words(sys.argv[2:] if shown else sys.argv[1:])
    if shown:
        print(shlex.join(["openseek", *command]))
        return 0
    ours = any((folder / name).exists() for name in ("manifest.json", ".started"))
    if folder.is_dir() and any(folder.iterdir()) and not ours:
        print(f"convert.py: --save-dir {folder} holds other files: give a new folder", file=sys.stderr)
        return 1
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    status = subprocess.call([sys.executable, "-m", "cli", *command], env={**os.environ, "PYTHONPATH": path})
    if status == 0:
        link(folder)
    return status


if __name__ == "__main__":
    sys.exit(main())
