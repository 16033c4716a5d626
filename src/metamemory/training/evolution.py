"""Evolution strategies in place of gradients: tasks that score a learner by what becomes of it when its weights move.

A learner is trained as ever, by updates on batches of episodes. What is different is the task, which wraps another one
and needs only the values of its loss:

    Antithetic    the loss that it gives has the gradient that is estimated of pairs of mirrored steps
                      g = 1/P sum_p (L(theta + s n_p) - L(theta - s n_p)) / (2 s) n_p        n_p normally distributed
                  and an optimiser does the rest (Salimans et al. 2017)
    Covariance    it moves the learner itself, to the mean of a CMA-ES (Hansen 2016; package `cma`), and the loss that
                  it gives has no gradient

What is drawn at random in a learner, as new networks are, is the same for both of a pair, and for all of a generation.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from metamemory.errors import UserError
from metamemory.tasks.episode import Score, Task

LOST = 1e6  # the loss of weights with which it is no number


class Evolved:
    """A task that asks what another one asks; only its `score` is its own."""

    def __init__(self, task: Task):
        self.task = task
        self.device, self.length, self.chance = task.device, task.length, task.chance
        self.answer: Callable[..., Tensor] = task.answer

    def __str__(self) -> str:
        return str(self.task)

    def sample(self, batch: int, generator: Generator) -> Any:
        return self.task.sample(batch, generator)


class Antithetic(Evolved):
    """Pairs of mirrored steps.

    Args:
        task: whose loss is to become small.
        pairs: P, each of which has an equal part of the episodes of a batch.
        deviation: s, of a step.

    Raises:
        UserError: (when a batch is scored) it has fewer episodes than there are pairs, or parts would not be equal.
    """

    def __init__(self, task: Task, pairs: int, deviation: float):
        super().__init__(task)
        self.pairs, self.deviation = pairs, deviation

    def score(self, learner: nn.Module, episode: Any) -> Score:
        """The mean over all that was tried; its gradient is g."""
        theta = parameters_to_vector(learner.parameters()).detach()
        gradient, losses, accuracies = torch.zeros_like(theta), [], []
        for part in _parts(episode, self.pairs):
            step = torch.randn(theta.shape, dtype=theta.dtype).to(theta.device)
            with _same_draws() as again:
                up = _tried(learner, theta + self.deviation * step, self.task, part)
                again()
                down = _tried(learner, theta - self.deviation * step, self.task, part)
            gradient += (up.loss - down.loss) / (2 * self.deviation) * step / self.pairs
            losses += [up.loss, down.loss]
            accuracies += [up.accuracy, down.accuracy]
        vector_to_parameters(theta, learner.parameters())
        linear = gradient @ parameters_to_vector(learner.parameters())
        return Score(torch.stack(losses).mean() + linear - linear.detach(), torch.stack(accuracies).mean())


class Covariance(Evolved):
    """CMA-ES, of a learner that keeps what the strategy was told (`models.self_modifying.told`).

    The strategy is deterministic: from its seed and all that it was told it is built again where a training goes on.

    Args:
        task: whose loss is to become small.
        population: of a generation; all are tried on the same episodes.
        deviation: of the first steps.
        seed: of the strategy's own random numbers.

    Raises:
        UserError: the package `cma` is not installed.
    """

    def __init__(self, task: Task, population: int, deviation: float, seed: int):
        super().__init__(task)
        require_cma()
        self.population, self.deviation, self.seed = population, deviation, seed
        self.strategy: Any = None
        self.asked: Any = None  # candidates of a generation that was broken off, as the capture of an update is

    def score(self, learner: nn.Module, episode: Any) -> Score:
        """The mean over a generation; the learner is moved to the strategy's new mean."""
        strategy = self._strategy(learner)
        candidates, scores = strategy.ask() if self.asked is None else self.asked, []
        self.asked = candidates
        theta = parameters_to_vector(learner.parameters()).detach()
        with _same_draws() as again:
            for candidate in candidates:
                again()
                scores.append(_tried(learner, theta.new_tensor(np.asarray(candidate)), self.task, episode))
        losses = torch.stack([each.loss for each in scores]).double().cpu()
        strategy.tell(candidates, losses.tolist())
        self.asked = None
        learner.told = torch.cat([learner.told.view(-1, len(losses)), losses[None]])
        vector_to_parameters(theta.new_tensor(strategy.mean), learner.parameters())
        still = 0 * sum(each.sum() for each in learner.parameters())  # an optimiser finds nothing to do
        mean = torch.stack([each.loss for each in scores]).mean()
        return Score(mean + still, torch.stack([each.accuracy for each in scores]).mean())

    def _strategy(self, learner: nn.Module) -> Any:
        """As it is after all that the learner's strategy was told."""
        if self.strategy is None or self.strategy.countiter != len(learner.told):
            import cma

            random = np.random.RandomState(self.seed)
            options = {
                "popsize": self.population,
                "randn": lambda *shape: random.standard_normal(shape),
                "seed": np.nan,
                "verbose": -9,
            }
            self.strategy = cma.CMAEvolutionStrategy(learner.origin.double().tolist(), self.deviation, options)
            for losses in learner.told:
                self.strategy.tell(self.strategy.ask(), losses.tolist())
        return self.strategy


def require_cma() -> None:
    """
    Raises:
        UserError: the package is not installed.
    """
    try:
        import cma  # noqa: F401
    except ImportError:
        raise UserError("evolution: the covariance strategy needs the package cma; `pip install cma`") from None


@torch.no_grad()
def _tried(learner: nn.Module, theta: Tensor, task: Task, episode: Any) -> Score:
    """The score with other weights, which the learner keeps."""
    vector_to_parameters(theta, learner.parameters())
    loss, accuracy = task.score(learner, episode)
    return Score(loss.nan_to_num(LOST, LOST, LOST), accuracy)


def _parts(episode: Any, count: int) -> Iterator[Any]:
    """Batches of equal parts of the episodes of a batch."""
    values = {each.name: getattr(episode, each.name) for each in fields(episode)}
    batch = next(iter(values.values())).shape[1]
    if batch % count:
        raise UserError(f"evolution: a batch has {batch} episodes, which {count} pairs cannot share; see training")
    for number in range(count):
        chosen = slice(number * batch // count, (number + 1) * batch // count)
        yield type(episode)(**{name: value if value is None else value[:, chosen] for name, value in values.items()})


@contextmanager
def _same_draws() -> Iterator[Callable[[], None]]:
    """Gives what sets the global generators back to how they were."""
    cpu = torch.get_rng_state()
    gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def again() -> None:
        torch.set_rng_state(cpu)
        if gpu:
            torch.cuda.set_rng_state_all(gpu)

    yield again
