"""A MANN's controllers with their memory against slow ones written from the paper's equations, slot by slot."""

import copy

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.kernels import least_recently_used
from metamemory.kernels.least_recently_used import Memory
from metamemory.nn.memory_network import FeedForwardMemoryNetwork, MemoryNetwork


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def linear(layer, z):
    product = layer.weight.detach().double().numpy() @ z
    return product if layer.bias is None else product + layer.bias.detach().double().numpy()


def access_by_the_equations(keys, values, gates, memory, reading, usage, decay, strength, own_slots):
    """One step of section 3.2 for one episode: keys and values, which are what is written, [R, W], gates [R], memory
    [N, W], reading [R, N], usage [N]."""
    heads, slots = len(keys), len(memory)
    in_order = sorted(range(slots), key=lambda i: (usage[i], i))
    of_head = [in_order[r : r + 1] if own_slots else in_order[:heads] for r in range(heads)]
    least_used = [[1.0 if i in of_head[r] else 0.0 for i in range(slots)] for r in range(heads)]  # eq 6
    memory = memory.copy()
    memory[in_order[0]] = 0
    writing = np.array([[s * w + (1 - s) * lu for w, lu in zip(reading[r], least_used[r], strict=True)]
                        for r, s in enumerate(gates)])  # eq 7  # fmt: skip
    for r in range(heads):
        for i in range(slots):
            memory[i] += writing[r, i] * values[r]  # eq 8, of the keys
    weights = np.zeros((heads, slots))
    for r in range(heads):
        for i in range(slots):
            lengths = np.linalg.norm(keys[r]) * np.linalg.norm(memory[i])
            weights[r, i] = np.exp(strength * (keys[r] @ memory[i]) / (lengths + 1e-6))  # eq 2
        weights[r] /= weights[r].sum()  # eq 3
    return weights @ memory, memory, weights, decay * usage + weights.sum(axis=0) + writing.sum(axis=0)  # eqs 4, 5


def by_the_equations(network, x, controller):
    """Outputs [T, H + R W] of one episode x [T, features]."""
    heads, width, slots = network.heads, network.width, network.slots
    hidden = network.to_access.in_features
    h, c, reads = np.zeros(hidden), np.zeros(hidden), np.zeros(heads * width)
    memory, reading = np.full((slots, width), network.initial_memory), np.zeros((heads, slots))
    usage, outputs = np.zeros(slots), []
    for x_t in x:
        if controller == "lstm":
            gates = linear(network.from_input, x_t) + linear(network.from_state, np.concatenate([h, reads]))
            i, f, o, g = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            h = np.tanh(linear(network.from_input, x_t) + linear(network.from_reads, reads))
        told = linear(network.to_access, h)
        keys, *values = np.tanh(told[:-heads]).reshape(-1, heads, width)
        s, values = sigmoid(told[-heads:]), values[0] if values else keys
        rule = network.decay, network.strength, network.own_slots
        read, memory, reading, usage = access_by_the_equations(keys, values, s, memory, reading, usage, *rule)
        reads = read.reshape(-1)
        outputs.append(np.concatenate([h, reads]))
    return np.array(outputs)


OTHERWISE = {  # than printed
    "as printed": {},
    "values": {"values": True},
    "slots of their own": {"own_slots": True},
    "memory of 0.01": {"initial_memory": 0.01},
    "all of it": {"values": True, "own_slots": True, "initial_memory": 1e-6},
}


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["C", "formulas"])
@pytest.mark.parametrize("strength", [1.0, 10.0])
@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_an_episode_is_that_of_the_paper(controller, dtype, strength, otherwise):
    torch.manual_seed(0)
    sizes = {"in_features": 5, "hidden": 7, "slots": 6, "width": 4, "heads": 2, "decay": 0.9, "strength": strength}
    sizes |= OTHERWISE[otherwise]
    if controller == "lstm":
        network = MemoryNetwork(**sizes, forget_bias=1.0).to(dtype)
    else:
        network = FeedForwardMemoryNetwork(**sizes).to(dtype)
    x = torch.randn(12, 2, 5, dtype=dtype)  # longer than there are slots: they are taken again
    found, _ = network(x, network.initial_state(2))
    for b in range(2):
        expected = by_the_equations(network, x[:, b].double().numpy(), controller)
        np.testing.assert_allclose(
            found[:, b].detach().numpy(), expected, atol=1e-5 if dtype == torch.float32 else 1e-9
        )


@pytest.mark.parametrize("otherwise", OTHERWISE)
@pytest.mark.parametrize("strength", [1.0, 10.0])
def test_each_difference_has_the_gradients_of_its_equations(otherwise, strength):
    """In C, against the equations' own slopes: of the sum of an episode's outputs, along a direction of the weights."""
    torch.manual_seed(1)
    sizes = {"in_features": 3, "hidden": 5, "slots": 9, "width": 4, "heads": 2, "decay": 0.9, "strength": strength}
    network = MemoryNetwork(**sizes, forget_bias=1.0, **OTHERWISE[otherwise] | {"initial_memory": 0.1})
    x = torch.randn(6, 1, 3)
    outputs, _ = network(x, network.initial_state(1))
    outputs[-1].sum().backward()
    weight = network.to_access.weight
    wide, direction = copy.deepcopy(network).double(), torch.randn_like(weight).double()
    ends = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            wide.to_access.weight.copy_(weight.double() + step * direction)
        ends.append(by_the_equations(wide, x[:, 0].double().numpy(), "lstm")[-1].sum())
    slope = (weight.grad.double() * direction).sum().item()
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-4) and abs(slope) > 1e-2


@pytest.mark.parametrize(("values", "own_slots"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["C", "formulas"])
def test_the_access_has_the_gradients_of_its_formulas(dtype, values, own_slots):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_()

    keys, logits, slots, scores = draw(2, 3, 4), draw(2, 3), draw(2, 4, 8), draw(2, 3, 8)
    written = draw(2, 3, 4) if values else None
    wanted = (keys, logits, slots, scores, *([written] if values else []))
    usage = torch.stack([torch.randperm(8, generator=generator) for _ in range(2)]).to(dtype)
    results = []
    for operation in (least_recently_used.access, least_recently_used.access_reference):
        memory = Memory(slots, scores.softmax(dim=-1), usage)
        reads, after, *_ = operation(keys, logits.sigmoid(), memory, 0.9, 2.0, written, own_slots)
        more = None if written is None else written.sin()
        reads, after, *_ = operation(
            reads.tanh(), logits.cos().sigmoid(), after, 0.9, 2.0, more, own_slots
        )  # once more
        loss = reads.sin().sum() + after.slots.cos().sum() + after.reading.square().sum()
        results.append((reads, *after, *torch.autograd.grad(loss, wanted)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_gradient_of_a_gradient_is_refused():
    keys = torch.randn(1, 2, 3, requires_grad=True)
    memory = Memory(torch.randn(1, 3, 4), torch.full((1, 2, 4), 0.25), torch.arange(4.0)[None])
    reads, _ = least_recently_used.access(keys, torch.full((1, 2), 0.5), memory, 0.9, 2.0)
    with pytest.raises(UserError, match="once_differentiable"):
        torch.autograd.grad(reads.square().sum(), keys, create_graph=True)
