"""Generators in cache against their formulas, in values and gradients."""

import pytest
import torch

from metamemory.kernels import generators, native

needs_compiler = pytest.mark.skipif(native.compiler() is None, reason="no C compiler")


def drawn(hidden, steps, coordinates, network):
    torch.manual_seed(hidden + steps)
    size, sign = torch.rand(steps, coordinates) * 2 - 1, torch.rand(steps, coordinates) * 2 - 1
    lstm = [(4 * hidden, 2), (4 * hidden,), (4 * hidden, hidden), (1, hidden), (1,)]
    mlp = [(hidden, 2), (hidden,), (hidden, hidden), (hidden,), (1, hidden), (1,)]
    weights = [torch.randn(shape, requires_grad=True) for shape in (lstm if network == "lstm" else mlp)]
    return (size, sign) if network == "lstm" else (size[0], sign[0]), weights


@needs_compiler
@pytest.mark.parametrize("network", ["lstm", "mlp"])
@pytest.mark.parametrize("hidden, steps, coordinates", [(20, 5, 1000), (4, 1, 64), (8, 3, 1), (12, 2, 65)])
def test_values_and_gradients_are_those_of_the_formulas(network, hidden, steps, coordinates, vectors):
    read, weights = drawn(hidden, steps, coordinates, network)
    assert generators._native(hidden, *read, *weights)
    fast, reference = getattr(generators, network), getattr(generators, f"{network}_reference")
    factors = torch.randn(coordinates)
    found, expected = fast(*read, *weights), reference(*read, *weights)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    pairs = zip(*(torch.autograd.grad(each @ factors, weights) for each in (found, expected)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * other.abs().max().item() + 1e-6)


@needs_compiler
@pytest.mark.parametrize("network", ["lstm", "mlp"])
def test_what_is_no_number_stays_none(network):
    (size, sign), weights = drawn(8, 2, 5, network)
    size[..., 0] = torch.nan
    assert getattr(generators, network)(size, sign, *weights).isnan().tolist() == [True, *[False] * 4]
    with torch.no_grad():
        weights[0][0, 0] = torch.nan
    assert getattr(generators, network)(size, sign, *weights).isnan().all()


@needs_compiler
@pytest.mark.parametrize("network", ["lstm", "mlp"])
def test_threads_share_the_work(network):
    read, weights = drawn(8, 3, 700, network)
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        out = getattr(generators, network)(*read, *weights)
        found.append([out, *torch.autograd.grad(out.sum(), weights)])
    torch.set_num_threads(1)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * one.abs().max().item())


@pytest.mark.parametrize("network", ["lstm", "mlp"])
def test_formulas_are_used_where_what_is_read_has_a_gradient_or_units_come_otherwise(network):
    read, weights = drawn(6, 2, 10, network)
    assert not generators._native(6, *read, *weights)
    assert getattr(generators, network)(*read, *weights).shape == (10,)
    read, weights = drawn(8, 2, 10, network)
    read[0].requires_grad_()
    out = getattr(generators, network)(*read, *weights).sum()
    (first,) = torch.autograd.grad(out, read[0], create_graph=True)
    assert first.requires_grad and first.any()
