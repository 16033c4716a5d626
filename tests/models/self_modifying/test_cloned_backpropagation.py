"""Synapses that compute back-propagation: the network around them is gradient descent, and they can be trained to."""

import math

import torch
from torch.nn import functional as fn

from metamemory.models import TaskDescription, build
from metamemory.tasks.backpropagation import Backpropagation

INPUTS, WAYS, RATE = 5, 3, 0.1


def rule(**settings):
    torch.manual_seed(0)
    return build("cloned_backpropagation", TaskDescription((INPUTS,), WAYS), {"minibatch": 2, **settings}).eval()


def exact(rule):
    """The same with synapses that are the formulas."""

    def synapses(x, e, kept):
        w, b = kept.unbind(dim=-1)
        t, e = x.tanh()[:, :, None], e[:, None]
        said = torch.stack([t * w + b, (1 - t**2) * w * e], dim=-1)
        return said, torch.stack([w - RATE * e * t, b - RATE * e.expand_as(b)], dim=-1)

    rule._pass = synapses
    for name, head in (("forward_head", [1.0, 0.0]), ("backward_head", [0.0, 1.0])):
        setattr(rule, name, torch.nn.Parameter(torch.tensor(head)))
    return rule


@torch.no_grad()
def test_with_exact_synapses_a_network_is_gradient_descent():
    """Against autograd: each layer's change is its gradient, times a rate of its own that sizes say."""
    found = exact(rule(hidden=[4]))
    network = found.start(2)
    x, y = torch.randn(1, 2, INPUTS), torch.tensor([[0, 2]])
    with torch.enable_grad():
        leaves = [each.clone().requires_grad_() for each in network]
        read = x[0]
        for kept in leaves:
            w, b = kept.unbind(dim=-1)
            read = (read.tanh()[:, :, None] * w + b).sum(dim=1) / kept.shape[1] ** 0.5
        gradients = torch.autograd.grad(fn.cross_entropy(read, y[0], reduction="sum"), leaves)
    logits, after = found.learn(x, y, network)
    torch.testing.assert_close(logits[0], read)
    rates = RATE * INPUTS**0.5 * (4 / WAYS) ** 0.5, RATE * 4**0.5
    for kept, new, gradient, rate in zip(network, after, gradients, rates, strict=True):
        torch.testing.assert_close(new, kept - rate * gradient)


@torch.no_grad()
def test_synapses_of_a_network_are_single_synapses():
    """Each alone, and sums written out."""
    found = rule()
    network, x, y = found.start(2), torch.randn(1, 2, INPUTS), torch.tensor([[1, 0]])
    logits, after = found.learn(x, y, network)
    for which in range(2):
        error = logits[0, which].softmax(dim=-1) - fn.one_hot(y[0, which], WAYS)
        for j in range(WAYS):
            w, b = network[0][which, :, j].unbind(dim=-1)
            said, *_ = found.synapse(x[0, which], torch.zeros(INPUTS), w, b)
            torch.testing.assert_close(said.sum() / math.sqrt(INPUTS), logits[0, which, j])
            _, _, *new = found.synapse(x[0, which], error[j].expand(INPUTS), w, b)
            torch.testing.assert_close(torch.stack(new, dim=-1), after[0][which, :, j])


def test_it_can_be_trained_to_compute_back_propagation():
    found, task, generator = rule().train(), Backpropagation(torch.device("cpu"), RATE), torch.Generator()
    optimiser = torch.optim.Adam(found.parameters(), lr=0.02)
    generator.manual_seed(0)
    for _ in range(250):
        optimiser.zero_grad()
        score = task.score(found, task.sample(256, generator))
        score.loss.backward()
        torch.nn.utils.clip_grad_norm_(found.parameters(), 10.0)
        optimiser.step()
    episode = task.sample(1000, generator)
    answers, wanted = task.answer(found, episode), torch.stack(task.wanted(episode))
    error = (answers - wanted).square().mean(dim=1).sqrt() / wanted.std(dim=1)
    assert (error < 0.35).all(), error
