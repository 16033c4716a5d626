"""The compiled functions of states equal their formulas, forwards and backwards."""

import pytest
import torch

from metamemory.kernels import native, states

pytestmark = pytest.mark.skipif(
    not native.available("states", torch.float32), reason="no C compiler on this machine: the formulas are used"
)


def draw(*shape, seed=0):
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def there_and_back(function, inputs, weight, dtype):
    inputs = [each.to(dtype).clone().requires_grad_() for each in inputs]
    out = function(*inputs)
    (out * weight.to(dtype)).sum().backward()
    return [out.detach(), *(each.grad for each in inputs)]


@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (3, 4, 7, 5), (2, 3, 64, 33)])
def test_normalised_tanh_equals_its_formula(shape):
    inputs = [draw(*shape) + 5, draw(shape[1], seed=1), draw(shape[1], seed=2)]
    weight = draw(*shape, seed=3)
    found = there_and_back(states.normalised_tanh, inputs, weight, torch.float32)
    expected = there_and_back(states.normalised_tanh, inputs, weight, torch.float64)  # by the formula
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 5), (8, 100, 33)])
@pytest.mark.parametrize("bound", [0.0, 0.1])
def test_grown_equals_its_formula(shape, bound):
    inputs = [draw(*shape), draw(*shape, seed=1), torch.tensor(0.9), torch.tensor(bound), torch.tensor(-0.3)]
    weight = draw(*shape, seed=3)
    found = there_and_back(states.grown, inputs, weight, torch.float32)
    expected = there_and_back(states.grown, inputs, weight, torch.float64)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=2e-4, atol=2e-3)


def test_a_slice_or_a_transpose_is_as_good_as_a_whole():
    w, hebb = draw(2, 5, 8).transpose(1, 2), draw(2, 9, 5)[:, :8]
    numbers = [torch.tensor(each) for each in (0.9, 0.1, 0.3)]
    torch.testing.assert_close(states.grown(w, hebb, *numbers), states.grown_reference(w, hebb, *numbers))


def test_operators_keep_torchs_rules():
    z, of_states = draw(2, 3, 4, 5).requires_grad_(), [draw(3, seed=each).requires_grad_() for each in (1, 2)]
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(states._normalised_tanh.operator, (z, *of_states), test_utils=checks)
    w = [draw(2, 3, 4, seed=each).requires_grad_() for each in (3, 4)]
    numbers = [torch.tensor(each, requires_grad=True) for each in (0.9, 0.1, 0.3)]
    torch.library.opcheck(states._grown.operator, (*w, *numbers), test_utils=checks)
