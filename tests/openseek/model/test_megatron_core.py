"""megatron-core 0.16.1 itself loads what we write, strictly, and computes the same logits on a CPU.

What stands in for a GPU and Transformer Engine, and is not Megatron's: the current CUDA device is the CPU; the core of
attention (softmax of scaled products) is torch's, as Megatron's local one does not take latent attention's arguments;
two names that 0.16.1 leaves undefined without Transformer Engine. Projections, norms, rotary tables, routers, experts,
prediction blocks and heads are Megatron's.
"""

import argparse
import dataclasses
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch._C._distributed_c10d import HashStore

from openseek.model.convert import Convert, convert_folder
from openseek.model.hf import save_checkpoint
from openseek.model.megatron import CUTS
from openseek.model.moe import routers
from openseek.model.placement import rows_of, stack, uncut
from openseek.model.presets import PRESETS
from openseek.model.transformer import Transformer

# Its own deprecations and missing accelerators; the tests of our code elsewhere keep warnings as errors.
pytestmark = pytest.mark.filterwarnings("ignore")
LENGTH = 24
RENAMED = {"norm_epsilon": "layernorm_epsilon", "num_experts": "num_moe_experts"}
"""Arguments of Megatron-LM -> fields of megatron-core's config."""
# What has no counterpart on a CPU, or is a choice of the run and not of the model.
ON_CPU = {
    "use_cpu_initialization": True,
    "params_dtype": torch.float32,
    "pipeline_dtype": torch.float32,
    "gated_linear_unit": True,
    "activation_func": F.silu,
    "bias_activation_fusion": False,
    "bias_dropout_fusion": False,
    "gradient_accumulation_fusion": False,
    "masked_softmax_fusion": False,
    "persist_layer_norm": False,
    "apply_rope_fusion": False,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "moe_router_dtype": None,
    "cuda_graph_scope": [],
}


class CpuAttention(torch.nn.Module):
    """softmax(q k^T scale) v, causal; tensors are [T, B, H, N]."""

    def __init__(self, softmax_scale: float | None = None, **_: object) -> None:
        super().__init__()
        self.scale = softmax_scale

    def forward(self, query, key, value, attention_mask, **_: object):
        q, k, v = (each.permute(1, 2, 0, 3) for each in (query, key, value))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale, enable_gqa=True)
        return out.permute(2, 0, 1, 3).flatten(2)


@pytest.fixture(scope="module")
def megatron():
    """megatron.core with its groups over this one process."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        core = pytest.importorskip("megatron.core")
        from megatron.core import parallel_state
        from megatron.core.transformer import multi_latent_attention
        from megatron.core.transformer.moe import moe_utils

        patch.setattr(torch.cuda, "current_device", lambda: torch.device("cpu"))
        patch.setattr(multi_latent_attention, "TELinear", type("Absent", (), {}))
        patch.setattr(moe_utils, "te_general_gemm", None, raising=False)
        # A training test before this one leaves its group of one rank.
        alone = not torch.distributed.is_initialized()
        if alone:
            torch.distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
        parallel_state.initialize_model_parallel()
        yield core
        parallel_state.destroy_model_parallel()
        if alone:
            torch.distributed.destroy_process_group()


def made(preset: str, folder) -> Transformer:
    """A random model with random norms and router biases, and its checkpoint in float32."""
    torch.manual_seed(1)
    model = Transformer(PRESETS[preset]).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    for router in routers(model):
        if model.config.has_router_bias:
            router.e_score_correction_bias.normal_(std=0.3)
    save_checkpoint(model, None, folder)
    return model


def gpt_model(args: argparse.Namespace):
    """Megatron's own model of these arguments, with its local modules."""
    from megatron.core.models.gpt import gpt_layer_specs as specs
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.transformer.transformer_config import MLATransformerConfig, TransformerConfig

    kind = MLATransformerConfig if args.multi_latent_attention else TransformerConfig
    known = {field.name for field in dataclasses.fields(kind)} - {"virtual_pipeline_model_parallel_size"}
    given = {RENAMED.get(name, name): value for name, value in vars(args).items()}
    config = kind(**{name: value for name, value in given.items() if name in known} | ON_CPU)
    norms = {"qk_layernorm": args.qk_layernorm, "multi_latent_attention": args.multi_latent_attention}
    spec: Any
    if args.num_experts:
        spec = specs.get_gpt_decoder_block_spec(config, use_transformer_engine=False, normalization="RMSNorm")
        layers = spec.layer_specs
    else:
        spec = specs.get_gpt_layer_local_spec(normalization="RMSNorm", **norms)
        layers = [spec]
    for layer in layers:
        layer.submodules.self_attention.submodules.core_attention = CpuAttention
    mtp: Any = args.mtp_num_layers and specs.get_gpt_mtp_block_spec(config, spec, use_transformer_engine=False)
    return GPTModel(
        config,
        spec,
        vocab_size=args.padded_vocab_size,
        max_sequence_length=args.max_position_embeddings,
        share_embeddings_and_output_weights=not args.untie_embeddings_and_output_weights,
        position_embedding_type=args.position_embedding_type,
        rotary_base=int(args.rotary_base),
        mtp_block_spec=mtp or None,
    ).eval()


def content_of(folder, rank: int = 0) -> dict[str, Any]:
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(folder / "release" / f"mp_rank_{rank:02d}" / "model_optim_rng.pt", weights_only=True)


def loaded(folder):
    """Megatron's model with the weights of our file, every name of its own state dict found in it and no other."""
    content = content_of(folder)
    model = gpt_model(content["args"])
    state = {name: value for name, value in model.state_dict().items() if name.endswith("_extra_state")}
    model.load_state_dict(state | content["model"], strict=True)
    return model


@torch.no_grad()
def logits_of(model, ids_BT) -> list[torch.Tensor]:
    """Logits [B, T, V] of the model and then of its prediction blocks."""
    found = []
    hook = model.output_layer.register_forward_hook(lambda _, __, out: found.append(out[0].transpose(0, 1).clone()))
    positions = torch.arange(ids_BT.shape[1])[None].expand_as(ids_BT)
    model(ids_BT, positions, None, labels=ids_BT)
    hook.remove()
    # The model's own head comes last.
    return [found[-1], *found[:-1]]


def difference(ours, theirs) -> float:
    """Of Megatron's logits to ours, relative to the largest, over the model and its prediction blocks."""
    torch.manual_seed(2)
    ids_BT = torch.randint(0, ours.config.vocab_size, (2, LENGTH))
    with torch.no_grad():
        out = ours(ids_BT, mtp=True)
    expected = [out.logits_BTV, *out.mtp_logits_BTV]
    found = logits_of(theirs, ids_BT)
    assert len(found) == len(expected) == 1 + ours.config.num_nextn_predict_layers
    # Their prediction blocks run past the end of the text; there ours stop.
    pairs = [(a, b[:, : a.shape[1]]) for a, b in zip(expected, found, strict=True)]
    return max(((a - b).abs().max() / a.abs().max()).item() for a, b in pairs)


@pytest.mark.parametrize("preset", ["debug_v3", "debug_v2_lite", "debug_small", "debug_aquila"])
def test_megatron_core_loads_it_strictly_and_computes_the_same(preset, megatron, tmp_path):
    ours = made(preset, tmp_path / "ours")
    config = Convert(spec="local", make_vocab_size_divisible_by=1, test_tokens=0)
    convert_folder(tmp_path / "ours", tmp_path / "theirs", config)
    assert difference(ours, loaded(tmp_path / "theirs")) < 1e-5


def test_queries_keys_and_values_stacked_without_their_groups_compute_otherwise(megatron, tmp_path, monkeypatch):
    ours = made("debug_aquila", tmp_path / "ours")
    monkeypatch.setitem(CUTS, "heads", lambda wholes, number, of, groups: stack(uncut(*each) for each in wholes))
    config = Convert(spec="local", make_vocab_size_divisible_by=1, test_tokens=0)
    convert_folder(tmp_path / "ours", tmp_path / "theirs", config)
    assert difference(ours, loaded(tmp_path / "theirs")) > 1e-2


def differing_ranks(tmp_path) -> set[str]:
    """Tensors of our two ranks that differ from Megatron's model on one rank, cut by its own attributes of each."""
    config = Convert(spec="local", make_vocab_size_divisible_by=1, test_tokens=0)
    convert_folder(tmp_path / "ours", tmp_path / "one", config)
    convert_folder(tmp_path / "ours", tmp_path / "two", dataclasses.replace(config, tp=2))
    model = loaded(tmp_path / "one")
    found = [content_of(tmp_path / "two", rank)["model"] for rank in range(2)]
    whole = dict(model.named_parameters())
    cut: dict[str, Any] = {name: each for name, each in whole.items() if getattr(each, "tensor_model_parallel", False)}
    assert {name.split(".")[-2] for name in cut} >= {"linear_fc1", "linear_fc2", "linear_proj", "word_embeddings"}
    differing = set()
    for name, parameter in whole.items():
        for rank in range(2):
            expected: Any = parameter
            if name in cut:
                dim, runs = cut[name].partition_dim, 2 * cut[name].partition_stride
                expected = torch.cat(parameter.chunk(runs, dim)[rank::2], dim)
            if not torch.equal(expected, found[rank][name]):
                differing.add(name.split(".")[-2])
    return differing


@pytest.mark.parametrize("preset", ["debug_v3", "debug_aquila"])
def test_two_ranks_are_cut_as_megatron_core_cuts_its_own_parameters(preset, megatron, tmp_path):
    made(preset, tmp_path / "ours")
    assert differing_ranks(tmp_path) == set()


def test_gate_and_up_stacked_before_the_cut_are_cut_otherwise(megatron, tmp_path, monkeypatch):
    def plain(wholes, number, of, groups):
        stacked = stack(uncut(*each) for each in wholes)
        size = stacked.shape[0] // of
        return rows_of(stacked, number * size, (number + 1) * size)

    made("debug_v3", tmp_path / "ours")
    monkeypatch.setitem(CUTS, "gated", plain)
    assert differing_ranks(tmp_path) == {"linear_fc1"}


def test_layout_strings_are_read_as_megatron_core_reads_them(megatron):
    from megatron.core.transformer.pipeline_parallel_layer_layout import PipelineParallelLayerLayout

    from openseek.model.megatron_layout import expanded

    letters = {"embedding": "E", "decoder": "t", "mtp": "m", "loss": "L"}
    for layout in ("Et*3|(tt|)*29,m|L", "E|(t|)*4mL", "Ettt,t|t*2,mL", "(Et|)*1(tt|t|)*2L", "E,t|*3,t*10|mL"):
        theirs = PipelineParallelLayerLayout.parse_str_to_list(layout)
        assert expanded(layout) == ["".join(letters[unit.name] for unit in stage) for stage in theirs], layout
