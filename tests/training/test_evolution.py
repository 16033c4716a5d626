"""Evolution strategies on a quadratic, whose gradient and minimum are known."""

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from metamemory.errors import UserError
from metamemory.models.self_modifying.told import Told
from metamemory.tasks.episode import Score
from metamemory.training.evolution import Antithetic, Covariance

A = torch.diag(torch.tensor([1.0, 2.0, 4.0, 0.5])) + 0.1
B = torch.tensor([1.0, -2.0, 0.5, 1.0])


@dataclass(frozen=True)
class Numbers:
    x: torch.Tensor
    none: None = None


class Quadratic:
    """theta A theta / 2 + b theta, and noise that a batch and the learner draw."""

    device, length, chance = torch.device("cpu"), 1, 0.0

    def sample(self, batch, generator):
        return Numbers(torch.randn(1, batch, generator=generator))

    def answer(self, learner, episode):
        return learner.theta

    def score(self, learner, episode):
        theta = torch.cat([learner.theta, learner.more])
        noise = torch.randn(()) + 10 * episode.x.mean()
        return Score(theta @ A @ theta / 2 + B @ theta + noise, torch.tensor(0.5))


class Point(nn.Module):
    def __init__(self):
        super().__init__()
        self.theta, self.more = nn.Parameter(torch.tensor([1.0, 0.0, -1.0])), nn.Parameter(torch.tensor([2.0]))


class KeptPoint(Told, Point):
    pass


def gradients(task, count, batch):
    torch.manual_seed(0)
    generator, found = torch.Generator().manual_seed(0), []
    point = Point()
    for _ in range(count):
        point.zero_grad()
        task.score(point, task.sample(batch, generator)).loss.backward()
        found.append(torch.cat([point.theta.grad, point.more.grad]))
    return point, torch.stack(found)


def test_pairs_estimate_the_gradient():
    """Of a quadratic, differences of pairs are exact, noise common to a pair drops out, and with P of them the
    estimate's covariance is (|g|^2 + g g^T) / P."""
    pairs, count = 8, 400
    point, found = gradients(Antithetic(Quadratic(), pairs, 0.3), count, pairs)
    theta = torch.cat([point.theta, point.more]).detach()
    torch.testing.assert_close(theta, torch.tensor([1.0, 0.0, -1.0, 2.0]))
    g = A @ theta + B
    deviation = ((g.square().sum() + g.square()) / pairs).sqrt()
    assert ((found.mean(dim=0) - g).abs() < 4 * deviation / count**0.5).all()
    torch.testing.assert_close(found.std(dim=0), deviation, rtol=0.15, atol=0.0)


def test_an_optimiser_goes_down_by_it():
    torch.manual_seed(0)
    task, point, generator = Antithetic(Quadratic(), 4, 0.05), Point(), torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(point.parameters(), lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        task.score(point, task.sample(4, generator)).loss.backward()
        optimiser.step()
    minimum = -torch.linalg.solve(A, B)
    assert (torch.cat([point.theta, point.more]) - minimum).abs().max() < 0.3


def test_a_batch_is_shared_evenly():
    with pytest.raises(UserError, match="a batch has 6 episodes, which 4 pairs cannot share"):
        Antithetic(Quadratic(), 4, 0.1).score(Point(), Quadratic().sample(6, torch.Generator()))


def moved(point, task, generations, generator):
    for _ in range(generations):
        loss = task.score(point, task.sample(2, generator)).loss
        point.zero_grad()
        loss.backward()
        assert not torch.cat([point.theta.grad, point.more.grad]).any()
    return torch.cat([point.theta, point.more]).detach()


def test_covariance_finds_the_minimum_and_goes_on_where_it_stopped():
    pytest.importorskip("cma", reason="the package cma is not installed")
    torch.manual_seed(0)
    generator, point = torch.Generator().manual_seed(0), KeptPoint()
    half = moved(point, Covariance(Quadratic(), 8, 0.5, seed=1), 20, generator)
    state, draws, own = copy.deepcopy(point.state_dict()), generator.get_state(), torch.get_rng_state()
    task = Covariance(Quadratic(), 8, 0.5, seed=1)
    end = moved(point, task, 60, generator)
    assert point.told.shape == (80, 8) and not torch.equal(half, end)
    torch.testing.assert_close(end, -torch.linalg.solve(A, B), rtol=0.0, atol=0.02)

    again = KeptPoint()
    again.load_state_dict(state)
    generator.set_state(draws)
    torch.set_rng_state(own)
    assert torch.equal(moved(again, Covariance(Quadratic(), 8, 0.5, seed=1), 60, generator), end)


def test_a_generation_that_was_broken_off_is_tried_again():
    """As where an update cannot be captured on a GPU: else a strategy that is built again would draw others."""
    pytest.importorskip("cma", reason="the package cma is not installed")

    class Breaking(Quadratic):
        broken = False

        def score(self, learner, episode):
            if len(learner.told) == 3 and not self.broken:
                self.broken = True
                raise RuntimeError
            return super().score(learner, episode)

    ends = []
    for base in (Quadratic(), Breaking()):
        torch.manual_seed(0)
        generator, point = torch.Generator().manual_seed(0), KeptPoint()
        task = Covariance(base, 8, 0.5, seed=1)
        moved(point, task, 3, generator)
        draws, own = generator.get_state(), torch.get_rng_state()
        if isinstance(base, Breaking):
            with pytest.raises(RuntimeError):
                moved(point, task, 1, generator)
            generator.set_state(draws)
            torch.set_rng_state(own)
        moved(point, task, 2, generator)
        ends.append(moved(point, Covariance(base, 8, 0.5, seed=1), 5, generator))
    assert torch.equal(*ends)


def test_without_the_package_it_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cma", None)
    with pytest.raises(UserError, match="needs the package cma; `pip install cma`"):
        Covariance(Quadratic(), 8, 0.5, seed=1)
