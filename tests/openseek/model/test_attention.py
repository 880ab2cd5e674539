"""Decoding with a cache equals the plain forward pass, for every kind of attention."""

import dataclasses

import pytest
import torch

from openseek.model.attention import ATTENTIONS
from openseek.model.cache import Cache
from openseek.model.config import Yarn
from openseek.model.size import cache_elements_per_token
from openseek.model.transformer import Transformer

GQA = {"attention": "gqa", "num_key_value_heads": 2, "head_dim": 10, "num_attention_heads": 4, "rope_interleave": False}
YARN = Yarn(factor=8, original_max_position_embeddings=4, mscale=0.7, mscale_all_dim=0.9)
VARIANTS = {
    "mla": {},
    "mla, query rank": {"q_lora_rank": 16},
    "mla, query rank, no norms, biases": {"q_lora_rank": 16, "qk_layernorm": False, "attention_bias": True},
    "mla, biases": {"attention_bias": True},
    "mla, yarn": {"rope_scaling": YARN, "q_lora_rank": 16},
    "mla, halves": {"rope_interleave": False},
    "gqa, head norms": GQA,
    "gqa, biases": GQA | {"qk_layernorm": False, "attention_bias": True},
    "gqa, one key head, yarn": GQA | {"num_key_value_heads": 1, "rope_scaling": YARN},
    "gqa, as many key heads": GQA | {"num_key_value_heads": 0},
}


@pytest.mark.parametrize("pieces", [(5, 1, 3, 3), (1,) * 12])
@pytest.mark.parametrize("absorbed", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_decoding_in_pieces_equals_the_full_pass(variant, absorbed, pieces, small, build):
    config = dataclasses.replace(small, **VARIANTS[variant])
    model = build(config)
    ids = torch.randint(0, config.vocab_size, (2, 12))
    cache = Cache(config, 2, 12, absorbed=absorbed)
    with torch.no_grad():
        full = model(ids).logits_BTV
        decoded = torch.cat([model(piece, cache=cache).logits_BTV for piece in ids.split(pieces, dim=1)], 1)
    assert (decoded - full).norm() / full.norm() < 1e-5
    kept = sum(each.shape[0] * each.shape[-1] for each in cache.kept_LBSW)
    assert kept == cache_elements_per_token(config)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "mla"])
def test_every_option_changes_what_is_computed(variant, small, build):
    """The control of the test above: a variant that changed nothing would agree with its cache, too."""
    ids = torch.randint(0, small.vocab_size, (1, 12))
    with torch.no_grad():
        logits = [build(dataclasses.replace(small, **each))(ids).logits_BTV for each in ({}, VARIANTS[variant])]
    assert (logits[0] - logits[1]).norm() / logits[0].norm() > 1e-2


def test_the_absorbed_form_would_show_a_missing_softmax_factor(small, build):
    config = dataclasses.replace(small, rope_scaling=YARN)
    model = build(config)
    ids = torch.randint(0, config.vocab_size, (1, 12))
    with torch.no_grad():
        right = model(ids).logits_BTV
        for layer in model.layers:
            layer.self_attn.scale = config.qk_head_dim**-0.5
        wrong = model(ids, cache=Cache(config, 1, 12)).logits_BTV
    assert (wrong - right).norm() / right.norm() > 1e-3


@pytest.mark.parametrize("variant", ["mla", "gqa, biases"])
def test_left_padding_changes_no_row(variant, small, build):
    config = dataclasses.replace(small, **VARIANTS[variant])
    model = build(config)
    short, long = torch.randint(0, 97, (1, 4)), torch.randint(0, 97, (1, 7))
    padded = torch.cat([torch.cat([torch.zeros(1, 3, dtype=torch.long), short], 1), long])
    following = torch.randint(0, 97, (2, 2))
    cache = Cache(config, 2, 9, padding_B=torch.tensor([3, 0]))
    with torch.no_grad():
        model(padded, cache=cache)
        batched = model(following, cache=cache).logits_BTV
        for row, prompt in enumerate((short, long)):
            alone = model(torch.cat([prompt, following[row : row + 1]], 1)).logits_BTV[0, -2:]
            assert (batched[row] - alone).norm() / alone.norm() < 1e-5
        # the control: without the padding count the short row reads the padding
        blind = Cache(config, 2, 9)
        model(padded, cache=blind)
        wrong = model(following, cache=blind).logits_BTV[0]
    assert (wrong - batched[0]).norm() / wrong.norm() > 1e-2


def test_rows_are_copied_and_dropped_with_their_padding(small):
    source = Cache(small, 2, 3, padding_B=torch.tensor([2, 0]))
    source.write(1, torch.randn(2, 3, 32))
    source.length = 3
    cache = Cache(small, 3, 5)
    cache.copy_rows(source, torch.tensor([1, 0, 1]))
    assert cache.length == 3
    assert cache.padding_B.tolist() == [0, 2, 0]
    cache.keep_rows(torch.tensor([1, 2]))
    assert cache.padding_B.tolist() == [2, 0]
    assert torch.equal(cache.kept_LBSW[0][1, :, :3], source.kept_LBSW[0][1])


@pytest.mark.parametrize("absorbed", [False, True])
@pytest.mark.parametrize("variant", ["mla, yarn", "gqa, head norms"])
def test_decoding_never_waits_for_a_number_from_the_device(variant, absorbed, small, monkeypatch):
    """Tensors on the meta device have no numbers: whatever asks for one, as a host that waits for a GPU does, fails.

    Routed experts ask for their counts, so the model here is dense.
    """
    config = dataclasses.replace(small, n_routed_experts=0, **VARIANTS[variant])
    with torch.device("meta"):
        model = Transformer(config).eval()
        ids = torch.zeros(2, 1, dtype=torch.long)
        cache = Cache(config, 2, 4, absorbed=absorbed, device="meta", padding_B=torch.zeros(2, dtype=torch.long))
        assert model(ids, cache=cache).logits_BTV.shape == (2, 1, 97)
        model(ids, cache=cache)
        mask = cache.mask
        monkeypatch.setattr(cache, "mask", lambda count: mask(count) if mask(count).all() else None)
        with pytest.raises(RuntimeError, match="meta"):
            model(ids, cache=cache)


def test_a_full_cache_says_so(small, build):
    model = build(small)
    cache = Cache(small, 1, 4)
    with pytest.raises(ValueError, match="larger max_length"):
        model(torch.zeros(1, 5, dtype=torch.long), cache=cache)


def test_every_kind_is_a_choice_of_the_config(small):
    assert set(ATTENTIONS) == {"mla", "gqa"}
    with pytest.raises(ValueError, match="attention='nsa': use one of mla, gqa"):
        dataclasses.replace(small, attention="nsa")
