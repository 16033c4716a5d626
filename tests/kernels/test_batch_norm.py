"""The two-sweep batch normalisation equals torch's, in values, gradients and running statistics."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as fn

from metamemory.kernels import native
from metamemory.kernels.batch_norm import batch_norm

PRODUCTS = [torch.float32, torch.bfloat16]


def everything(operation, u, seed=0):
    """Output, gradients of u, gain and bias, running mean and variance after one training step."""
    generator = torch.Generator().manual_seed(seed)
    channels = u.shape[1]
    gain, bias = (torch.randn(channels, generator=generator).requires_grad_() for _ in range(2))
    mean, var = torch.zeros(channels), torch.ones(channels)
    u = u.clone().requires_grad_()
    n = operation(u, mean, var, gain, bias, True)
    weight = (torch.randint(-8, 9, n.shape, generator=generator) / 8).to(n.dtype)  # the same number in all types
    gradients = torch.autograd.grad((n * weight).float().sum(), (u, gain, bias))
    return [n, *gradients, mean, var]


@pytest.fixture(scope="module", params=PRODUCTS, ids=str)
def product(request):
    if native.library("batch_norm", request.param) is None:
        pytest.skip("no C compiler on this machine: torch's own is used")
    return request.param


@settings(max_examples=25, deadline=None)
@given(
    maps=st.integers(1, 40), channels=st.integers(1, 70), side=st.integers(2, 9), offset=st.sampled_from([0.0, 30.0])
)
def test_equals_that_of_torch(product, maps, channels, side, offset):
    generator = torch.Generator().manual_seed(maps + 100 * channels)
    u = (torch.randn(maps, channels, side, side, generator=generator) + offset).to(product)
    # torch's in float64, so that what is measured is our error
    expected = everything(lambda u, *rest: fn.batch_norm(u.double(), *(each.double() for each in rest[:4]), True), u)
    written = everything(batch_norm, u)
    tolerance = 2e-4 if product == torch.float32 else 2**-6
    for value, truth in zip(written[:4], expected[:4], strict=True):
        scale = truth.float().abs().max().item()
        torch.testing.assert_close(value.float(), truth.float(), rtol=tolerance, atol=tolerance * max(scale, 1.0))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_running_statistics_are_those_of_torch(product, layout):
    u = (3 * torch.randn(8, 6, 5, 5, generator=torch.Generator().manual_seed(0)) + 2).to(product)
    u = u.contiguous(memory_format=layout)
    written, expected = everything(batch_norm, u), everything(fn.batch_norm, u)
    for value, truth in zip(written[4:], expected[4:], strict=True):
        torch.testing.assert_close(value, truth, rtol=1e-5, atol=1e-6)


def test_the_same_bits_again(product):
    u = torch.randn(50, 16, 9, 9, generator=torch.Generator().manual_seed(0)).to(product)
    for one, other in zip(everything(batch_norm, u), everything(batch_norm, u), strict=True):
        assert torch.equal(one, other)
