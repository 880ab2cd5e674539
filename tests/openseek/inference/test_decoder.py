"""Rows that leave a batch change nothing for the others; a graph on a GPU gives what plain steps give."""

import dataclasses

import pytest
import torch

from openseek.inference.decoder import Decoder, _FixedCache
from openseek.model.cache import Cache
from openseek.model.presets import PRESETS
from openseek.model.transformer import Transformer


def prefilled(model, prompt_BT, padding_B, new_tokens):
    place = {"dtype": model.embed_tokens.weight.dtype, "device": model.embed_tokens.weight.device}
    rows, length = prompt_BT.shape
    cache = Cache(model.config, rows, length + new_tokens, padding_B=padding_B, **place)
    model(prompt_BT, cache=cache)
    return cache


@pytest.fixture(params=["debug_v3", "debug_aquila"])
def model(request):
    torch.manual_seed(0)
    return Transformer(dataclasses.replace(PRESETS[request.param], num_nextn_predict_layers=0)).eval()


@torch.no_grad()
def test_a_cache_of_fixed_shape_gives_the_logits_of_one_that_grows(model):
    prompt, padding = torch.randint(0, 512, (3, 9)), torch.tensor([0, 4, 2])
    growing = prefilled(model, prompt, padding, 8)
    fixed = _FixedCache(prefilled(model, prompt, padding, 8))

    def distance(tokens: torch.Tensor) -> float:
        expected = model(tokens, cache=growing).logits_BTV
        return ((model(tokens, cache=fixed).logits_BTV - expected).norm() / expected.norm()).item()

    for _ in range(6):
        assert distance(torch.randint(0, 512, (3, 1))) < 1e-5
        fixed.slot_1 += 1
    fixed.slot_1 -= 1  # the control: the new token takes the place of the one before
    assert distance(torch.randint(0, 512, (3, 1))) > 1e-3


@pytest.mark.gpu
@torch.no_grad()
def test_a_graph_gives_the_logits_of_plain_steps_while_rows_leave(model):
    model = model.to("cuda", torch.bfloat16)
    prompt, padding = torch.randint(0, 512, (6, 9), device="cuda"), torch.tensor([0, 4, 2, 0, 1, 3])
    plain, graphed = prefilled(model, prompt, padding, 20), prefilled(model, prompt, padding, 20)
    decoder = Decoder(model, graphed, 20)
    for kept in ([0, 1, 2, 3, 4, 5], [0, 1, 3, 4, 5], [1, 2, 4], [0, 2]):
        rows = torch.tensor(kept, device="cuda")
        plain.keep_rows(rows)
        decoder.keep_rows(rows)
        for _ in range(3):
            tokens = torch.randint(0, 512, (len(kept),), device="cuda")
            expected = model(tokens[:, None], cache=plain).logits_BTV[:, -1]
            actual = decoder.step(tokens)
            assert (actual - expected).norm() / expected.norm() < 2e-2
