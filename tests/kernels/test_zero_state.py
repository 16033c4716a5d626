"""The compiled gates of a zero state equal the formulas, which are those of any LSTM cell."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.kernels import native
from metamemory.kernels.conv_lstm import conv_lstm_reference
from metamemory.kernels.zero_state import zero_state_gates, zero_state_gates_reference

UNIT = {torch.float32: 1e-5, torch.bfloat16: 2**-7}  # of the last place of what is stored rounded


def draw(*shape, seed=0, dtype=torch.float32):
    return (2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))).to(dtype)


def there_and_back(function, a, d_h):
    a = a.clone().requires_grad_()
    h = function(a)
    h.backward(d_h)
    return h.detach(), a.grad


@pytest.mark.parametrize("product", UNIT, ids=str)
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3, 15, 5, 7), (16, 24, 16, 16)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_c_equals_the_formulas(product, shape, memory_format):
    if native.library("zero_state", product) is None:
        pytest.skip("no C compiler on this machine: the formulas are used as they stand")
    a = draw(*shape, dtype=product).contiguous(memory_format=memory_format)
    d_h = draw(shape[0], shape[1] // 3, *shape[2:], seed=1, dtype=product)
    for written, expected in zip(
        there_and_back(zero_state_gates, a, d_h), there_and_back(zero_state_gates_reference, a, d_h), strict=True
    ):
        assert written.dtype == product
        torch.testing.assert_close(written, expected, rtol=UNIT[product], atol=UNIT[product])


def test_the_formulas_are_those_of_a_conv_lstm_at_its_first_step():
    a, zero = draw(2, 12, 5, 5).double(), torch.zeros(2, 4, 5, 5, dtype=torch.float64)
    forget = draw(2, 4, 5, 5, seed=1).double()
    i, o, g = a.chunk(3, dim=1)
    w_h = draw(16, 4, 3, 3, seed=2).double()
    hs, _ = conv_lstm_reference(torch.cat([i, forget, o, g], dim=1)[None], w_h, zero, zero)
    torch.testing.assert_close(zero_state_gates_reference(a), hs[0], rtol=1e-12, atol=1e-12)


def test_what_is_not_a_number_stays_so():
    a = draw(2, 12, 3, 3)
    a[0, 5, 1, 1] = torch.nan
    assert zero_state_gates(a).isnan().sum() == 1


def test_the_gradient_of_a_gradient_is_refused():
    if native.library("zero_state", torch.float32) is None:
        pytest.skip("no C compiler on this machine")
    a = draw(2, 12, 3, 3).requires_grad_()
    with pytest.raises(UserError, match="once_differentiable"):
        torch.autograd.grad(zero_state_gates(a).square().sum(), a, create_graph=True)
