"""The memory network over a whole episode equals its formulas, in values and gradients, compiled or not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metamemory.kernels import least_recently_used, native
from metamemory.kernels.least_recently_used import Memory
from metamemory.kernels.memory_network import memory_network, memory_network_reference

compiled = pytest.mark.skipif(
    native.library("least_recently_used", torch.float32, HEADS=1, WIDTH=2) is None, reason="no C compiler here"
)


def arguments(steps=5, batch=2, units=6, heads=2, slots=7, width=3, dtype=torch.float64, seed=0):
    """Random weights and an arbitrary state, in which usages differ."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=0.7):
        return (scale * torch.randn(*shape, dtype=dtype, generator=generator)).requires_grad_()

    inputs = (
        draw(steps, batch, 4 * units),
        draw(4 * units, units + heads * width, scale=units**-0.5),
        draw(heads * (width + 1), units, scale=units**-0.5),
        draw(heads * (width + 1)),
        draw(batch, units),
        draw(batch, units),
        draw(batch, heads * width),
    )
    reading = draw(batch, heads, slots).softmax(dim=-1).detach().requires_grad_()
    usage = torch.stack([torch.randperm(slots, generator=generator) for _ in range(batch)]).to(dtype)
    return *inputs, Memory(draw(batch, width, slots), reading, usage)


def results(operation, inputs, strength):
    """Everything that comes out, and the gradients of everything that went in."""
    *tensors, memory = inputs
    outputs, c, last = operation(*tensors, memory, 0.9, strength)
    loss = (outputs * torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)).sum()
    loss = loss + c.sin().sum() + last.slots.cos().sum() + (last.reading * last.slots.sum(1)[:, None].detach()).sum()
    return outputs, c, *last, *torch.autograd.grad(loss, [*tensors, memory.slots, memory.reading])


def assert_equal(inputs, tolerance, strength=1.0):
    both = (results(operation, inputs, strength) for operation in (memory_network, memory_network_reference))
    for found, expected in zip(*both, strict=True):
        assert (found - expected).norm() <= tolerance * expected.norm()


def test_gradients_are_those_of_finite_differences():
    *tensors, memory = arguments(steps=3, slots=5)

    def operation(*inputs):
        outputs, c, last = memory_network(*inputs[:7], Memory(*inputs[7:], memory.usage), 0.9, 3.0)
        return outputs, c, last.slots, last.reading

    assert torch.autograd.gradcheck(operation, (*tensors, memory.slots, memory.reading))


def test_without_a_compiler_it_is_the_formulas():
    assert_equal(arguments(), 1e-12, strength=3.0)


@compiled
@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 3),
    units=st.integers(1, 9),
    heads=st.sampled_from([1, 3]),  # compiled for each
    slots=st.integers(4, 40),
    strength=st.sampled_from([1.0, 10.0]),
    width=st.sampled_from([2, 9, 16]),  # of a width of 1 every cosine is 1 or -1, and gradients are rounding
)
def test_a_step_in_c_equals_the_formulas_from_any_state(batch, units, heads, slots, width, strength):
    assert_equal(arguments(1, batch, units, heads, slots, width, torch.float32), 1e-4, strength)


@compiled
@pytest.mark.parametrize(("steps", "size"), [(9, (6, 2, 7, 3)), (50, (40, 4, 128, 40))])
def test_an_episode_in_c_equals_the_formulas(steps, size):
    """Seeds are fixed: where two usages differ by rounding alone, the slots taken may differ too."""
    assert_equal(arguments(steps, 4, *size, torch.float32), 2e-5)


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["C", "formulas"])
def test_equal_usages_keys_of_zero_and_saturated_gates(dtype):
    """All slots equally used: the first are taken, the very first is cleared. A key of zeros reads everywhere alike."""
    before = Memory(
        torch.ones(1, 2, 6, dtype=dtype), torch.full((1, 2, 6), 1 / 6, dtype=dtype), torch.ones(1, 6, dtype=dtype)
    )
    after = Memory(*map(torch.empty_like, before))
    found = least_recently_used.Access(
        torch.empty_like(before.reading), torch.empty_like(before.usage), torch.empty(1, 2, dtype=torch.int64)
    )
    keys, gates = torch.tensor([[[0.0, 0.0], [2.0, -1.0]]], dtype=dtype), torch.tensor([[1.0, 0.0]], dtype=dtype)
    reads = torch.empty_like(keys)
    least_recently_used.forward(keys, gates, before, 0.5, 1.0, after, found, reads)
    assert found.least.tolist() == [[0, 1]]
    expected = torch.tensor([[2.0, -1.0], [3.0, 0.0], *[[1.0, 1.0]] * 4], dtype=dtype)
    # head 0 writes a key of zeros everywhere, head 1 to two slots
    torch.testing.assert_close(after.slots[0].T, expected)
    torch.testing.assert_close(after.reading[0, 0], torch.full((6,), 1 / 6, dtype=dtype))
    torch.testing.assert_close(reads[0, 0], expected.mean(dim=0))
    wrote = torch.tensor([1.0, 1.0, 0, 0, 0, 0], dtype=dtype)
    torch.testing.assert_close(after.usage[0], 0.5 + after.reading[0].sum(dim=0) + 1 / 6 + wrote)
    d_slots, d_reading = torch.ones_like(after.slots), torch.zeros_like(after.reading)
    d_keys, d_gates = torch.empty_like(keys), torch.empty_like(gates)
    least_recently_used.backward(
        keys, gates, before, after, found, 1.0, torch.ones_like(reads), d_slots, d_reading, d_keys, d_gates
    )
    assert all(each.isfinite().all() for each in (d_slots, d_reading, d_keys, d_gates))
    assert d_slots[0, :, 0].tolist() == [0, 0]  # what was cleared has no say


def test_a_gradient_of_a_gradient_is_refused():
    *tensors, memory = arguments()
    outputs, *_ = memory_network(*tensors, memory, 0.9, 1.0)
    (grad,) = torch.autograd.grad(outputs.square().sum(), tensors[1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()
