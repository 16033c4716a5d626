"""Answers when some classes have no prototype yet, against the formula written for one sample."""

import math

import pytest
import torch
from torch.nn import functional as fn

from metamemory.nn.novelty import logits_with_novelty


def by_the_formula(d, known, beta, gamma):
    """p(k) of one sample, from lists."""
    seen = [k for k in range(len(d)) if known[k]]
    if not seen:
        return [1 / len(d)] * len(d)
    u = 1 / (1 + math.exp(-(min(d[k] for k in seen) - beta) / gamma))
    if len(seen) == len(d):
        u = 0
    total = sum(math.exp(-d[k]) for k in seen)
    unseen = len(d) - len(seen)
    return [(1 - u) * math.exp(-d[k]) / total if known[k] else u / unseen for k in range(len(d))]


@pytest.mark.parametrize("n_known", range(5))
def test_seen_classes_share_what_unseen_ones_leave(n_known):
    torch.manual_seed(n_known)
    d, beta, gamma = torch.rand(6, 4) * 5, torch.rand(6) * 4, torch.rand(6) + 0.5
    known = torch.rand(6, 4).argsort(dim=1) < n_known
    p = logits_with_novelty(d, known, beta, gamma).softmax(dim=-1)
    for b in range(6):
        expected = by_the_formula(d[b].tolist(), known[b].tolist(), beta[b].item(), gamma[b].item())
        torch.testing.assert_close(p[b], torch.tensor(expected))


def test_its_loss_is_that_of_known_or_unknown_and_of_the_name():
    """As in Ren et al.: a binary cross entropy, and a cross entropy over the names of known classes only."""
    d, known = torch.tensor([[1.0, 2.5, 9.0, 9.0]]), torch.tensor([[True, True, False, False]])
    radius = torch.tensor([(1.0 - 3.0) / 2.0])
    logits = logits_with_novelty(d, known, torch.tensor(3.0), torch.tensor(2.0))
    is_unknown = fn.binary_cross_entropy_with_logits(radius, torch.ones(1))
    is_known = fn.binary_cross_entropy_with_logits(radius, torch.zeros(1))
    named = fn.cross_entropy(-d[:, :2], torch.tensor([1]))
    torch.testing.assert_close(fn.cross_entropy(logits, torch.tensor([1])), is_known + named)
    torch.testing.assert_close(fn.cross_entropy(logits, torch.tensor([3])), is_unknown + math.log(2))


def test_gradients_are_finite_before_anything_is_known():
    d, beta, gamma = (torch.ones(shape, requires_grad=True) for shape in ((1, 3), (1,), (1,)))
    logits = logits_with_novelty(d, torch.zeros(1, 3, dtype=torch.bool), beta, gamma)
    gradients = torch.autograd.grad(logits[0, 0], (d, beta, gamma))
    assert all(torch.equal(each, torch.zeros_like(each)) for each in gradients)
