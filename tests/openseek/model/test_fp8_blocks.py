"""FP8 weights with block scales become the numbers that a plain loop gives."""

import math

import pytest
import torch

from openseek.model.fp8_blocks import dequantise


def quantise(weight, block, power_of_two=False):
    """(float8 weight, scales): the largest magnitude of each block becomes 448, the largest float8_e4m3fn."""
    scale = torch.empty(math.ceil(weight.shape[0] / block[0]), math.ceil(weight.shape[1] / block[1]))
    small = torch.empty_like(weight)
    for i in range(scale.shape[0]):
        for j in range(scale.shape[1]):
            part = slice(i * block[0], (i + 1) * block[0]), slice(j * block[1], (j + 1) * block[1])
            factor = weight[part].abs().max() / 448
            scale[i, j] = 2.0 ** math.ceil(math.log2(factor)) if power_of_two else factor
            small[part] = weight[part] / scale[i, j]
    return small.to(torch.float8_e4m3fn), scale


@pytest.mark.parametrize(("shape", "block"), [((256, 384), (128, 128)), ((300, 130), (128, 128)), ((5, 7), (2, 4))])
def test_every_number_is_the_stored_one_times_the_scale_of_its_block(shape, block):
    torch.manual_seed(0)
    weight = torch.randn(shape) * torch.logspace(-3, 3, shape[1])
    small, scale = quantise(weight, block)
    found = dequantise(small, scale, block)
    for i in range(0, shape[0], 3):
        for j in range(shape[1]):
            assert found[i, j] == small[i, j].float() * scale[i // block[0], j // block[1]]
    assert ((found - weight).norm() / weight.norm()) < 0.05
    assert ((small.float() - weight).norm() / weight.norm()) > 0.5  # a bare cast is another model


def test_powers_of_two_come_as_e8m0_or_as_bytes():
    torch.manual_seed(0)
    small, scale = quantise(torch.randn(200, 300), (128, 128), power_of_two=True)
    expected = dequantise(small, scale)
    exponents = (torch.log2(scale) + 127).to(torch.uint8)
    assert torch.equal(dequantise(small, scale.to(torch.float8_e8m0fnu)), expected)
    assert torch.equal(dequantise(small, exponents), expected)
    assert torch.equal(exponents.view(torch.float8_e8m0fnu).float(), scale)
    smallest = dequantise(torch.full((1, 1), 448.0).to(torch.float8_e4m3fn), torch.zeros(1, 1, dtype=torch.uint8))
    assert smallest.item() == 448 * 2.0**-127


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (torch.ones(3, 2), "do not fit"),
        (torch.ones(2, 2, dtype=torch.int32), "torch.int32"),
        (torch.tensor([[1.0, 0.0], [1.0, 1.0]]), "damaged"),
        (torch.tensor([[1.0, float("nan")], [1.0, 1.0]]), "damaged"),
        (torch.full((2, 2), 255, dtype=torch.uint8), "damaged"),
    ],
)
def test_scales_that_cannot_be_right_are_refused(scale, message):
    with pytest.raises(ValueError, match=message):
        dequantise(torch.ones(200, 200).to(torch.float8_e4m3fn), scale)
    with pytest.raises(ValueError, match="only matrices"):
        dequantise(torch.ones(200).to(torch.float8_e4m3fn), scale)
