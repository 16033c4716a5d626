"""Exact posteriors against NumPy: one process by a matrix inverse, a switch by a sum over many places of it."""

import numpy as np
import pytest
import torch

from metamemory.models.reference.exact_process import ExactProcess
from metamemory.models.reference.fitted_process import JITTER, FittedProcess
from metamemory.nn.labels import Values
from metamemory.tasks.context_functions import ContextFunctions
from metamemory.tasks.context_target import log_density

REACH, NOISE = 2.0, 0.1


def kernel(a, b, length_scale):
    return np.exp(-((np.subtract.outer(a, b) / length_scale) ** 2) / 2)


def covariance(x, length_scale):
    return kernel(x, x, length_scale) + NOISE**2 * np.eye(len(x))


def posterior(x, y, place, length_scale):
    """Mean and variance of the value at a place."""
    across, inverse = kernel(np.array([place]), x, length_scale)[0], np.linalg.inv(covariance(x, length_scale))
    return across @ inverse @ y, 1 + NOISE**2 - across @ inverse @ across


def evidence(x, y, length_scale):
    of_all = covariance(x, length_scale)
    return -(y @ np.linalg.inv(of_all) @ y + np.log(np.linalg.det(2 * np.pi * of_all))) / 2


def switching(x, y, places, length_scales, switches):
    """The mixture over places of the switch that are equally likely, by its mean and variance at each place."""
    weights, means, variances = [], [], []
    for s in switches:
        sides = [(side, scale) for side, scale in zip((x < s, x >= s), length_scales, strict=True)]
        weights.append(sum(evidence(x[side], y[side], scale) for side, scale in sides))
        answers = [
            posterior(x[side], y[side], place, scale)
            for place in places
            for side, scale in [sides[0] if place < s else sides[1]]
        ]
        means.append([mean for mean, _ in answers])
        variances.append([variance for _, variance in answers])
    share, means, variances = np.exp(np.array(weights) - max(weights)), np.array(means), np.array(variances)
    share = share / share.sum()
    mean = share @ means
    return mean, share @ (variances + means**2) - mean**2


def known(count, seed=0, unknown=()):
    """[count, 1, 1] places and values, and five places asked for."""
    rng = np.random.default_rng(seed)
    x, places = rng.uniform(-REACH, REACH, count), rng.uniform(-REACH, REACH, 5)
    y = np.sin(2 * x) + NOISE * rng.standard_normal(count)
    tensors = [torch.tensor(each)[:, None, None] for each in (x, y, places)]
    for at in unknown:
        tensors[1][at] = torch.nan
    there = [n for n in range(count) if n not in unknown]
    return tensors, x[there], y[there], places


def answered(learner, tensors):
    found = learner.answer_queries(*tensors)[:, 0].double().numpy()
    return found[:, 0], np.exp(found[:, 1])


@pytest.mark.parametrize(("count", "unknown"), [(0, ()), (1, ()), (7, ()), (7, (0, 3)), (3, (0, 1, 2))])
def test_one_process_is_its_formula(count, unknown):
    tensors, x, y, places = known(count, unknown=unknown)
    mean, variance = answered(ExactProcess((1,), Values(1), [0.7], NOISE, REACH), tensors)
    expected = np.array([posterior(x, y, place, 0.7) for place in places])
    np.testing.assert_allclose(mean, expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(variance, expected[:, 1], rtol=1e-4)


@pytest.mark.parametrize(("count", "unknown"), [(0, ()), (1, ()), (5, ()), (6, (1, 2))])
def test_a_switch_is_the_sum_over_its_places(count, unknown):
    tensors, x, y, places = known(count, unknown=unknown)
    mean, variance = answered(ExactProcess((1,), Values(1), [0.9, 0.2], NOISE, REACH), tensors)
    switches = -REACH + 2 * REACH * (np.arange(1000) + 0.5) / 1000
    expected = switching(x, y, places, (0.9, 0.2), switches)
    np.testing.assert_allclose(mean, expected[0], atol=5e-3)
    np.testing.assert_allclose(variance, expected[1], atol=2e-3)


def test_two_equal_kernels_still_switch():
    """Values on the other side tell nothing: the answer is not that of one process."""
    tensors, *_ = known(6)
    one, two = (answered(ExactProcess((1,), Values(1), each, NOISE, REACH), tensors)[1] for each in ([0.7], [0.7, 0.7]))
    assert (two > one).all()


def test_the_context_has_no_order():
    tensors, *_ = known(6)
    learner, order = ExactProcess((1,), Values(1), [0.9, 0.2], NOISE, REACH), [4, 1, 0, 5, 2, 3]
    shuffled = [tensors[0][order], tensors[1][order], tensors[2]]
    for one, other in zip(answered(learner, tensors), answered(learner, shuffled), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("learner", [ExactProcess((1,), Values(1), [0.9, 0.2]), FittedProcess((1,), Values(1))])
@torch.no_grad()
def test_a_stream_is_a_growing_context(learner):
    (x, y, _), *_ = known(5)
    x, y, state = x.float(), y.float(), learner.initial_state(1)
    for t in range(5):
        answer, state = learner.step(x[t], y[t - 1] if t else torch.full_like(y[0], torch.nan), state)
        torch.testing.assert_close(answer, learner.answer_queries(x[:t], y[:t], x[t : t + 1])[0])


@pytest.mark.parametrize("length_scales", [[0.4], [0.6, 0.2]])
def test_no_other_answer_has_a_higher_likelihood(length_scales):
    """On functions of the process itself, others' means and deviations do worse, whichever way they differ."""
    task = ContextFunctions(12, length_scales, REACH, NOISE, torch.device("cpu"), 4, 4)
    learner = ExactProcess((1,), Values(1), length_scales, NOISE, REACH)
    episode = task.sample(3000, torch.Generator().manual_seed(0))
    answers, y = task.answer(learner, episode)[4:], episode.query_y[4:]
    best = log_density(answers, y).mean()
    mean, log_variance = answers.chunk(2, dim=-1)
    assert abs(((y - mean).square() / log_variance.exp()).mean() - 1) < 0.05  # variances are right on average
    for other in (torch.cat([0.9 * mean, log_variance], -1), torch.cat([mean, log_variance + 0.2], -1),
                  torch.cat([mean, log_variance - 0.2], -1), torch.cat([mean + 0.1, log_variance], -1)):  # fmt: skip
        assert log_density(other, y).mean() < best


def test_a_fitted_process_is_its_formula_and_learns_its_parameters():
    learner = FittedProcess((2,), Values(3)).double()
    rng = np.random.default_rng(0)
    x, y, places = rng.uniform(size=(6, 1, 2)), rng.uniform(size=(6, 1, 3)), rng.uniform(size=(4, 1, 2))
    y[2] = np.nan
    found = learner.answer_queries(*map(torch.tensor, (x, y, places)))[:, 0].detach().double().numpy()
    there = [0, 1, 3, 4, 5]
    x, y = x[there, 0], y[there, 0]

    def of(a, b):
        return 0.3**2 * np.exp(-np.linalg.norm(a[:, None] - b[None], axis=-1) / 0.3)

    across, inverse = of(places[:, 0], x), np.linalg.inv(of(x, x) + (0.1**2 + JITTER) * np.eye(5))
    np.testing.assert_allclose(found[:, :3], 0.5 + across @ inverse @ (y - 0.5), atol=1e-5)
    variance = 0.3**2 + 0.1**2 + JITTER - np.einsum("mn,nk,mk->m", across, inverse, across)
    np.testing.assert_allclose(np.exp(found[:, 3:]), np.repeat(variance[:, None], 3, axis=1), rtol=1e-4)
    answers = learner.answer_queries(*(torch.tensor(each)[:, None] for each in (x, y)), torch.tensor(places))
    answers.square().sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in learner.parameters())
