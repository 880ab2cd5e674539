"""Our model against transformers' own DeepSeek-V3, through the files on disk."""

import dataclasses
import json
import warnings

import pytest
import torch

from openseek.model.hf import hf_views, load_checkpoint, save_checkpoint
from openseek.model.presets import PRESETS
from openseek.model.tensor_names import copies, expected_tensors
from openseek.model.transformer import Transformer


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


def hf_model(directory):
    from transformers import DeepseekV3ForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DeepseekV3ForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


VARIANTS = {
    "tied, groups, mtp": {},
    "untied, query rank, no mtp": {"tie_word_embeddings": False, "q_lora_rank": 16, "num_nextn_predict_layers": 0},
    "one group, no renormalisation": {
        "n_group": 1,
        "topk_group": 1,
        "norm_topk_prob": False,
        "first_k_dense_replace": 2,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_equal_those_of_transformers(variant, small, build, tmp_path):
    config = dataclasses.replace(small, **VARIANTS[variant])
    model = build(config)
    save_checkpoint(model, None, tmp_path)
    ids = torch.randint(0, config.vocab_size, (2, 33))
    with torch.no_grad():
        expected = hf_model(tmp_path)(ids).logits
        assert relative(model(ids).logits_BTV, expected) <= 1e-5
        loaded = load_checkpoint(tmp_path)
        assert torch.equal(loaded(ids, mtp=False).logits_BTV, model(ids, mtp=False).logits_BTV)


@pytest.mark.parametrize("bug", ["no interleave", "no bias", "no routed scaling", "no groups"])
def test_a_deliberate_bug_shows_in_the_logits(bug, small, build, tmp_path):
    model = build(small)
    save_checkpoint(model, None, tmp_path)
    ids = torch.randint(0, small.vocab_size, (2, 33))
    with torch.no_grad():
        expected = hf_model(tmp_path)(ids).logits
        if bug == "no interleave":
            for layer in model.layers:
                layer.self_attn.config = dataclasses.replace(small, rope_interleave=False)
        else:
            change = {"no routed scaling": {"routed_scaling_factor": 1.0}, "no groups": {"n_group": 1, "topk_group": 1}}
            for layer in model.layers[1:]:
                layer.mlp.gate.config = dataclasses.replace(small, **change.get(bug, {}))
                if bug == "no bias":
                    layer.mlp.gate.e_score_correction_bias.zero_()
        assert relative(model(ids).logits_BTV, expected) > 1e-2


def test_multi_token_prediction_equals_that_of_transformers(small, build, tmp_path, monkeypatch):
    from transformers import DeepseekV3PreTrainedModel
    from transformers.cache_utils import MtpCache
    from transformers.modeling_layers import MtpModel

    # transformers finds the block by its number in the released 61-layer model
    monkeypatch.setattr(DeepseekV3PreTrainedModel, "_keys_to_ignore_on_load_unexpected", [r"model\.layers\.3.*"])

    model = build(small)
    save_checkpoint(model, None, tmp_path)
    ids = torch.randint(0, small.vocab_size, (2, 17))
    main = hf_model(tmp_path)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        block = MtpModel.from_pretrained(main, device_map={"": "cpu"}).eval()
        hidden = main.model(ids).last_hidden_state[:, :-1]
        positions = torch.arange(1, 17)[None].expand(2, -1)
        cache = MtpCache(config=main.config.get_mtp_config())
        states = block.forward_layer(0, hidden, positions, cache, input_ids=ids[:, 1:])
        expected = main.lm_head(states)
        (actual,) = model(ids, mtp=True).mtp_logits_BTV
    assert relative(actual, expected) <= 1e-5


def test_a_file_that_does_not_fit_is_refused_with_the_names(small, build, tmp_path):
    from safetensors.torch import load_file, save_file

    save_checkpoint(build(small), None, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    broken = dict(tensors)
    del broken["model.layers.1.mlp.experts.5.up_proj.weight"]
    broken["model.layers.0.extra"] = torch.zeros(1)
    broken["model.norm.weight"] = torch.ones(3)
    save_file(broken, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="experts.5.up_proj.weight is missing") as error:
        load_checkpoint(tmp_path)
    assert "model.layers.0.extra is unknown" in str(error.value)
    assert "model.norm.weight is (3,)" in str(error.value)

    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    load_checkpoint(tmp_path)  # a tied head written out is accepted
    tensors["lm_head.weight"][0, 0] += 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="lm_head.weight differs"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rope_scaling", {"type": "linear", "factor": 2}), ("scoring_func", "softmax"), ("model_type", "mixtral")],
)
def test_a_model_that_we_would_compute_wrongly_is_refused(field, value, small, build, tmp_path):
    save_checkpoint(build(small), None, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(ValueError, match=field):
        load_checkpoint(tmp_path)


def test_a_bfloat16_checkpoint_keeps_the_router_in_float32(small, build, tmp_path):
    from safetensors.torch import load_file

    save_checkpoint(build(small), None, tmp_path, dtype=torch.bfloat16)
    dtypes = {name: tensor.dtype for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    assert {dtypes[name] for name in dtypes if ".mlp.gate." in name} == {torch.float32}
    assert dtypes["model.embed_tokens.weight"] == torch.bfloat16


VARIANTS_OF_NAMES = {
    **{name: config for name, config in PRESETS.items() if name.startswith("debug_")},
    "three depths, biases": dataclasses.replace(
        PRESETS["debug_v3"], num_nextn_predict_layers=3, attention_bias=True, n_shared_experts=0
    ),
    "no norms": dataclasses.replace(PRESETS["debug_v3"], qk_layernorm=False),
    "grouped attention with norms, experts, prediction": dataclasses.replace(
        PRESETS["debug_aquila"],
        qk_layernorm=True,
        attention_bias=False,
        n_routed_experts=4,
        tie_word_embeddings=False,
        num_nextn_predict_layers=1,
    ),
}


@pytest.mark.parametrize("name", VARIANTS_OF_NAMES)
def test_the_model_holds_the_tensors_that_the_config_foretells_and_saves_and_loads_them(name, tmp_path):
    from safetensors.torch import load_file

    config = VARIANTS_OF_NAMES[name]
    model = Transformer(config)
    views = hf_views(model)
    assert {name: tuple(view.shape) for name, view in views.items()} == expected_tensors(config)
    save_checkpoint(model, None, tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == views.keys() | (
        copies(config).keys() - {"lm_head.weight"}
    )
    loaded = load_checkpoint(tmp_path)
    assert loaded.config == config
    assert all(torch.equal(tensor, loaded.state_dict()[key]) for key, tensor in model.state_dict().items())
    # The views are the memory itself: writing through them changes the model.
    for view in views.values():
        view.fill_(0.5)
    assert all(bool((tensor == 0.5).all()) for tensor in model.state_dict().values())


def test_a_model_saved_without_its_prediction_blocks_is_told_apart_from_a_broken_one(small, build, tmp_path):
    from safetensors.torch import load_file, save_file

    save_checkpoint(build(small), None, tmp_path)
    kept = {k: v for k, v in load_file(tmp_path / "model.safetensors").items() if not k.startswith("model.layers.3.")}
    save_file(kept, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="num_nextn_predict_layers must be 0"):
        load_checkpoint(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_nextn_predict_layers": 0}))
    load_checkpoint(tmp_path)


def test_weights_are_loaded_in_the_type_that_is_asked_for(small, build, tmp_path):
    save_checkpoint(build(small), None, tmp_path)
    cast, loaded = load_checkpoint(tmp_path).to(torch.bfloat16), load_checkpoint(tmp_path, torch.bfloat16)
    assert loaded.embed_tokens.weight.dtype == torch.bfloat16
    for name, tensor in cast.state_dict().items():
        assert tensor.dtype == loaded.state_dict()[name].dtype
        assert torch.equal(tensor, loaded.state_dict()[name]), name
