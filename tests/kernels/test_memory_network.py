"""The memory network over a whole episode equals its formulas, in values and gradients, compiled or not."""

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metamemory.errors import UserError
from metamemory.kernels import least_recently_used, native
from metamemory.kernels.least_recently_used import Memory
from metamemory.kernels.memory_network import memory_network, memory_network_reference

compiled = pytest.mark.skipif(
    native.library("least_recently_used", torch.float32, HEADS=1, WIDTH=2, VALUES=0, OWN_SLOTS=0) is None,
    reason="no C compiler here",
)
PUBLIC = least_recently_used._access
FORMS = [(1, False), (2, False), (1, True), (2, True)]  # parts of what heads are told, and whether slots are their own


def arguments(steps=5, batch=2, units=6, heads=2, slots=7, width=3, dtype=torch.float64, seed=0, parts=1):
    """Random weights and an arbitrary state, in which usages differ."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=0.7):
        return (scale * torch.randn(*shape, dtype=dtype, generator=generator)).requires_grad_()

    inputs = (
        draw(steps, batch, 4 * units),
        draw(4 * units, units + heads * width, scale=units**-0.5),
        draw(heads * (parts * width + 1), units, scale=units**-0.5),
        draw(heads * (parts * width + 1)),
        draw(batch, units),
        draw(batch, units),
        draw(batch, heads * width),
    )
    reading = draw(batch, heads, slots).softmax(dim=-1).detach().requires_grad_()
    usage = torch.stack([torch.randperm(slots, generator=generator) for _ in range(batch)]).to(dtype)
    return *inputs, Memory(draw(batch, width, slots), reading, usage)


def results(operation, inputs, strength, own_slots):
    """Everything that comes out, and the gradients of everything that went in."""
    *tensors, memory = inputs
    outputs, c, last = operation(*tensors, memory, 0.9, strength, own_slots)
    loss = (outputs * torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)).sum()
    loss = loss + c.sin().sum() + last.slots.cos().sum() + (last.reading * last.slots.sum(1)[:, None].detach()).sum()
    return outputs, c, *last, *torch.autograd.grad(loss, [*tensors, memory.slots, memory.reading])


def assert_equal(inputs, tolerance, strength=1.0, own_slots=False):
    both = (results(operation, inputs, strength, own_slots) for operation in (memory_network, memory_network_reference))
    for found, expected in zip(*both, strict=True):
        assert (found - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize(("parts", "own_slots"), FORMS)
def test_gradients_are_those_of_finite_differences(parts, own_slots):
    *tensors, memory = arguments(steps=2, units=3, slots=4, width=2, parts=parts)

    def operation(*inputs):
        outputs, c, last = memory_network(*inputs[:7], Memory(*inputs[7:], memory.usage), 0.9, 3.0, own_slots)
        return outputs, c, last.slots, last.reading

    assert torch.autograd.gradcheck(operation, (*tensors, memory.slots, memory.reading))


@pytest.mark.parametrize(("parts", "own_slots"), FORMS)
def test_without_a_compiler_it_is_the_formulas(parts, own_slots):
    assert_equal(arguments(parts=parts), 1e-12, 3.0, own_slots)


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
@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 3),
    slots=st.integers(4, 40),
    strength=st.sampled_from([1.0, 10.0]),
    form=st.sampled_from(FORMS[1:]),
)
def test_so_does_one_of_values_and_of_slots_of_their_own(batch, slots, strength, form):
    parts, own_slots = form
    assert_equal(arguments(1, batch, 5, 3, slots, 9, torch.float32, parts=parts), 1e-4, strength, own_slots)


@compiled
@pytest.mark.parametrize(("parts", "own_slots"), FORMS)
@pytest.mark.parametrize(("steps", "size"), [(9, (6, 2, 7, 3)), (50, (40, 4, 128, 40))])
def test_an_episode_in_c_equals_the_formulas(steps, size, parts, own_slots, vectors):
    """Seeds are fixed: where two usages differ by rounding alone, the slots taken may differ too."""
    assert_equal(arguments(steps, 4, *size, torch.float32, parts=parts), 2e-5, 1.0, own_slots)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("rows", [0, 5, 7, 9, 13, 15, 16])
def test_heads_are_told_a_key_or_a_key_and_a_value(rows, device):
    """2 heads and slots of 3: 8 rows, or 14; 7 for each, of which half is 3.5, are as wrong as any other number."""
    *tensors, memory = arguments()
    u, w_state, w_access, b_access, *state = tensors
    w_access = w_access.new_zeros(rows, w_access.shape[1])
    given = [each.to(device) for each in (u, w_state, w_access, w_access.new_zeros(rows), *state)]
    with pytest.raises(UserError, match=r"^memory_network: w_access is .*; it must be .* \[(8|14), 6\]"):
        memory_network(*given, Memory(*(each.to(device) for each in memory)), 0.9, 1.0)


@pytest.mark.parametrize("wrong", [(2, 2, 4), (2, 3, 3), (1, 2, 3), (2, 3)])
def test_values_of_another_size_than_the_keys_are_refused(wrong):
    memory = Memory(torch.rand(2, 3, 5), torch.rand(2, 2, 5), torch.rand(2, 5))
    with pytest.raises(UserError, match=r"^access: values is .*; it must be .* \[2, 2, 3\]"):
        PUBLIC(torch.rand(2, 2, 3), torch.rand(2, 2), *memory, 0.9, 1.0, torch.rand(*wrong), False)


@compiled
@pytest.mark.parametrize("wrong", [(2, 2, 2), (2, 3, 3)])
def test_the_c_functions_are_given_no_values_of_another_size(wrong, monkeypatch):
    """Past the operator, whose own check comes first; and past the types, which only tests check."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    keys, gates, memory = (
        torch.rand(2, 2, 3), torch.rand(2, 2), Memory(torch.rand(2, 3, 5), torch.rand(2, 2, 5), torch.rand(2, 5)),
    )  # fmt: skip
    after = Memory(*map(torch.empty_like, memory))
    found = least_recently_used.Access(memory.reading, memory.usage, torch.zeros(2, 2, dtype=torch.int64))
    reads, values = torch.empty_like(keys), torch.rand(*wrong)
    with pytest.raises(UserError, match="^kernels: forward was given .*; it takes 12 numbers of float32"):
        least_recently_used.forward(keys, gates, memory, 0.9, 1.0, after, found, reads, values)
    d_memory = [torch.zeros_like(each) for each in memory[:2]]
    gradients = torch.empty_like(keys), torch.empty_like(gates)
    for one, other in ((values, keys.clone()), (keys.clone(), values)):
        with pytest.raises(UserError, match="^kernels: backward was given .*; it takes 12 numbers of float32"):
            least_recently_used.backward(
                keys, gates, memory, after, found, 1.0, reads, *d_memory, *gradients, one, other
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["C", "formulas"])
def test_each_head_takes_a_slot_of_its_own_and_the_first_clears_it(dtype):
    """Slots 4, 2, 1 are the least used, in this order; gates are shut, so that nothing is written elsewhere."""
    usage = torch.tensor([[9.0, 3.0, 2.0, 8.0, 1.0, 7.0]], dtype=dtype)
    before = Memory(torch.ones(1, 2, 6, dtype=dtype), torch.full((1, 3, 6), 1 / 6, dtype=dtype), usage)
    keys, gates = torch.rand(1, 3, 2, dtype=dtype), torch.zeros(1, 3, dtype=dtype)
    values = torch.tensor([[[10.0, -10.0], [20.0, -20.0], [30.0, -30.0]]], dtype=dtype)
    _, after = least_recently_used.access(keys, gates, before, 0.5, 1.0, values, own_slots=True)
    expected = torch.ones(6, 2, dtype=dtype)
    expected[4], expected[2], expected[1] = values[0, 0], 1 + values[0, 1], 1 + values[0, 2]
    torch.testing.assert_close(after.slots[0].T, expected)
    wrote = torch.tensor([0, 1, 1, 0, 1, 0], dtype=dtype)
    torch.testing.assert_close(after.usage[0], 0.5 * usage[0] + wrote + after.reading[0].sum(dim=0))


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
    with pytest.raises(UserError, match="once_differentiable"):
        torch.autograd.grad(outputs.square().sum(), tensors[1], create_graph=True)
