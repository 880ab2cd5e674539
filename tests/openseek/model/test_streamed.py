"""The forward pass that reads its tensors one after the other equals the ordinary one."""

import dataclasses
import weakref

import pytest
import torch

from openseek.model.hf import hf_views
from openseek.model.streamed import streamed_logits

VARIANTS = {
    "mla, two depths": {"num_nextn_predict_layers": 2},
    "untied, query rank, one depth": {"tie_word_embeddings": False, "q_lora_rank": 16},
    "gqa, all dense": {
        "attention": "gqa",
        "attention_bias": True,
        "rope_interleave": False,
        "n_routed_experts": 0,
        "num_nextn_predict_layers": 0,
    },
}


class Disk:
    """A reader over a model's tensors that keeps account of what was read, and of what the caller still holds."""

    def __init__(self, model) -> None:
        self.tensors = hf_views(model)
        self.asked: list[str] = []
        self.held: list[tuple[str, weakref.ref]] = []
        self.most_elements = 0

    def read(self, name: str) -> torch.Tensor:
        tensor = self.tensors[name].clone()
        self.asked.append(name)
        self.held = [(n, r) for n, r in self.held if r() is not None]
        if name.endswith("gate_proj.weight") and ".experts." in name:
            assert not [n for n, _ in self.held if ".experts." in n], "an expert is held while the next one is read"
        self.held.append((name, weakref.ref(tensor)))
        self.most_elements = max(self.most_elements, sum(self.tensors[n].numel() for n, _ in self.held))
        return tensor


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("variant", VARIANTS)
def test_streamed_logits_equal_those_of_the_model(variant, small, build, monkeypatch):
    monkeypatch.setattr("openseek.model.streamed.HEAD_ROWS", 10)
    config = dataclasses.replace(small, **VARIANTS[variant])
    model = build(config)
    disk = Disk(model)
    ids = torch.randint(0, 97, (2, 9))
    with torch.no_grad():
        expected = model(ids, mtp=True)
    actual = streamed_logits(config, disk.read, ids)
    assert relative(actual.logits_BTV, expected.logits_BTV) < 1e-6
    assert len(actual.mtp_logits_BTV) == config.num_nextn_predict_layers
    for ours, theirs in zip(actual.mtp_logits_BTV, expected.mtp_logits_BTV, strict=True):
        assert relative(ours, theirs) < 1e-6
    assert {n for n in disk.asked if ".experts." not in n} == {n for n in disk.tensors if ".experts." not in n}
    quick = streamed_logits(config, disk.read, ids, mtp=False)
    assert torch.equal(quick.logits_BTV, actual.logits_BTV)
    assert quick.mtp_logits_BTV == ()


def test_only_chosen_experts_are_read_and_one_block_is_held(small, build):
    config = dataclasses.replace(small, n_routed_experts=32, num_nextn_predict_layers=0)
    disk = Disk(build(config))
    streamed_logits(config, disk.read, torch.tensor([[5, 6]]))
    experts = [name for name in disk.asked if ".experts." in name]
    assert len(experts) == len(set(experts))
    for layer in (1, 2):
        number = sum(name.startswith(f"model.layers.{layer}.") for name in experts)
        assert 3 * 3 <= number <= 3 * 6  # two tokens, three experts each
    one_block = sum(
        tensor.numel()
        for name, tensor in disk.tensors.items()
        if name.startswith("model.layers.1.") and ".experts." not in name
    )
    expert = 3 * config.moe_intermediate_size * config.hidden_size
    embedding = config.vocab_size * config.hidden_size
    assert disk.most_elements <= max(one_block + expert, embedding + config.hidden_size)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.1.mlp.experts.{expert}.down_proj.weight",
        "model.layers.2.mlp.gate.e_score_correction_bias",
        "model.layers.0.self_attn.kv_b_proj.weight",
        "model.norm.weight",
    ],
)
def test_one_altered_tensor_shows(name, small, build):
    model = build(small)
    disk = Disk(model)
    ids = torch.randint(0, 97, (1, 9))
    right = streamed_logits(small, disk.read, ids, mtp=False).logits_BTV
    read = next(n.split(".")[5] for n in disk.asked if n.startswith("model.layers.1.mlp.experts."))
    disk.tensors[name.format(expert=read)] = disk.tensors[name.format(expert=read)].flip(0)
    assert relative(streamed_logits(small, disk.read, ids, mtp=False).logits_BTV, right) > 1e-4


def test_the_same_tokens_in_bfloat16_tensors_are_computed_in_float32(small, build):
    model = build(small).bfloat16()
    disk = Disk(model)
    ids = torch.randint(0, 97, (1, 9))
    with torch.no_grad():
        expected = model.float()(ids).logits_BTV
    assert relative(streamed_logits(small, disk.read, ids, mtp=False).logits_BTV, expected) < 1e-6
