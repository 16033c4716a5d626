"""A MANN's controllers with their memory against slow ones written from the paper's equations, slot by slot."""

import numpy as np
import pytest
import torch

from metamemory.kernels import least_recently_used
from metamemory.kernels.least_recently_used import Memory
from metamemory.nn.memory_network import FeedForwardMemoryNetwork, MemoryNetwork


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def linear(layer, z):
    product = layer.weight.detach().double().numpy() @ z
    return product if layer.bias is None else product + layer.bias.detach().double().numpy()


def access_by_the_equations(keys, gates, memory, reading, usage, decay, strength):
    """One step of section 3.2 for one episode: keys [R, W], gates [R], memory [N, W], reading [R, N], usage [N]."""
    heads, slots = len(keys), len(memory)
    in_order = sorted(range(slots), key=lambda i: (usage[i], i))
    least_used = [1.0 if i in in_order[:heads] else 0.0 for i in range(slots)]  # eq 6
    memory = memory.copy()
    memory[in_order[0]] = 0
    writing = np.array([[s * w + (1 - s) * lu for w, lu in zip(reading[r], least_used, strict=True)]
                        for r, s in enumerate(gates)])  # eq 7  # fmt: skip
    for r in range(heads):
        for i in range(slots):
            memory[i] += writing[r, i] * keys[r]  # eq 8
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
    memory, reading, usage, outputs = np.zeros((slots, width)), np.zeros((heads, slots)), np.zeros(slots), []
    for x_t in x:
        if controller == "lstm":
            gates = linear(network.from_input, x_t) + linear(network.from_state, np.concatenate([h, reads]))
            i, f, o, g = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            h = np.tanh(linear(network.from_input, x_t) + linear(network.from_reads, reads))
        told = linear(network.to_access, h)
        keys, s = np.tanh(told[: heads * width]).reshape(heads, width), sigmoid(told[heads * width :])
        rule = network.decay, network.strength
        read, memory, reading, usage = access_by_the_equations(keys, s, memory, reading, usage, *rule)
        reads = read.reshape(-1)
        outputs.append(np.concatenate([h, reads]))
    return np.array(outputs)


@pytest.mark.parametrize("controller", ["lstm", "feedforward"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["C", "formulas"])
@pytest.mark.parametrize("strength", [1.0, 10.0])
def test_an_episode_is_that_of_the_paper(controller, dtype, strength):
    torch.manual_seed(0)
    sizes = {"in_features": 5, "hidden": 7, "slots": 6, "width": 4, "heads": 2, "decay": 0.9, "strength": strength}
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["C", "formulas"])
def test_the_access_has_the_gradients_of_its_formulas(dtype):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_()

    keys, logits, slots, scores = draw(2, 3, 4), draw(2, 3), draw(2, 4, 8), draw(2, 3, 8)
    usage = torch.stack([torch.randperm(8, generator=generator) for _ in range(2)]).to(dtype)
    results = []
    for operation in (least_recently_used.access, least_recently_used.access_reference):
        memory = Memory(slots, scores.softmax(dim=-1), usage)
        reads, after, *_ = operation(keys, logits.sigmoid(), memory, 0.9, 2.0)
        reads, after, *_ = operation(reads.tanh(), logits.cos().sigmoid(), after, 0.9, 2.0)  # and once more from there
        loss = reads.sin().sum() + after.slots.cos().sum() + after.reading.square().sum()
        results.append((reads, *after, *torch.autograd.grad(loss, (keys, logits, slots, scores))))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_gradient_of_a_gradient_is_refused():
    keys = torch.randn(1, 2, 3, requires_grad=True)
    memory = Memory(torch.randn(1, 3, 4), torch.full((1, 2, 4), 0.25), torch.arange(4.0)[None])
    reads, _ = least_recently_used.access(keys, torch.full((1, 2), 0.5), memory, 0.9, 2.0)
    (grad,) = torch.autograd.grad(reads.square().sum(), keys, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()
