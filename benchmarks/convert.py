"""Converting a checkpoint between Hugging Face's and Megatron-core's layout, beside a plain copy of the same bytes.

The model has the shape of OpenSeek 16B with every width divided by four, and random bits for weights: 1.1 billion
parameters in 5,000 tensors. Each conversion is its own process; before each, what was written is flushed to disk, and
all sources are in the page cache. Conversion and copies take turns, and the best of ROUNDS counts for each.
Logits are compared in one case alone: a copy does not do that either.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.rows import Row, cpu_name

ROUNDS = 3
NOISE_BYTES = 200_000_000
LAYOUTS: dict[str, dict[str, object]] = {
    "TP1 PP1 EP1": {},
    "TP1 PP2 (13+14) EP4": {"pp": 2, "ep": 4, "first": 13},
    "TP2 PP2 EP2": {"tp": 2, "pp": 2, "ep": 2, "first": 13},
}
"""Name -> fields of the conversion to Megatron."""
COMMAND = "openseek bench convert"

CONVERT = """
import json, sys, time
from contextlib import contextmanager
from pathlib import Path

import openseek.model.checkpoints, openseek.model.conversion, openseek.model.self_test
from openseek.model.convert import Convert, convert_folder

source, out, fields = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
written = []


@contextmanager
def progress(num_bytes):
    written.append(time.perf_counter())  # all is planned
    yield lambda count: None


start = time.perf_counter()
convert_folder(source, out, Convert(**{"threads": 1, "test_tokens": 0, **fields}), progress)
end = time.perf_counter()
openseek.model.checkpoints.open_checkpoint(out)  # the conversion did that, too, when all was written
fixed = written[0] - start + time.perf_counter() - end
# Not ru_maxrss, which a child takes over from its parent.
peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
print(json.dumps([end - start, fixed, peak / 1024]))
"""


def measure() -> list[Row]:
    """Rows of both directions for each layout."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="convert-") as scratch:
        folder = Path(scratch)
        original = folder / "hf"
        _random_checkpoint(original)
        for name, fields in LAYOUTS.items():
            megatron, back, copy = folder / "megatron", folder / "back", folder / "copy"
            rows += _rows(f"HF -> Megatron {name}", original, megatron, copy, fields)
            rows += _rows(f"Megatron {name} -> HF", megatron, back, copy, {"to": "hf"})
            case = f"HF -> Megatron {name} -> HF"
            rows.append(_row(case, "tensors that differ", len(differing(original, back)), "tensors"))
            for left in (megatron, back):
                shutil.rmtree(left)
            if fields:
                continue
            seconds, _, peak = converted(original, megatron, {"test_tokens": 32})
            case = f"HF -> Megatron {name}, logits compared"
            rows += [_row(case, "seconds", seconds, "s"), _row(case, "peak memory", peak, "MiB")]
            shutil.rmtree(megatron)
    return rows


def _row(case: str, metric: str, value: float, unit: str, peer: str = "", peer_value: float | None = None) -> Row:
    return Row("convert", case, metric, value, unit, peer, peer_value, cpu_name(), command=COMMAND)


def _rows(case: str, source: Path, out: Path, copy: Path, fields: dict[str, object]) -> list[Row]:
    """Convert and copy in turn; `out` is left there."""
    peers: dict[str, Callable[[Path, Path], float]] = {
        "shutil.copyfile and fsync": _copyfile_flushed,
        "shutil.copyfile": _copyfile,
        "cp": _cp,
    }
    ours: list[tuple[float, float, float]] = []
    theirs: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(ROUNDS):
        shutil.rmtree(out, ignore_errors=True)
        os.sync()
        ours.append(converted(source, out, fields))
        for peer, copied in peers.items():
            os.sync()
            theirs[peer].append(copied(source, copy))
            shutil.rmtree(copy)
    size = sum(path.stat().st_size for path in _files(source)) / 1e9
    seconds, fixed = min(one[0] for one in ours), min(one[1] for one in ours)
    writing = min(one[0] - one[1] for one in ours)
    rows = []
    for peer, taken in theirs.items():
        rows.append(_row(case, "throughput", size / seconds, "GB/s", peer, size / min(taken)))
        rows.append(_row(case, "throughput of the bytes alone", size / writing, "GB/s", peer, size / min(taken)))
    rows.append(_row(case, "seconds", seconds, "s"))
    rows.append(_row(case, "seconds of planning and opening, the same for larger tensors", fixed, "s"))
    rows.append(_row(case, "peak memory", max(one[2] for one in ours), "MiB"))
    return rows


def converted(source: Path, out: Path, fields: dict[str, object]) -> tuple[float, float, float]:
    """(seconds without imports, those of planning and of opening the result, peak resident MiB) of a process."""
    command = [sys.executable, "-c", CONVERT, str(source), str(out), json.dumps(fields)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the conversion failed:\n{done.stderr}")
    seconds, fixed, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, fixed, peak


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _copyfile(source: Path, copy: Path) -> float:
    start = time.perf_counter()
    for path in _files(source):
        target = copy / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return time.perf_counter() - start


def _copyfile_flushed(source: Path, copy: Path) -> float:
    """As the conversion does, each file is on disk when this returns."""
    start = time.perf_counter()
    _copyfile(source, copy)
    for path in _files(copy):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    return time.perf_counter() - start


def _cp(source: Path, copy: Path) -> float:
    start = time.perf_counter()
    subprocess.run(["cp", "-r", str(source), str(copy)], check=True)
    return time.perf_counter() - start


def _random_checkpoint(folder: Path) -> None:
    """A Hugging Face folder of the quartered 16B model; each tensor takes its bits from somewhere in one noise."""
    import torch

    from openseek.model.hf_config import hf_config
    from openseek.model.presets import OPENSEEK_16B
    from openseek.model.safetensors_files import write_safetensors
    from openseek.model.stored_tensor import StoredTensor, whole
    from openseek.model.tensor_names import expected_tensors

    big = OPENSEEK_16B
    widths = ("hidden_size", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "intermediate_size")
    quarters = {name: getattr(big, name) // 4 for name in (*widths, "moe_intermediate_size")}
    config = dataclasses.replace(big, vocab_size=151_851, **quarters)
    folder.mkdir()
    noise = folder / "noise"
    with noise.open("wb") as file:
        for _ in range(NOISE_BYTES // 1_000_000):
            file.write(os.urandom(1_000_000))
    targets = []
    for number, (name, shape) in enumerate(expected_tensors(config).items()):
        dtype = torch.float32 if ".mlp.gate." in name else torch.bfloat16
        tensor = StoredTensor(name, dtype, shape, noise, 0)
        start = number * 37_000_004 % (NOISE_BYTES - tensor.num_bytes)
        targets.append(whole(name, dataclasses.replace(tensor, offset=start)))
    write_safetensors(folder, targets)
    noise.unlink()
    (folder / "config.json").write_text(json.dumps(hf_config(config, "bfloat16")), encoding="utf-8")


def differing(first: Path, second: Path) -> list[str]:
    """Names of tensors of two Hugging Face folders that are not the same bit for bit, or only in one of them."""
    from openseek.model.byte_copy import same_bytes
    from openseek.model.safetensors_files import open_safetensors

    one, other = open_safetensors(first), open_safetensors(second)
    return sorted(
        name
        for name in {*one, *other}
        if name not in one or name not in other or not same_bytes(one[name], other[name])
    )
