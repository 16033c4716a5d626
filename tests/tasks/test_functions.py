"""Functions come from the process that is said, and the reference is its exact posterior."""

import math

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.models.memory.mann import MANN
from metamemory.models.reference.gaussian_process import GaussianProcess
from metamemory.nn.labels import Values
from metamemory.tasks.functions import GaussianProcessFunctions, log_likelihood, shown


def task(dimensions=2, length=9, length_scale=0.7):
    return GaussianProcessFunctions(dimensions, length, length_scale, 2.0, 0.1, torch.device("cpu"))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def kernel(a, b, length_scale):
    return np.array([[math.exp(-sum((p - q) ** 2 for p, q in zip(u, v, strict=True)) / 2 / length_scale**2) for v in b]
                     for u in a])  # fmt: skip


def test_shapes_and_what_is_shown():
    episode = task().sample(3, generator())
    assert episode.x.shape == (9, 3, 2) and episode.y.shape == episode.y_seen.shape == (9, 3, 1)
    assert episode.x.abs().max() <= 2 and episode.y.dtype == torch.float32
    assert episode.y_seen[0].isnan().all() and torch.equal(episode.y_seen[1:], episode.y[:-1])
    assert episode.shot[:, 1].tolist() == list(range(9))


def test_values_have_the_covariance_of_the_kernel():
    x = torch.tensor([[-1.0], [-0.4], [0.0], [1.5]])[:, None]
    f = task(1, length_scale=0.7).functions(x.expand(-1, 40_000, -1), generator())[..., 0].double().numpy()
    np.testing.assert_allclose(np.cov(f), kernel(x[:, 0].numpy(), x[:, 0].numpy(), 0.7), atol=0.02)


def test_log_likelihood_by_hand():
    answers = torch.tensor([[[1.0, math.log(4.0)]]])
    expected = -0.5 * math.log(2 * math.pi * 4) - (3 - 1) ** 2 / (2 * 4)
    assert log_likelihood(answers, torch.tensor([[[3.0]]])).item() == pytest.approx(expected)


def test_the_reference_is_the_posterior_step_by_step():
    """Mean and variance from the formula with a matrix inverse, for every step on its own."""
    functions = task()
    episode = functions.sample(2, generator())
    learner = GaussianProcess((2,), Values(1), length_scale=0.7, noise=0.1)
    found = learner(episode.x, episode.y_seen).double().numpy()
    for b in range(2):
        x, y = episode.x[:, b].double().numpy(), episode.y[:, b, 0].double().numpy()
        for t in range(9):
            across = kernel(x[t : t + 1], x[:t], 0.7)[0] if t else np.zeros(0)
            inverse = np.linalg.inv(kernel(x[:t], x[:t], 0.7) + 0.01 * np.eye(t)) if t else np.zeros((0, 0))
            np.testing.assert_allclose(found[t, b, 0], across @ inverse @ y[:t], atol=1e-5)
            np.testing.assert_allclose(np.exp(found[t, b, 1]), 1.01 - across @ inverse @ across, atol=1e-5)


def test_the_reference_taken_step_by_step_is_the_reference():
    episode = task().sample(2, generator())
    learner = GaussianProcess((2,), Values(1), length_scale=0.7)
    whole, state = learner(episode.x, episode.y_seen), learner.initial_state(2)
    for t in range(9):
        answer, state = learner.step(episode.x[t], episode.y_seen[t], state)
        torch.testing.assert_close(answer, whole[t], rtol=1e-4, atol=1e-4)


def test_nothing_is_better_than_the_reference_where_it_is_exact():
    """Its log-likelihood is that of the whole vector of values, by the chain rule."""
    functions = task(1, 12)
    episode = functions.sample(50, generator())
    learner = GaussianProcess((1,), Values(1), length_scale=0.7)
    score = functions.score(learner, episode)
    total = 0.0
    for b in range(50):
        x, y = episode.x[:, b].double().numpy(), episode.y[:, b, 0].double()
        covariance = torch.tensor(kernel(x, x, 0.7)) + 0.01 * torch.eye(12, dtype=torch.float64)
        total += torch.distributions.MultivariateNormal(torch.zeros(12, dtype=torch.float64), covariance).log_prob(y)
    assert -score.loss.item() == pytest.approx(total.item() / 50, abs=1e-2)
    torch.manual_seed(0)
    assert functions.score(MANN((1,), Values(1), hidden=8), episode).loss > score.loss
    assert 0 < score.accuracy < 1


def test_values_are_shown_late():
    assert shown(torch.tensor([[[1.0]], [[2.0]]]))[1:].tolist() == [[[1.0]]]


def test_impossible_functions_are_refused():
    with pytest.raises(UserError, match="dimensions is 0"):
        task(0)
    with pytest.raises(UserError, match="length is 1"):
        task(1, 1)


def test_places_are_uniform_and_values_noisy():
    task = GaussianProcessFunctions(2, 6, 0.7, 3.0, 1.0, torch.device("cpu"))
    episode = task.sample(20_000, generator())
    assert episode.x.abs().max() <= 3 and episode.x.var().item() == pytest.approx(3, rel=0.02)  # (2 * 3)^2 / 12
    assert episode.y.var().item() == pytest.approx(1 + 1.0**2, rel=0.03)


def test_accuracy_is_the_explained_share_of_the_variance():
    class Halves(torch.nn.Module):
        def forward(self, x, y_seen):
            return torch.cat([episode.y / 2, torch.zeros_like(episode.y)], dim=-1)

    task = GaussianProcessFunctions(1, 6, 0.7, 2.0, 1.0, torch.device("cpu"))
    episode = task.sample(20, generator())
    expected = 1 - (episode.y / 2).square().mean().item() / 2
    assert task.score(Halves(), episode).accuracy.item() == pytest.approx(expected, rel=1e-5)
