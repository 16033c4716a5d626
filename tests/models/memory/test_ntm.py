"""The Neural Turing Machine against a slow one written from the paper's equations."""

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.models.memory.ntm import NTM
from metamemory.nn.addressing import SHORTEST
from metamemory.training.flops import flops_per_step

SETTINGS = [{}, {"read_heads": 3}, {"read_heads": 2, "write_heads": 2, "reach": 2}, {"reach": 0}]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softplus(z):
    return np.log1p(np.exp(z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


def linear(layer, z):
    product = layer.weight.detach().numpy() @ z
    return product if layer.bias is None else product + layer.bias.detach().numpy()


def head_weights(parameters, memory, previous, reach):
    """Equations 5 to 9 of Graves et al. 2014 for one head, row by row. parameters: what the head is told by h_t."""
    n, width = memory.shape
    k, rest = parameters[:width], parameters[width:]
    beta, g, s, gamma = softplus(rest[0]), sigmoid(rest[1]), softmax(rest[2:-1]), 1 + softplus(rest[-1])
    length = [np.sqrt(v @ v + SHORTEST**2) for v in (k, *memory)]
    content = softmax(np.array([beta * (k @ memory[i]) / (length[0] * length[1 + i]) for i in range(n)]))
    gated = g * content + (1 - g) * previous
    shifted = np.zeros(n)
    for i in range(n):
        for by in range(-reach, reach + 1):
            shifted[i] += gated[(i - by) % n] * s[by + reach]
    return shifted**gamma / (shifted**gamma).sum()


def by_the_equations(ntm, x, y_seen):
    """One episode: x [T, pixels], y_seen [T] -> logits [T, K], and the memory at its end."""
    hidden, heads, reach = ntm.hidden, ntm.write_heads + ntm.read_heads, ntm.address_sizes[3] // 2
    h, c, memory = np.zeros(hidden), np.zeros(hidden), np.zeros((ntm.rows, ntm.width))
    weights = [np.eye(ntm.rows)[0] for _ in range(heads)]
    reads, logits = np.zeros(ntm.read_heads * ntm.width), []
    for x_t, y_t in zip(x, y_seen, strict=True):
        label = np.array([float(y_t == way) for way in range(ntm.labels.n_way)])
        gates = linear(ntm.from_input, np.concatenate([x_t, label]))
        gates = gates + linear(ntm.from_before, np.concatenate([h, reads]))
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        told = np.split(linear(ntm.address, h), heads)
        changes = np.split(linear(ntm.erase_add, h), ntm.write_heads)
        for v in range(ntm.write_heads):
            weights[v] = head_weights(told[v], memory, weights[v], reach)
        memory = memory.copy()
        for v, change in enumerate(changes):
            erase = sigmoid(change[: ntm.width])
            for row in range(ntm.rows):
                memory[row] *= 1 - weights[v][row] * erase
        for v, change in enumerate(changes):
            add = np.tanh(change[ntm.width :])
            for row in range(ntm.rows):
                memory[row] += weights[v][row] * add
        read = []
        for v in range(ntm.write_heads, heads):
            weights[v] = head_weights(told[v], memory, weights[v], reach)
            read.append(sum(weights[v][row] * memory[row] for row in range(ntm.rows)))
        reads = np.concatenate(read)
        logits.append(linear(ntm.classifier, np.concatenate([h, reads])))
    return np.array(logits), memory


@torch.no_grad()
@pytest.mark.parametrize("settings", SETTINGS)
def test_an_episode_equals_the_equations(settings):
    torch.manual_seed(0)
    ntm = NTM((1, 4, 4), 3, hidden=7, rows=6, width=5, **settings).double()
    for parameter in ntm.parameters():
        parameter.mul_(3)  # so that gates, shifts and strengths are not all in the middle of their range
    x, y_seen = torch.rand(9, 2, 1, 4, 4).double(), torch.randint(-1, 3, (9, 2))
    logits = ntm(x, y_seen)
    state = ntm.initial_state(2)
    for t in range(9):
        first, state = ntm.step(x[t], y_seen[t], state)
        torch.testing.assert_close(first, logits[t])
    for b in range(2):
        expected, memory = by_the_equations(ntm, x[:, b].flatten(1).numpy(), y_seen[:, b].numpy())
        np.testing.assert_allclose(logits[:, b].numpy(), expected, rtol=1e-9)
        np.testing.assert_allclose(state.memory[b].numpy(), memory, rtol=1e-9)


@pytest.mark.parametrize("settings", SETTINGS)
def test_parameters_and_flops_are_those_of_the_closed_formulas(settings):
    hidden, n, width, ways, pixels = 20, 16, 6, 5, 64
    reads, writes = settings.get("read_heads", 1), settings.get("write_heads", 1)
    ntm = NTM((1, 8, 8), ways, hidden, n, width, **settings)
    outs = (reads + writes) * (width + 3 + 2 * settings.get("reach", 1) + 1) + writes * 2 * width
    weights = 4 * hidden * (pixels + ways + hidden + reads * width) + hidden * outs + ways * (hidden + reads * width)
    assert sum(each.numel() for each in ntm.parameters()) == weights + 4 * hidden + outs + ways
    memory = n * width * (reads + writes) + n * width * (reads + writes)  # similarities; what is added and read
    assert flops_per_step(ntm, (1, 8, 8)) == 2 * (weights + memory)


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="read_heads is 0, .* from 1 "):
        NTM((1, 8, 8), 3, read_heads=0)
    with pytest.raises(UserError, match="reach is 4 and must be from 0 to 3"):
        NTM((1, 8, 8), 3, rows=8, reach=4)
