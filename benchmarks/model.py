"""The model beside transformers': equal logits in every precision, and the speed of generation.

On a GPU the generated shape is OpenSeek-Small-v1-Baseline with random weights in bfloat16, on a CPU its size for
tests. The floor of a decoding step reads every weight that the batch touches, and the cache, once at the bandwidth that
a large copy reaches on this device.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.rows import Row, cpu_name
from openseek.inference.engine import generate
from openseek.inference.sampling import Sampling
from openseek.model.config import ModelConfig
from openseek.model.hf import load_checkpoint, save_checkpoint
from openseek.model.presets import PRESETS
from openseek.model.size import cache_elements_per_token
from openseek.model.transformer import Transformer

FAMILY = ("debug_small", "debug_v2_lite", "debug_v3", "debug_aquila")
PEER = "transformers"


def measure() -> list[Row]:
    """Rows of parity for each family and of generation for several batch sizes."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = False
    shared: dict[str, Any] = {
        "bench": "model",
        "device": torch.cuda.get_device_name() if gpu else cpu_name(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "command": "openseek bench model",
    }
    rows = [row for name in FAMILY for row in _parity(name, device, shared)]
    name = "openseek_small_v1_baseline" if gpu else "debug_small"
    config = dataclasses.replace(PRESETS[name], num_nextn_predict_layers=0)
    sizes = (1, 8, 32, 256) if gpu else (1, 8)
    return rows + _generation(name, config, sizes, device, shared)


def _filled(config: ModelConfig) -> Transformer:
    """Random weights whose norms and router biases matter."""
    torch.manual_seed(0)
    model = Transformer(config)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if "norm" in key:
                tensor.add_(0.2 * torch.randn_like(tensor))
            elif key.endswith("e_score_correction_bias"):
                tensor.normal_(std=0.1)
    return model.eval()


def _peer(folder: Path, dtype: torch.dtype, device: torch.device) -> Any:
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        model = model.to(device).eval()
    if device.type == "cuda" and dtype == torch.bfloat16 and model.config.model_type.startswith("deepseek"):
        model.set_experts_implementation("grouped_mm")  # its fastest that needs no download
    return model


def _parity(name: str, device: torch.device, shared: dict[str, Any]) -> list[Row]:
    """Distance of logits from transformers' in float32, and of both from it in bfloat16."""
    config = dataclasses.replace(PRESETS[name], num_nextn_predict_layers=0)
    ids = torch.randint(0, config.vocab_size, (4, 200), generator=torch.Generator().manual_seed(1)).to(device)
    rows = []
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        folder = Path(scratch)
        save_checkpoint(_filled(config), None, folder)
        exact = _peer(folder, torch.float32, device)(ids).logits
        for dtype in (torch.float32, torch.bfloat16):
            ours = _distance(load_checkpoint(folder, dtype).to(device)(ids).logits_BTV, exact)
            theirs = _distance(_peer(folder, dtype, device)(ids).logits, exact)
            case = f"{name}, {str(dtype).removeprefix('torch.')}"
            metric = "relative distance of logits from transformers' in float32"
            peer: dict[str, Any] = {} if dtype == torch.float32 else {"peer": PEER, "peer_value": theirs}
            rows.append(Row(**shared, case=case, metric=metric, value=ours, unit="ratio", **peer))
    return rows


def _distance(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual.double() - expected.double()).norm() / expected.double().norm()).item()


def _generation(
    name: str, config: ModelConfig, sizes: tuple[int, ...], device: torch.device, shared: dict[str, Any]
) -> list[Row]:
    """Tokens a second, peak memory and share of the floor of greedy generation, ours and theirs, equal weights."""
    gpu = device.type == "cuda"
    dtype = torch.bfloat16 if gpu else torch.float32
    prompt_length, new_tokens = (256, 128) if gpu else (64, 32)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_checkpoint(_filled(config), None, folder, dtype)
        bandwidth = _copy_bandwidth(device)
        measured = {}
        for who in ("ours", PEER):
            model = load_checkpoint(folder, dtype).to(device) if who == "ours" else _peer(folder, dtype, device)
            run = _ours if who == "ours" else _theirs
            run(model, _prompts(config, 2, prompt_length), 8, device)
            for size in sizes:
                prompts = _prompts(config, size, prompt_length)
                measured[who, size] = _timed(lambda m=model, p=prompts, r=run: r(m, p, new_tokens, device), device)
            del model, run
    for size in sizes:
        (seconds, peak), (peer_seconds, peer_peak) = measured["ours", size], measured[PEER, size]
        tokens = size * new_tokens
        case = f"{name}, {str(dtype).removeprefix('torch.')}, batch {size}, {prompt_length} + {new_tokens} tokens"
        peer: dict[str, Any] = {"peer": PEER, "peer_value": tokens / peer_seconds}
        rows.append(Row(**shared, case=case, metric="generation", value=tokens / seconds, unit="tokens/s", **peer))
        if gpu:
            floor = new_tokens * _step_bytes(config, size, prompt_length + new_tokens / 2) / bandwidth
            rows.append(Row(**shared, case=case, metric="floor over time", value=floor / seconds, unit="share"))
            peer = {"peer": PEER, "peer_value": peer_peak}
            rows.append(Row(**shared, case=case, metric="peak memory", value=peak, unit="GiB", **peer))
    return rows


def _prompts(config: ModelConfig, count: int, length: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, config.vocab_size, (count, length), generator=generator).tolist()


def _ours(model: Any, prompts: list[list[int]], new_tokens: int, device: torch.device) -> None:
    sampling = Sampling(temperature=0.0, max_new_tokens=new_tokens)
    samples = generate(model, prompts, sampling, seeds=[0] * len(prompts), stop_ids=frozenset(), max_batch_size=256)
    assert all(len(sample.output_ids) == new_tokens for sample in samples)


def _theirs(model: Any, prompts: list[list[int]], new_tokens: int, device: torch.device) -> None:
    ids = torch.tensor(prompts, device=device)
    with torch.no_grad():
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new_tokens,
            min_new_tokens=new_tokens,
            do_sample=False,
            pad_token_id=0,
        )
    assert out.shape[1] == len(prompts[0]) + new_tokens


def _timed(call: Any, device: torch.device) -> tuple[float, float]:
    """(seconds, peak GiB), the better of two."""
    best, peak = float("inf"), 0.0
    for _ in range(2):
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            torch.cuda.synchronize()
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
            peak = torch.cuda.max_memory_allocated() / 2**30
        best = min(best, time.perf_counter() - started)
    return best, peak


def _copy_bandwidth(device: torch.device) -> float:
    """Bytes a second, read and written, of a large copy on the device."""
    if device.type != "cuda":
        return 0.0
    source = torch.empty(2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(10):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        target.copy_(source)
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) * 1e-3)
    return 2 * source.numel() / min(times)


def _step_bytes(config: ModelConfig, batch: int, cached: float) -> float:
    """Bytes that one decoding step must read: weights (of the experts those that a random choice touches) and cache."""
    from openseek.model.size import num_parameters

    c = config
    layers = sum(not c.is_dense(layer) for layer in range(c.num_hidden_layers))
    expert = 3 * c.hidden_size * c.moe_intermediate_size
    touched = c.n_routed_experts * (1 - (1 - c.num_experts_per_tok / c.n_routed_experts) ** batch)
    weights = num_parameters(c) - layers * (c.n_routed_experts - touched) * expert
    if not c.tie_word_embeddings:
        weights -= c.vocab_size * c.hidden_size
    return 2 * (weights + batch * cached * cache_elements_per_token(c))
