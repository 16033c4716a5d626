"""OPN against the running average, written for one sample at a time."""

import math

import numpy as np
import pytest
import torch

from metamemory.models.metric.opn import OPN
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.flops import flops_per_step


def by_the_equations(e, y_seen, delay, n_way, beta, gamma):
    """e [T, D] of one episode and the labels shown with them -> answers [T, n_way], probabilities."""
    p, n, answers = np.zeros((n_way, e.shape[1])), [0] * n_way, []
    for t in range(len(e)):
        k = y_seen[t]
        if k >= 0:
            p[k] = (p[k] * n[k] + e[t - delay]) / (n[k] + 1)
            n[k] += 1
        seen = [k for k in range(n_way) if n[k]]
        if not seen:
            answers.append(np.full(n_way, 1 / n_way))
            continue
        d = ((e[t] - p) ** 2).sum(axis=1)
        u = 1 / (1 + math.exp(-(d[seen].min() - beta) / gamma)) if len(seen) < n_way else 0
        answer = np.full(n_way, u / max(n_way - len(seen), 1))
        answer[seen] = (1 - u) * np.exp(-d[seen]) / np.exp(-d[seen]).sum()
        answers.append(answer)
    return np.stack(answers)


@torch.no_grad()
@pytest.mark.parametrize("delay", [1, 3])
def test_forward_equals_the_equations(images, delay):
    torch.manual_seed(0)
    learner = OPN((1, 8, 8), 3, delay, filters=8).eval().double()
    learner.log_gamma.fill_(0.7)
    learner.encoder.blocks[0].weight.mul_(5)  # distances around beta
    learner.beta.fill_(1.0)
    episode = OnlineFewShot(images, 3, 4, delay).sample(2, torch.Generator().manual_seed(0))
    x, y_seen = episode.x.double(), episode.y_seen.clone()
    y_seen[6] = -1  # a label that never comes
    p = learner(x, y_seen).softmax(dim=-1)
    for b in range(2):
        e = learner.encoder(x[:, b]).numpy()
        expected = by_the_equations(e, y_seen[:, b].tolist(), delay, 3, 1.0, math.exp(0.7))
        np.testing.assert_allclose(p[:, b].numpy(), expected, rtol=1e-6, atol=1e-9)


def test_a_fresh_learner_takes_all_within_a_radius_of_10_for_known():
    learner = OPN((1, 8, 8), n_way=3, filters=4)
    assert (learner.beta.item(), learner.log_gamma.exp().item()) == (10, 1)


def test_parameters_and_flops_are_those_of_the_encoder():
    learner = OPN((1, 28, 28), n_way=5)
    convolutions = [c_in * 64 * 9 for c_in in (1, 64, 64, 64)]
    normalisations, radius = 4 * 2 * 64, 2
    assert sum(each.numel() for each in learner.parameters()) == sum(convolutions) + normalisations + radius
    pixels = [28 * 28, 14 * 14, 7 * 7, 3 * 3]
    flops = 2 * sum(weights * area for weights, area in zip(convolutions, pixels, strict=True))
    assert flops_per_step(learner, (1, 28, 28)) == flops
