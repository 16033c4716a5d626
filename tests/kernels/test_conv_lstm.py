"""The fast ConvLSTM operation equals its plain reference, in values and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metamemory.errors import UserError
from metamemory.kernels.conv_lstm import conv_lstm, conv_lstm_reference


def arguments(steps=4, batch=2, filters=3, size=5, kernel=3, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_()

    return (
        draw(steps, batch, 4 * filters, size, size),
        draw(4 * filters, filters, kernel, kernel),
        draw(batch, filters, size, size),
        draw(batch, filters, size, size),
    )


def gradients(operation, inputs):
    hs, c = operation(*inputs)
    weight = torch.linspace(-1, 1, hs.numel(), dtype=hs.dtype).view_as(hs)
    return hs, c, torch.autograd.grad((hs * weight).sum() + c.sin().sum(), inputs)


def test_gradients_are_those_of_finite_differences():
    inputs = arguments()
    assert torch.autograd.gradcheck(conv_lstm, inputs)


@settings(max_examples=20, deadline=None)
@given(
    steps=st.integers(1, 5),
    batch=st.integers(1, 3),
    filters=st.integers(1, 4),
    size=st.integers(1, 6),
    kernel=st.sampled_from([1, 3, 5]),
)
def test_equals_the_reference_from_any_state(steps, batch, filters, size, kernel):
    inputs = arguments(steps, batch, filters, size, kernel, dtype=torch.float32)
    hs, c, grads = gradients(conv_lstm, inputs)
    expected_hs, expected_c, expected_grads = gradients(conv_lstm_reference, inputs)
    for actual, expected in zip((hs, c, *grads), (expected_hs, expected_c, *expected_grads), strict=True):
        assert (actual - expected).norm() <= 1e-5 * expected.norm()


def test_bfloat16_products_stay_close_to_float32():
    """The state stays float32, so that rounding does not pile up: errors are those of one product, about 2^-8."""
    u, w_h, h, c = arguments(steps=20, filters=8, dtype=torch.float32)
    w_h = (0.1 * w_h).detach().requires_grad_()
    hs, last, grads = gradients(conv_lstm, (u.bfloat16(), w_h, h, c))
    expected_hs, expected_last, expected_grads = gradients(conv_lstm_reference, (u.bfloat16().float(), w_h, h, c))
    assert hs.dtype == torch.bfloat16 and last.dtype == grads[1].dtype == torch.float32
    torch.testing.assert_close(hs.float(), expected_hs, rtol=0, atol=0.03)
    torch.testing.assert_close(last, expected_last, rtol=0, atol=0.05)
    for grad, expected in zip(grads, expected_grads, strict=True):
        assert (grad.float() - expected).norm() < 0.03 * expected.norm()


def test_a_gradient_of_a_gradient_is_refused():
    inputs = arguments()
    hs, _ = conv_lstm(*inputs)
    with pytest.raises(UserError, match="once_differentiable"):
        torch.autograd.grad(hs.square().sum(), inputs[1], create_graph=True)
