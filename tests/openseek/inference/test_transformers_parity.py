"""Greedy generation gives the ids that transformers' own `generate` gives, for every family that we read from disk."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from openseek.inference.engine import generate
from openseek.inference.sampling import Sampling
from openseek.model.hf import load_checkpoint
from openseek.model.transformer import Transformer

NEW = 40
SIZES = {
    "vocab_size": 80,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 0,
}
LATENT = {"kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 12, "num_key_value_heads": 4}
EXPERTS = {"moe_intermediate_size": 16, "n_routed_experts": 8, "num_experts_per_tok": 3, "first_k_dense_replace": 1}
# Prompts and answers pass the original length of 16, where YaRN differs most from the plain frequencies.
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 16.0, "original_max_position_embeddings": 16}
YARN |= {"beta_fast": 32.0, "beta_slow": 1.0}


def build_v3() -> Any:
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    groups = {"n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5, "n_shared_experts": 1}
    rope = YARN | {"mscale": 1.0, "mscale_all_dim": 1.0}
    shape: dict[str, Any] = SIZES | LATENT | EXPERTS | groups | {"q_lora_rank": 12, "rope_parameters": rope}
    return DeepseekV3ForCausalLM(DeepseekV3Config(**shape, num_mtp_layers=0))


def build_v2_lite() -> Any:
    from transformers import DeepseekV2Config, DeepseekV2ForCausalLM

    choice = {"topk_method": "greedy", "norm_topk_prob": False, "routed_scaling_factor": 1.0, "n_shared_experts": 2}
    rope = YARN | {"mscale": 0.707, "mscale_all_dim": 0.707}
    shape: dict[str, Any] = SIZES | LATENT | EXPERTS | choice | {"q_lora_rank": None, "rope_parameters": rope}
    return DeepseekV2ForCausalLM(DeepseekV2Config(**shape, n_group=1, topk_group=1))


def build_qwen2() -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    shape: dict[str, Any] = SIZES | {"num_key_value_heads": 2, "tie_word_embeddings": True}
    return Qwen2ForCausalLM(Qwen2Config(**shape))


def build_qwen3() -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=12))


FAMILIES = {"v3": build_v3, "v2-lite": build_v2_lite, "qwen2": build_qwen2, "qwen3": build_qwen3}


@pytest.fixture(params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Transformer]:
    """A small model of transformers with random weights, norms and biases, and ours read from the files it saves."""
    torch.manual_seed(0)
    theirs = FAMILIES[request.param]().eval()
    with torch.no_grad():
        for name, tensor in (*theirs.named_parameters(), *theirs.named_buffers()):
            if "norm" in name or name.endswith(("bias", "correction_bias")):
                tensor.add_(0.3 * torch.randn_like(tensor))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.save_pretrained(tmp_path)
    return theirs, load_checkpoint(tmp_path)


def ours(model: Transformer, prompts: list[list[int]]) -> list[list[int]]:
    samples = generate(
        model, prompts, Sampling(temperature=0, max_new_tokens=NEW), seeds=[0] * len(prompts), stop_ids=frozenset()
    )
    return [list(sample.output_ids) for sample in samples]


def test_greedy_ids_equal_those_of_transformers(pair: tuple[Any, Transformer]) -> None:
    theirs, model = pair
    prompts = [torch.randint(1, 80, (length,)).tolist() for length in (1, 7, 30)]
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        answer = theirs.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NEW)
        expected.append(answer[0, len(prompt) :].tolist())
    assert ours(model, prompts) == expected
    assert len({tuple(each[-8:]) for each in expected}) > 1, "the model says one thing whatever it is asked"

    # Controls: the ids would show a wrong layout of the rotary pairs, and wrong scores.
    attentions: Any = [layer.self_attn for layer in model.layers]
    kept = model.config
    for attention in attentions:
        attention.config = dataclasses.replace(kept, rope_interleave=not kept.rope_interleave)
    assert ours(model, prompts) != expected
    for attention in attentions:
        attention.config = kept
    if kept.rope_scaling is not None:
        for attention in attentions:
            attention.scale = kept.qk_head_dim**-0.5
        assert ours(model, prompts) != expected
