"""Every family of models against transformers' own class: logits and gradients, through files on disk, both ways.

The models are tiny and random, but each has every part of the published one that its name tells.
"""

import dataclasses
import json
import warnings
from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F

from openseek.model.hf import hf_views, load_checkpoint, save_checkpoint
from openseek.model.hf_config import hf_config, read_config
from openseek.model.moe import AFFINITIES, Router, routers
from openseek.model.presets import PRESETS
from openseek.model.tensor_names import copies, expected_tensors

LATENT = {
    "vocab_size": 128,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "intermediate_size": 96,
    "moe_intermediate_size": 24,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "first_k_dense_replace": 1,
    "initializer_range": 0.15,
    "max_position_embeddings": 512,
}
GROUPED = {
    "vocab_size": 128,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "initializer_range": 0.15,
    "max_position_embeddings": 512,
}
# Longer than the original length, so that every part of YaRN shows in 65 tokens.
YARN = {"type": "yarn", "factor": 16, "beta_fast": 8, "beta_slow": 1, "original_max_position_embeddings": 32}
V3 = LATENT | {"n_shared_experts": 1, "num_nextn_predict_layers": 0}

MODELS = {
    "V2-Lite": (
        "deepseek_v2",
        LATENT
        | {"q_lora_rank": None, "n_shared_experts": 2, "topk_method": "greedy", "n_group": 1, "topk_group": 1}
        | {"routed_scaling_factor": 1.0, "rope_scaling": YARN | {"mscale": 0.707, "mscale_all_dim": 0.707}},
    ),
    "V2": (
        "deepseek_v2",
        LATENT
        | {"q_lora_rank": 24, "n_shared_experts": 2, "topk_method": "group_limited_greedy", "n_group": 4}
        | {
            "topk_group": 2,
            "routed_scaling_factor": 16.0,
            "rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 0.5},
        },
    ),
    "V3": (
        "deepseek_v3",
        V3
        | {"q_lora_rank": 24, "n_group": 4, "topk_group": 2}
        | {"rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 1.0}},
    ),
    "V3 with biases, without interleaving or shared experts": (
        "deepseek_v3",
        V3
        | {"q_lora_rank": 24, "n_group": 1, "topk_group": 1, "attention_bias": True, "rope_interleave": False}
        | {"n_shared_experts": 0, "norm_topk_prob": False, "rope_scaling": YARN},
    ),
    "OpenSeek-Small": (
        "deepseek_v3",
        V3
        | {"q_lora_rank": None, "n_group": 1, "topk_group": 1, "n_shared_experts": 2, "routed_scaling_factor": 2.446}
        | {"tie_word_embeddings": True, "rope_theta": 1e6},
    ),
    "Moonlight": (
        "deepseek_v3",
        V3
        | {"q_lora_rank": None, "n_group": 1, "topk_group": 1, "n_shared_experts": 2, "routed_scaling_factor": 2.446}
        | {"rope_theta": 50000.0, "rms_norm_eps": 1e-5},
    ),
    "Aquila": ("qwen2", GROUPED | {"tie_word_embeddings": True, "rope_theta": 1e6}),
    "Qwen2 with YaRN and wide heads": ("qwen2", GROUPED | {"head_dim": 24, "rope_scaling": YARN}),
    "Qwen3": ("qwen3", GROUPED | {"head_dim": 24, "rope_theta": 1e6}),
    "Llama": ("llama", GROUPED),
}


def theirs(kind: str, fields: dict, seed: int = 0):
    """A random model of transformers: norm gains, biases and correction biases random, too."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    fields = fields | ({"rope_scaling": dict(fields["rope_scaling"])} if "rope_scaling" in fields else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # n_shared_experts=0 makes matrices without elements
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **fields), attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith(".bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.normal_(std=0.3)
    return model.eval()


def read_by_transformers(directory):
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


@pytest.fixture(scope="module")
def ids():
    return torch.randint(0, 128, (2, 65), generator=torch.Generator().manual_seed(1))


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


def on_disk(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """A tensor in transformers' memory as those of the same numbers on disk: experts are apart there."""
    stem, _, leaf = name.rpartition(".")
    if not stem.endswith(".mlp.experts"):
        return {name: tensor}
    parts = {}
    for expert, weight in enumerate(tensor):
        matrices = dict(zip(("gate_proj", "up_proj"), weight.chunk(2), strict=True)) if leaf == "gate_up_proj" else {}
        matrices = matrices or {"down_proj": weight}
        parts |= {f"{stem}.{expert}.{matrix}.weight": part for matrix, part in matrices.items()}
    return parts


def gradients(logits: torch.Tensor, ids: torch.Tensor, named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_logits_and_every_gradient_equal_those_of_transformers(name, ids, tmp_path):
    reference = theirs(*MODELS[name])
    reference.save_pretrained(tmp_path)
    model = load_checkpoint(tmp_path)
    expected, actual = reference(ids).logits, model(ids).logits_BTV
    assert relative(actual, expected) <= 1e-5

    parameters = {key: value for key, value in reference.named_parameters() if value.numel()}
    wanted = {}
    for key, gradient in gradients(expected, ids, parameters).items():
        wanted |= on_disk(key, gradient)
    mine = dict(model.named_parameters())
    found = gradients(actual, ids, mine)
    # The names on disk of our gradients: `hf_views` of a model that holds them instead of the weights.
    with torch.no_grad():
        for key, parameter in mine.items():
            parameter.copy_(found[key])
    views = {key: view for key, view in hf_views(model).items() if not key.endswith("e_score_correction_bias")}
    assert views.keys() == wanted.keys()
    for key, gradient in wanted.items():
        assert (views[key] - gradient).norm() <= 2e-5 * gradient.norm(), key
    assert all(wanted[key].abs().sum() > 0 for key in wanted if "experts." not in key)


@pytest.mark.parametrize("name", MODELS)
def test_transformers_reads_what_we_write(name, ids, tmp_path):
    kind, fields = MODELS[name]
    theirs(kind, fields, seed=2).save_pretrained(tmp_path / "theirs")
    model = load_checkpoint(tmp_path / "theirs")
    save_checkpoint(model, None, tmp_path / "ours", eod=7)
    spelled_out = {"head_dim": model.config.rotary_dim} if model.config.attention == "gqa" else {}
    assert read_config(tmp_path / "ours") == dataclasses.replace(model.config, **spelled_out)
    written = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert (written["model_type"], written["eos_token_id"]) == (kind, 7)
    reference = read_by_transformers(tmp_path / "ours")
    assert reference.config.model_type == kind
    with torch.no_grad():
        assert relative(model(ids).logits_BTV, reference(ids).logits) <= 1e-5


PUBLISHED = [name for name in PRESETS if not name.startswith("debug_")]


@pytest.mark.parametrize("name", PUBLISHED)
def test_transformers_builds_the_published_sizes_with_the_tensors_that_we_name(name, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = PRESETS[name]
    (tmp_path / "config.json").write_text(json.dumps(hf_config(config, "bfloat16")))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    shapes = {}
    for key, tensor in model.state_dict().items():
        shapes |= {name: tuple(part.shape) for name, part in on_disk(key, tensor).items()}
    prediction = f"model.layers.{config.num_hidden_layers}."  # which transformers leaves out
    expected = {key: shape for key, shape in expected_tensors(config).items() if not key.startswith(prediction)}
    assert {key: shape for key, shape in shapes.items() if key not in copies(config)} == expected


def change_configs(model, **fields):
    """Let modules compute by another config than the one they were built for."""
    changed = dataclasses.replace(model.config, **fields)
    for module in model.modules():
        if hasattr(module, "config"):
            module.config = changed


def swap_gate_and_up(model):
    for module in model.modules():
        if hasattr(module, "gate_up_proj"):
            with torch.no_grad():
                module.gate_up_proj.copy_(torch.cat(list(module.gate_up_proj.chunk(2, dim=1))[::-1], dim=1))


def score_groups_by_their_best(self, choice_ME):
    grouped = choice_ME.view(-1, self.config.n_group, self.config.n_routed_experts // self.config.n_group)
    best = grouped.amax(-1).topk(self.config.topk_group, dim=-1).indices
    keep = torch.zeros(grouped.shape[:2], dtype=torch.bool).scatter_(1, best, True)
    return grouped.masked_fill(~keep[..., None], float("-inf")).view_as(choice_ME)


BUGS = {
    "no interleave": lambda model, _: change_configs(model, rope_interleave=False),
    "no bias": lambda model, _: [router.e_score_correction_bias.zero_() for router in routers(model)],
    "no routed scaling": lambda model, _: change_configs(model, routed_scaling_factor=1.0),
    "no renormalisation": lambda model, _: change_configs(model, norm_topk_prob=False),
    "gate and up swapped": lambda model, _: swap_gate_and_up(model),
    "no yarn": lambda model, _: change_configs(model, rope_scaling=None),
    "no yarn mscale": lambda _, patch: patch.setattr("openseek.model.latent_attention.softmax_factor", lambda _: 1.0),
    "group score is the best one": lambda _, patch: patch.setattr(
        Router, "_keep_best_groups", score_groups_by_their_best
    ),
    "all groups": lambda model, _: change_configs(model, topk_group=4),
    "softmax instead of sigmoid": lambda _, patch: patch.setitem(AFFINITIES, "sigmoid", AFFINITIES["softmax"]),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_deliberate_bug_shows_in_the_logits_of_v3(bug, ids, tmp_path, monkeypatch):
    reference = theirs(*MODELS["V3"])
    reference.save_pretrained(tmp_path)
    if bug == "no yarn mscale":  # attention may read it when it is built
        BUGS[bug](None, monkeypatch)
    with torch.no_grad():
        model = load_checkpoint(tmp_path)
        if bug != "no yarn mscale":
            BUGS[bug](model, monkeypatch)
        assert relative(model(ids).logits_BTV, reference(ids).logits) > 1e-3
