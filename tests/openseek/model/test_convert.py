"""From the Hugging Face layout to Megatron's ranks and back: the same bytes, the same logits, and damage is named."""

import argparse
import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from openseek.model.byte_copy import same_bytes
from openseek.model.checkpoints import open_checkpoint
from openseek.model.convert import Convert, convert_folder
from openseek.model.hf import save_checkpoint
from openseek.model.megatron import CUTS
from openseek.model.moe import routers
from openseek.model.placement import stack, uncut
from openseek.model.presets import PRESETS
from openseek.model.safetensors_files import open_safetensors
from openseek.model.torch_files import open_torch
from openseek.model.transformer import Transformer

TINY = {"vocab_size": 67, "hidden_size": 32, "num_hidden_layers": 4, "intermediate_size": 24}
EXPERTS = {"moe_intermediate_size": 8, "n_routed_experts": 4}
SHAPES = {
    "v3": dataclasses.replace(PRESETS["debug_v3"], **TINY, **EXPERTS),
    "v2_lite": dataclasses.replace(PRESETS["debug_v2_lite"], **TINY, **EXPERTS),
    "small": dataclasses.replace(PRESETS["debug_small"], **TINY, **EXPERTS),
    "aquila": dataclasses.replace(PRESETS["debug_aquila"], **TINY),
}


def made(name: str, folder, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """A checkpoint of random weights, a tied model's head written out; its tensors."""
    torch.manual_seed(0)
    model = Transformer(SHAPES[name])
    for router in routers(model):
        if model.config.has_router_bias:
            router.e_score_correction_bias.normal_(std=0.3)
    save_checkpoint(model, None, folder, dtype)
    tensors = load_file(folder / "model.safetensors")
    if model.config.tie_word_embeddings:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
        save_file(tensors, folder / "model.safetensors")
    return tensors


def rewritten(folder, **changes) -> None:
    """Change tensors of a checkpoint; None removes one."""
    tensors = load_file(folder / "model.safetensors") | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, folder / "model.safetensors")


def assert_same(first, second) -> None:
    """Two folders hold the same tensors to the bit and the same config.json."""
    a, b = open_safetensors(first), open_safetensors(second)
    assert a.keys() == b.keys()
    assert [name for name in a if not same_bytes(a[name], b[name])] == []
    assert (first / "config.json").read_bytes() == (second / "config.json").read_bytes()


def changed_file(folder, change) -> None:
    """Rewrite one rank's file with its content changed."""
    path = folder / "model_optim_rng.pt"
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def broken_rank(folder, change) -> None:
    """Change the model of the second of two ranks."""
    changed_file(folder / "release" / "mp_rank_01", lambda content: change(content["model"]))


GRID = [
    ("v3", {"tp": 2, "pp": 2, "ep": 2, "etp": 1, "first": 1}),
    ("v3", {"tp": 2, "ep": 2, "etp": 2, "spec": "local"}),
    ("v3", {"pp": 4, "layout": "1,2,0,1", "ep": 4, "etp": 1}),
    ("v3", {"tp": 2, "pp": 2, "etp": 1, "layout": "Et|t|tt|mL", "down_projections": "cut"}),
    ("v3", {"tp": 4, "ep": 2, "etp": 2, "mtp_layer": "mtp_model_layer"}),
    ("v2_lite", {"tp": 2, "pp": 2, "ep": 2, "etp": 1, "first": 3}),
    ("v2_lite", {"pp": 2, "account_for_embedding": True, "account_for_loss": True}),
    ("small", {"tp": 2, "pp": 2, "ep": 2, "etp": 1, "last": 3}),
    ("small", {"pp": 2, "layout": "E|tttt|m|L"}),
    ("aquila", {"tp": 2, "pp": 2, "vpp": 2}),
    ("aquila", {"tp": 4, "pp": 3, "layout": "2,1,1", "spec": "local"}),
]


@pytest.mark.parametrize(("name", "fields"), GRID, ids=[f"{name}-{fields}" for name, fields in GRID])
def test_a_round_trip_gives_the_same_bytes_and_logits(name, fields, tmp_path):
    made(name, tmp_path / "hf")
    facts = convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(**fields, make_vocab_size_divisible_by=5))
    back = convert_folder(tmp_path / "mcore", tmp_path / "back", Convert(to="hf"))
    assert_same(tmp_path / "hf", tmp_path / "back")
    for each in (facts, back):
        assert each["logits_max_difference"] == each["mtp_logits_max_difference"] == 0.0
    assert facts["padding_rows"] == back["padding_rows_read"] == {1: 3, 2: 3, 4: 13}[fields.get("tp", 1)]
    assert facts["tensors_read"] == back["tensors"]


def test_ranks_become_other_ranks_without_a_stop_between(tmp_path):
    made("small", tmp_path / "hf")
    convert_folder(tmp_path / "hf", tmp_path / "a", Convert(tp=2, pp=2, ep=2, etp=1))
    convert_folder(tmp_path / "a", tmp_path / "b", Convert(tp=1, pp=4, ep=4, spec="local"))
    convert_folder(tmp_path / "b", tmp_path / "back", Convert(to="hf"))
    assert_same(tmp_path / "hf", tmp_path / "back")


def test_a_training_step_and_its_arguments_stay_when_ranks_change(tmp_path):
    made("v2_lite", tmp_path / "hf")
    convert_folder(tmp_path / "hf", tmp_path / "a", Convert(tp=2, test_tokens=0))
    (tmp_path / "a" / "release").rename(tmp_path / "a" / "iter_0001200")
    (tmp_path / "a" / "latest_checkpointed_iteration.txt").write_text("1200")
    for rank in ("mp_rank_00", "mp_rank_01"):
        changed_file(tmp_path / "a" / "iter_0001200" / rank, lambda content: setattr(content["args"], "lr", 3e-4))
    convert_folder(tmp_path / "a", tmp_path / "b", Convert(pp=2, test_tokens=0))
    assert (tmp_path / "b" / "latest_checkpointed_iteration.txt").read_text() == "1200\n"
    content = open_torch(tmp_path / "b" / "iter_0001200" / "mp_rank_00_001" / "model_optim_rng.pt")
    assert (content["iteration"], content["args"].lr, content["args"].tensor_model_parallel_size) == (1200, 3e-4, 1)


def test_down_projections_in_one_matrix_are_read(tmp_path):
    def fuse(content):
        model = content["model"]
        for name in [name for name in model if name.endswith("linear_q_down_proj.weight")]:
            latent = name.replace("q_down", "kv_down")
            model[name.replace("q_down", "qkv_down")] = torch.cat([model.pop(name), model.pop(latent)])

    made("v3", tmp_path / "hf")
    convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(tp=2, etp=1, test_tokens=0))
    for rank in ("mp_rank_00", "mp_rank_01"):
        changed_file(tmp_path / "mcore" / "release" / rank, fuse)
    convert_folder(tmp_path / "mcore", tmp_path / "back", Convert(to="hf"))
    assert_same(tmp_path / "hf", tmp_path / "back")


@pytest.mark.parametrize("cut", ["gated", "heads"])
def test_a_wrong_cut_shows_in_the_bytes(cut, tmp_path, monkeypatch):
    """The control: with the usual mistakes made in writing, the way back does not give what was there."""
    name = {"gated": "v2_lite", "heads": "aquila"}[cut]
    tensors = made(name, tmp_path / "hf")
    plain = {
        # Stacked first and cut afterwards.
        "gated": lambda wholes, number, of, groups: _rows(stack(uncut(*each) for each in wholes), number, of),
        "heads": lambda wholes, number, of, groups: _rows(stack(uncut(*each) for each in wholes), number, of),
    }
    with monkeypatch.context() as patch:
        patch.setitem(CUTS, cut, plain[cut])
        convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(tp=2, etp=1, test_tokens=0))
    convert_folder(tmp_path / "mcore", tmp_path / "back", Convert(to="hf", test_tokens=0))
    found = load_file(tmp_path / "back" / "model.safetensors")
    wrong = {name.split(".")[-2] for name in tensors if not torch.equal(tensors[name], found[name])}
    assert wrong == {"gated": {"gate_proj", "up_proj"}, "heads": {"q_proj", "k_proj", "v_proj"}}[cut]


def _rows(stacked, number, of):
    from openseek.model.placement import rows_of

    size = stacked.shape[0] // of
    return rows_of(stacked, number * size, (number + 1) * size)


def test_logits_that_differ_refuse_the_result(tmp_path):
    from openseek.model.self_test import compare

    made("v3", tmp_path / "hf")
    tensors = made("v3", tmp_path / "wrong")
    experts = [f"model.layers.4.mlp.experts.{k}.down_proj.weight" for k in range(4)]
    # The experts of the prediction block change places: the model's own logits stay.
    rewritten(tmp_path / "wrong", **{name: tensors[experts[k - 1]] for k, name in enumerate(experts)})
    pair = open_checkpoint(tmp_path / "hf"), open_checkpoint(tmp_path / "wrong")
    with pytest.raises(ValueError, match="logits differ by up to .*the conversion is wrong"):
        compare(*pair, Convert())
    assert compare(pair[0], pair[0], Convert())["mtp_logits_max_difference"] == 0.0


def test_types_change_and_the_router_stays(tmp_path):
    tensors = made("v3", tmp_path / "hf", torch.float32)
    facts = convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(dtype="bf16"))
    assert 0 < facts["logits_max_difference"] < 0.05 * facts["logits_max"]
    held = open_torch(tmp_path / "mcore" / "release" / "mp_rank_00" / "model_optim_rng.pt")
    model = held["model"]
    assert model["decoder.layers.1.mlp.router.weight"].dtype == torch.float32
    assert model["decoder.layers.1.mlp.router.expert_bias"].dtype == torch.float32
    assert model["decoder.layers.1.pre_mlp_layernorm.weight"].dtype == torch.bfloat16
    assert held["args"].bf16 and held["args"].params_dtype == torch.bfloat16
    convert_folder(tmp_path / "mcore", tmp_path / "back", Convert(to="hf"))
    found = load_file(tmp_path / "back" / "model.safetensors")
    assert all(torch.equal(found[name], tensor.to(found[name].dtype)) for name, tensor in tensors.items())
    assert json.loads((tmp_path / "back" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    with pytest.raises(ValueError, match="more than 1.* raise max_difference"):
        convert_folder(tmp_path / "hf", tmp_path / "strict", Convert(dtype="bf16", max_difference=1e-6))


@pytest.mark.parametrize("kind", ["float32", "ue8m0"])
def test_fp8_weights_are_multiplied_with_their_scales(kind, tmp_path):
    tensors = made("v3", tmp_path / "hf")
    name = "model.layers.1.mlp.experts.2.up_proj.weight"
    weight = tensors[name].to(torch.float8_e4m3fn)
    scales = torch.tensor([[2.0, 0.5, 1.0, 4.0]])  # [8, 32] in blocks of 8 x 8
    stored = scales.to(torch.float8_e8m0fnu) if kind == "ue8m0" else scales
    rewritten(tmp_path / "hf", **{name: weight, f"{name}_scale_inv": stored})
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [8, 8]}
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(tp=2, ep=2))
    convert_folder(tmp_path / "mcore", tmp_path / "back", Convert(to="hf"))
    convert_folder(tmp_path / "hf", tmp_path / "plain", Convert(to="hf"))
    assert_same(tmp_path / "plain", tmp_path / "back")
    expected = weight.float() * scales.repeat_interleave(8, dim=1)
    found = load_file(tmp_path / "back" / "model.safetensors")
    assert torch.equal(found[name], expected.to(torch.bfloat16))
    assert "quantization_config" not in json.loads((tmp_path / "back" / "config.json").read_text())
    rewritten(tmp_path / "hf", **{f"{name}_scale_inv": None})
    with pytest.raises(ValueError, match=f"{name} is FP8 and {name}_scale_inv is missing"):
        open_checkpoint(tmp_path / "hf")


def tokenizer(folder, size: int) -> None:
    vocab = {f"t{number}": number for number in range(size - 1)}
    content = {"model": {"vocab": vocab}, "added_tokens": [{"id": size - 1, "content": "<|endoftext|>"}]}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def test_the_wrong_tokenizer_is_refused(tmp_path):
    made("v2_lite", tmp_path / "hf")
    # FlagScale's example gives V2-Lite's 102400 rows the 151851 of another tokenizer, and invents the rest.
    with pytest.raises(ValueError, match="has 67 rows: 33 rows would be invented. This is another model's tokenizer"):
        convert_folder(tmp_path / "hf", tmp_path / "out", Convert(true_vocab_size=100))
    tokenizer(tmp_path / "hf", 60)
    with pytest.raises(ValueError, match="tokenizer.json has 60 ids: the last 5 would have no row"):
        convert_folder(tmp_path / "hf", tmp_path / "out", Convert(true_vocab_size=55))
    assert not (tmp_path / "out").exists()


def test_rows_behind_the_tokenizer_are_cut_and_padding_is_zero_or_mean(tmp_path):
    tensors = made("v2_lite", tmp_path / "hf", torch.float32)
    tokenizer(tmp_path / "hf", 60)
    facts = convert_folder(
        tmp_path / "hf", tmp_path / "cut", Convert(true_vocab_size=60, make_vocab_size_divisible_by=8)
    )
    assert (facts["vocab_size"], facts["padding_rows_read"], facts["padding_rows"]) == (60, 7, 4)
    convert_folder(tmp_path / "cut", tmp_path / "back", Convert(to="hf"))
    found = load_file(tmp_path / "back" / "model.safetensors")
    assert torch.equal(found["lm_head.weight"], tensors["lm_head.weight"][:60])
    assert json.loads((tmp_path / "back" / "config.json").read_text())["vocab_size"] == 60
    assert (tmp_path / "back" / "tokenizer.json").read_bytes() == (tmp_path / "hf" / "tokenizer.json").read_bytes()
    for padding in ("zeros", "mean"):
        out = tmp_path / padding
        convert_folder(tmp_path / "hf", out, Convert(padding=padding, make_vocab_size_divisible_by=8, test_tokens=0))
        with torch.serialization.safe_globals([argparse.Namespace]):
            file = torch.load(out / "release" / "mp_rank_00" / "model_optim_rng.pt", weights_only=True)
        rows = file["model"]["output_layer.weight"]
        mean = tensors["lm_head.weight"].double().mean(0).float()
        assert torch.equal(rows[67:], (mean if padding == "mean" else mean * 0).expand(5, -1))
    # The last rank holds nothing but padding: the mean is that of its own matrix.
    out = tmp_path / "ranks"
    convert_folder(tmp_path / "hf", out, Convert(tp=4, etp=1, padding="mean", make_vocab_size_divisible_by=24))
    with torch.serialization.safe_globals([argparse.Namespace]):
        file = torch.load(out / "release" / "mp_rank_03" / "model_optim_rng.pt", weights_only=True)
    rows = file["model"]["output_layer.weight"]
    assert torch.equal(rows, tensors["lm_head.weight"].double().mean(0).float().expand(len(rows), -1))


def test_a_megatron_folder_without_config_json_is_described_by_its_arguments(tmp_path):
    import shutil

    made("v3", tmp_path / "hf")
    convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(tp=2, pp=2, etp=1, layout="3,1"))
    shutil.rmtree(tmp_path / "mcore" / "hf")
    convert_folder(tmp_path / "mcore" / "release", tmp_path / "back", Convert(to="hf"))
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("hf", "back"))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_damaged_missing_and_unknown_tensors_are_named(tmp_path):
    tensors = made("v3", tmp_path / "hf")
    norm, gate = "model.layers.1.input_layernorm.weight", "model.layers.0.mlp.gate_proj.weight"
    rewritten(
        tmp_path / "hf",
        **{
            norm: None,
            gate: tensors[gate][:-1].clone(),
            "model.extra": torch.ones(1),
            "lm_head.weight": torch.ones(67, 32).int(),
        },
    )
    with pytest.raises(ValueError) as told:
        open_checkpoint(tmp_path / "hf")
    for part in (
        f"{norm} is missing",
        f"{gate} is [23, 32], not [24, 32]",
        "model.extra is unknown",
        "int32, no float",
    ):
        assert part in str(told.value)


def test_nan_is_no_damage(tmp_path):
    tensors = made("v2_lite", tmp_path / "hf")
    tensors["model.norm.weight"][3] = float("nan")
    rewritten(tmp_path / "hf", **{"model.norm.weight": tensors["model.norm.weight"]})
    facts = convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(tp=2))
    assert facts["logits_max_difference"] == 0.0


NORM = "decoder.layers.0.input_layernorm.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.pop(NORM), f"mp_rank_01: model.{NORM} is missing"),
        (lambda model: model.update(more=torch.ones(2)), "mp_rank_01: model.more is unknown"),
        (lambda model: model.update({NORM: torch.ones(3)}), r"mp_rank_01: .*is \[3\], not \[32\]"),
        (lambda model: model[NORM].add_(1), "1 copies differ: .*mp_rank_01.*check_copies=False"),
        (lambda model: model.update({NORM: model[NORM].float()}), "1 copies differ"),
    ],
)
def test_a_broken_rank_is_named(change, message, tmp_path):
    made("v2_lite", tmp_path / "hf")
    convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(tp=2, test_tokens=0))
    broken_rank(tmp_path / "mcore", change)
    with pytest.raises(ValueError, match=message):
        convert_folder(tmp_path / "mcore", tmp_path / "back", Convert(to="hf"))


def test_what_says_nothing_about_the_model_is_passed_over_and_told(tmp_path):
    made("v2_lite", tmp_path / "hf")
    convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(tp=2, test_tokens=0))
    extra = "decoder.layers.0.self_attention.linear_proj._extra_state"
    broken_rank(
        tmp_path / "mcore",
        lambda model: model.update({extra: torch.ones(4).byte(), "rotary_pos_emb.inv_freq": torch.ones(4)}),
    )
    facts = convert_folder(tmp_path / "mcore", tmp_path / "back", Convert(to="hf"))
    assert facts["ignored"] == 2 and f"mp_rank_01: model.{extra}" in facts["ignored_names"]
    assert_same(tmp_path / "hf", tmp_path / "back")


def test_missing_and_short_files_are_named(tmp_path):
    made("v2_lite", tmp_path / "hf")
    convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert(tp=2, test_tokens=0))
    path = tmp_path / "mcore" / "release" / "mp_rank_01" / "model_optim_rng.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(ValueError, match="mp_rank_01/model_optim_rng.pt is cut short"):
        open_checkpoint(tmp_path / "mcore")
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(ValueError, match="release/mp_rank_01 is missing"):
        open_checkpoint(tmp_path / "mcore")
    (tmp_path / "mcore" / "latest_checkpointed_iteration.txt").write_text("12\n")
    with pytest.raises(ValueError, match="iter_0000012 is missing"):
        open_checkpoint(tmp_path / "mcore")
    with pytest.raises(ValueError, match="holds neither config.json"):
        open_checkpoint(tmp_path)


def test_copies_in_the_hugging_face_folder_must_repeat_their_original(tmp_path):
    tensors = made("small", tmp_path / "hf")
    rewritten(tmp_path / "hf", **{"lm_head.weight": tensors["lm_head.weight"] + 1})
    with pytest.raises(ValueError, match="lm_head.weight .*differs from model.embed_tokens.weight"):
        convert_folder(tmp_path / "hf", tmp_path / "mcore", Convert())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"to": "gguf"}, "to='gguf': use one of hf, mcore"),
        ({"to": "hf", "tp": 2}, "to='hf' with tp: that layout has no ranks"),
        ({"to": "hf", "layout": "1,2"}, "to='hf' with a layout"),
        ({"tp": 2, "etp": 3}, "give etp that divides tp"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"true_vocab_size": -1}, "true_vocab_size=-1"),
        ({"max_difference": 1}, "max_difference=1"),
        ({"layout": "1,2", "last": 2}, "give one of layout"),
    ],
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Convert(**fields)
