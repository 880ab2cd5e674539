"""Our model against transformers' own DeepSeek-V3, through the files on disk."""

import dataclasses
import json
import warnings

import pytest
import torch

from openseek.model.hf import load_checkpoint, save_checkpoint


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
def test_a_deliberate_bug_shows_in_the_logits(bug, small, build, tmp_path, monkeypatch):
    model = build(small)
    save_checkpoint(model, None, tmp_path)
    ids = torch.randint(0, small.vocab_size, (2, 33))
    with torch.no_grad():
        expected = hf_model(tmp_path)(ids).logits
        if bug == "no interleave":

            def halves(x, cos, sin):
                first, second = x.chunk(2, dim=-1)
                return torch.cat(
                    [first * cos[:, None] - second * sin[:, None], second * cos[:, None] + first * sin[:, None]], -1
                )

            monkeypatch.setattr("openseek.model.attention.apply_rotary", halves)
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
        actual = model(ids, mtp=True).mtp_logits_BTV
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
    [("rope_scaling", {"type": "yarn", "factor": 40}), ("scoring_func", "softmax"), ("model_type", "llama")],
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
