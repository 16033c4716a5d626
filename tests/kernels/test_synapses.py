"""The compiled step of synapses equals its formula, which is that of torch's LSTM cell, forwards and backwards."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.kernels import native, synapses

SIZES = [(1, 1, 1, 4), (2, 3, 5, 4), (3, 10, 7, 16)]


def draw(batch, inputs, outputs, units, dtype=torch.float32):
    drawn = torch.Generator().manual_seed(0)
    shapes = (
        *((batch, inputs, 4 * units), (batch, outputs, 4 * units), (units, 4 * units)),
        *((batch, inputs, outputs, units),) * 2,
    )
    return [torch.randn(*shape, generator=drawn).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("ticks", [1, 2, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_c_equals_the_formula(sizes, ticks):
    if not native.available("synapses", torch.float32, UNITS=sizes[3]):
        pytest.skip("no C compiler on this machine: the formula is used")
    found = []
    for function, dtype in ((synapses.synapses, torch.float32), (synapses.synapses_reference, torch.float64)):
        inputs = draw(*sizes, dtype=dtype)
        h, c = function(*inputs, ticks)
        (h * torch.arange(h.numel()).view_as(h) + 2 * c).sum().backward()
        found.append([h.detach(), c.detach(), *(each.grad for each in inputs)])
    for one, other in zip(*found, strict=True):
        scale = other.abs().max()
        torch.testing.assert_close(one.double() / scale, other / scale, rtol=1e-5, atol=1e-5)


def test_ticks_are_as_many_calls():
    inputs = draw(3, 10, 7, 16)
    below, above, w, h, c = inputs
    with torch.no_grad():
        together = synapses.synapses(*inputs, 3)
        for _ in range(3):
            h, c = synapses.synapses(below, above, w, h, c)
    assert all(torch.equal(one, other) for one, other in zip(together, (h, c), strict=True))
    kept = synapses.synapses(*inputs, 3)  # with gradients: all ticks are kept, the last is returned
    assert all(torch.equal(one, other) for one, other in zip(kept, together, strict=True))


@pytest.mark.parametrize("function", [synapses.synapses, synapses.synapses_reference])
def test_no_tick_is_refused(function):
    with pytest.raises(UserError, match="ticks is 0, and must be 1 at least"):
        function(*draw(1, 2, 3, 4), 0)


def test_the_formula_is_torchs_lstm_cell():
    below, above, w, h, c = (each.detach() for each in draw(2, 3, 5, 4, torch.float64))
    cell = torch.nn.LSTMCell(4, 4, dtype=torch.float64)
    gates = {"i": 0, "f": 1, "o": 2, "g": 3}
    order = torch.cat([torch.arange(4) + 4 * gates[gate] for gate in "ifgo"])
    with torch.no_grad():
        cell.weight_hh.copy_(w.T[order])
        for each in (cell.weight_ih, cell.bias_hh, cell.bias_ih):
            each.zero_()
        found = synapses.synapses_reference(below, above, w, h, c)
        for b, i, j in ((0, 0, 0), (1, 2, 4)):
            cell.bias_ih.copy_((below[b, i] + above[b, j])[order])
            expected = cell(torch.zeros(1, 4, dtype=torch.float64), (h[b, i, j][None], c[b, i, j][None]))
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one[b, i, j], other[0])


def test_operators_keep_torchs_rules():
    if not native.available("synapses", torch.float32, UNITS=4):
        pytest.skip("no C compiler on this machine")
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(synapses._synapses.operator, (*draw(2, 3, 5, 4), 2), test_utils=checks)
