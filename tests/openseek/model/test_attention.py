"""Decoding with the latent cache equals the plain forward pass."""

import dataclasses

import pytest
import torch

from openseek.model.attention import LatentCache


@pytest.mark.parametrize("q_lora_rank", [None, 16])
@pytest.mark.parametrize("absorbed", [False, True])
def test_decoding_token_by_token_equals_the_full_pass(absorbed, q_lora_rank, small, build):
    config = dataclasses.replace(small, q_lora_rank=q_lora_rank)
    model = build(config)
    ids = torch.randint(0, config.vocab_size, (2, 12))
    cache = LatentCache(config, 2, 12, absorbed=absorbed)
    with torch.no_grad():
        full = model(ids).logits_BTV
        pieces = [model(piece, cache=cache).logits_BTV for piece in (ids[:, :5], ids[:, 5:6], ids[:, 6:9], ids[:, 9:])]
    assert (torch.cat(pieces, 1) - full).norm() / full.norm() < 1e-5
    assert cache.latent_LBSC.shape[-1] + cache.rope_LBSR.shape[-1] == config.kv_lora_rank + config.qk_rope_head_dim


def test_left_padding_changes_no_row(small, build):
    model = build(small)
    short, long = torch.randint(0, 97, (1, 4)), torch.randint(0, 97, (1, 7))
    padded = torch.cat([torch.cat([torch.zeros(1, 3, dtype=torch.long), short], 1), long])
    following = torch.randint(0, 97, (2, 2))
    cache = LatentCache(small, 2, 9, padding_B=torch.tensor([3, 0]))
    with torch.no_grad():
        model(padded, cache=cache)
        batched = model(following, cache=cache).logits_BTV
        for row, prompt in enumerate((short, long)):
            alone = model(torch.cat([prompt, following[row : row + 1]], 1)).logits_BTV[0, -2:]
            assert (batched[row] - alone).norm() / alone.norm() < 1e-5
        # the control: without the padding count the short row reads the padding
        blind = LatentCache(small, 2, 9)
        model(padded, cache=blind)
        wrong = model(following, cache=blind).logits_BTV[0]
    assert (wrong - batched[0]).norm() / wrong.norm() > 1e-2


def test_a_full_cache_says_so(small, build):
    model = build(small)
    cache = LatentCache(small, 1, 4)
    with pytest.raises(ValueError, match="larger max_length"):
        model(torch.zeros(1, 5, dtype=torch.long), cache=cache)
