"""A ConvLSTM without time gives the numbers of one with time, at its first step."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory.nn.conv_lstm import ConvLSTM
from metamemory.nn.zero_state_conv_lstm import ZeroStateConvLSTM


def pair(normalise=True, stride=1, dtype=torch.float32):
    """The same weights with and without time."""
    torch.manual_seed(0)
    zero_state = ZeroStateConvLSTM(3, 5, stride=stride, normalise=normalise, precision=dtype).to(dtype)
    timed = ConvLSTM(3, 5, normalise=normalise, precision=dtype).to(dtype)
    timed.load_state_dict(zero_state.state_dict())
    return zero_state, timed


def first_step(timed, x):
    return timed(x[None], timed.initial_state(len(x), x.shape[-2:]))[0][0]


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_numbers_are_unchanged_through_training(normalise, dtype):
    """Outputs and weights, over updates with momentum and weight decay, and then in evaluation."""
    zero_state, timed = pair(normalise, dtype=dtype)
    optimisers = [torch.optim.SGD(each.parameters(), 0.1, 0.9, weight_decay=0.01) for each in (zero_state, timed)]
    generator = torch.Generator().manual_seed(1)
    tolerance = {torch.float32: 1e-4, torch.float64: 1e-9}[dtype]
    for _ in range(10):
        x = torch.randn(6, 3, 8, 8, generator=generator, dtype=dtype)
        target = torch.randn(6, 5, 8, 8, generator=generator, dtype=dtype)
        for h, optimiser in zip((zero_state(x), first_step(timed, x)), optimisers, strict=True):
            optimiser.zero_grad()
            fn.mse_loss(h, target).backward()
            optimiser.step()
        torch.testing.assert_close(zero_state(x), first_step(timed, x), rtol=tolerance, atol=tolerance)
    before = dict(pair(normalise, dtype=dtype)[0].named_parameters())
    assert not torch.allclose(zero_state.w_x[:5], before["w_x"][:5])
    with torch.no_grad():
        x = torch.randn(6, 3, 8, 8, generator=generator, dtype=dtype)
        torch.testing.assert_close(zero_state.eval()(x), first_step(timed.eval(), x), rtol=tolerance, atol=tolerance)


@torch.no_grad()
def test_a_stride_takes_every_second_pixel():
    zero_state, timed = pair(normalise=False, stride=2)
    for size in (8, 7):
        x = torch.randn(2, 3, size, size)
        torch.testing.assert_close(zero_state(x), first_step(timed, x)[..., ::2, ::2], rtol=1e-5, atol=1e-6)


def test_what_belongs_to_a_state_gets_no_gradient():
    zero_state, _ = pair()
    zero_state(torch.randn(4, 3, 8, 8)).square().sum().backward()
    assert zero_state.w_h.grad is None
    forget = slice(5, 10)
    for each in (zero_state.w_x, zero_state.bias, zero_state.gain):
        assert not each.grad[forget].any() and each.grad[:5].any() and each.grad[10:].any()
    with_part = sum(each.grad.count_nonzero().item() for each in (zero_state.w_x, zero_state.bias, zero_state.gain))
    assert zero_state.used == with_part == 15 * (27 + 2)


@torch.no_grad()
def test_bfloat16_stays_close():
    torch.manual_seed(0)
    narrow = ZeroStateConvLSTM(3, 5, precision=torch.bfloat16)
    wide = pair()[0]
    narrow.load_state_dict(wide.state_dict())
    x = torch.randn(6, 3, 8, 8)
    assert narrow(x).dtype == torch.bfloat16
    torch.testing.assert_close(narrow(x).float(), wide(x), rtol=0.05, atol=0.05)
