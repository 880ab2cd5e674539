"""Sharded and FP8 checkpoints: what is read, and what is refused by name."""

import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F

from openseek.model.hf import hf_views, load_checkpoint, save_checkpoint
from openseek.model.moe import routers
from openseek.model.presets import PRESETS
from openseek.model.transformer import Transformer


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


def quantised_folder(model, directory, kind: str, block=(32, 16)) -> dict[str, torch.Tensor]:
    """Write a model as the released FP8 files are, in two shards; what its weights then are, by name."""
    from safetensors.torch import load_file, save_file

    save_checkpoint(model, None, directory)
    tensors = load_file(directory / "model.safetensors")
    stored, dequantised = {}, {}
    for name, tensor in tensors.items():
        linear = name.endswith("_proj.weight") or name.endswith("_proj_with_mqa.weight")
        if not linear or "eh_proj" in name:
            stored[name] = dequantised[name] = tensor
            continue
        rows, columns = (-(-size // step) for size, step in zip(tensor.shape, block, strict=True))
        padded = F.pad(tensor, (0, columns * block[1] - tensor.shape[1], 0, rows * block[0] - tensor.shape[0]))
        scale = padded.view(rows, block[0], columns, block[1]).abs().amax((1, 3)) / 448
        scale = scale if kind == "float32" else torch.exp2(scale.log2().ceil())
        whole = scale.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
        whole = whole[: tensor.shape[0], : tensor.shape[1]]
        stored[name] = (tensor / whole).to(torch.float8_e4m3fn)
        dequantised[name] = stored[name].float() * whole
        as_stored = {"float32": scale, "e8m0": scale.to(torch.float8_e8m0fnu)}
        as_stored["bytes"] = (scale.log2() + 127).to(torch.uint8)
        stored[f"{name}_scale_inv"] = as_stored[kind]
    (directory / "model.safetensors").unlink()
    files = {name: f"model-{len(name) % 2 + 1:05}-of-00002.safetensors" for name in stored}
    for file in set(files.values()):
        save_file({name: stored[name] for name in stored if files[name] == file}, directory / file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": list(block)}
    (directory / "config.json").write_text(json.dumps(config))
    return dequantised


@pytest.fixture
def debug_v3():
    """A random model of V3's shape in small whose matrices have partial blocks at their edges."""
    torch.manual_seed(0)
    model = Transformer(dataclasses.replace(PRESETS["debug_v3"], qk_rope_head_dim=12, moe_intermediate_size=40))
    for router in routers(model):
        router.e_score_correction_bias.normal_(std=0.3)
    return model.eval()


@pytest.mark.parametrize("kind", ["float32", "e8m0", "bytes"])
def test_fp8_weights_are_loaded_with_their_scales(kind, debug_v3, tmp_path, monkeypatch):
    plain = dict(hf_views(debug_v3))
    ids = torch.randint(0, 512, (2, 40))
    with torch.no_grad():
        unrounded = debug_v3(ids, mtp=False).logits_BTV
        dequantised = quantised_folder(debug_v3, tmp_path, kind)
        loaded = load_checkpoint(tmp_path)
        for name, view in hf_views(loaded).items():
            assert torch.equal(view, dequantised[name]), name
        for name, view in plain.items():
            view.copy_(dequantised[name])
        assert torch.equal(loaded(ids, mtp=False).logits_BTV, debug_v3(ids, mtp=False).logits_BTV)
        assert 0 < relative(loaded(ids).logits_BTV, unrounded) < 0.3
        # Control: whoever forgets the scales has another model.
        monkeypatch.setattr("openseek.model.checkpoint_reader.dequantise", lambda weight, scale, block: weight.float())
        assert relative(load_checkpoint(tmp_path)(ids).logits_BTV, unrounded) > 0.5


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        ("no scale", r"layers.0.mlp.up_proj.weight is FP8 and .*up_proj.weight_scale_inv is missing"),
        ("no weight", r"scales model.layers.0.mlp.up_proj.weight_scale_inv without model.layers.0.mlp.up_proj.weight"),
        ("scale of a plain weight", r"layers.0.mlp.up_proj.weight is torch.float32 and yet has scales"),
        ("wrong shape", r"layers.0.mlp.up_proj.weight: scales \[1, 1\] do not fit"),
        ("no block size", r"is FP8, but config.json has no quantization_config"),
        ("lost shard", r"00002.safetensors is missing"),
        ("wrong index", r"does not hold model.nothing"),
    ],
)
def test_scales_and_shards_that_do_not_fit_are_named(breakage, message, debug_v3, tmp_path):
    from safetensors.torch import load_file, save_file

    quantised_folder(debug_v3, tmp_path, "float32")
    index_file = tmp_path / "model.safetensors.index.json"
    index = json.loads(index_file.read_text())["weight_map"]
    weight = "model.layers.0.mlp.up_proj.weight"
    scale = f"{weight}_scale_inv"

    def edit(name, tensor):
        tensors = load_file(tmp_path / index[name])
        tensors = {k: v for k, v in tensors.items() if k != name} | ({} if tensor is None else {name: tensor})
        save_file(tensors, tmp_path / index[name])
        if tensor is None:
            del index[name]

    if breakage == "no scale":
        edit(scale, None)
    elif breakage == "no weight":
        edit(weight, None)
    elif breakage == "scale of a plain weight":
        edit(weight, torch.zeros(96, 64))
    elif breakage == "wrong shape":
        edit(scale, torch.ones(1, 1))
    elif breakage == "no block size":
        config = json.loads((tmp_path / "config.json").read_text())
        del config["quantization_config"]
        (tmp_path / "config.json").write_text(json.dumps(config))
    elif breakage == "lost shard":
        (tmp_path / "model-00002-of-00002.safetensors").unlink()
    else:
        index["model.nothing"] = index[weight]
    index_file.write_text(json.dumps({"weight_map": index}))
    with pytest.raises(ValueError, match=message):
        load_checkpoint(tmp_path)
