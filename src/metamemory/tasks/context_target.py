"""Regression from a context (Garnelo et al. 2018): some values of a function are known, and all are asked for.

    context                                            target                          (5 points, 2 of them known)
    support_x   x_0   x_1   x_2   x_3     places       query_x   x_0   x_1   x_2   x_3   x_4
    support_y   y_0   y_1   null  null    values       query_y   y_0   y_1   y_2   y_3   y_4

Each episode knows a number of values of its own, drawn uniformly; in its context there is room for the most, and what
it does not know is null, which is nan. So every batch has the same shape. What is known is asked for as well, as their
loss does. Of an episode, the points from `most_context` on are never known.
"""

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn

from metamemory.errors import UserError
from metamemory.refusals import Checked
from metamemory.shapes import Float
from metamemory.tasks.episode import Score, SupportQueryEpisode
from metamemory.tasks.sampling import require


class ContextTarget(Checked):
    """What all such tasks have in common.

    Args:
        points: that are asked for in an episode.
        least_context, most_context: values known, at least and at most; None for all points but one.
        most_points: how many there can be; None where there is no end to them.

    Attributes:
        size: numbers of one value.

    Raises:
        UserError: a setting is out of its range.
    """

    chance = 0.0  # share of the variance explained by the mean
    size: int
    device: torch.device

    def __init__(self, points: int, least_context: int, most_context: int | None, most_points: int | None, of: str):
        most = points - 1 if most_context is None else most_context
        require("points", points, 1, most_points, of)
        require("most_context", most, 0, points, f"the points of an episode: a context is no larger than {of}")
        require("least_context", least_context, 0, most, "the most that are known")
        self.points, self.least_context, self.most_context = points, least_context, most

    @property
    def length(self) -> int:
        """Points asked for in an episode."""
        return self.points

    def drawn(self, batch: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Places [points, batch, D] and values [points, batch, size], float32, those that may be known first."""
        raise NotImplementedError

    def sample(self, batch: int, generator: Generator) -> SupportQueryEpisode:
        """Draw a batch of episodes; the generator, on the task's device, decides everything."""
        x, y = self.drawn(batch, generator)
        ends = (self.least_context, self.most_context + 1)
        known = torch.randint(*ends, (batch,), generator=generator, device=self.device)
        there = torch.arange(self.most_context, device=self.device)[:, None] < known  # [most_context, batch]
        shown = y[: self.most_context].where(there[..., None], torch.nan)
        return SupportQueryEpisode(x[: self.most_context], shown, x, y)

    def answer(self, learner: nn.Module, episode: SupportQueryEpisode) -> Float[Tensor, "point batch answer"]:
        """[point, batch, 2 size]: means and logarithms of the variances of every value, as the learner expects it."""
        return learner.answer_queries(episode.support_x, episode.support_y, episode.query_x)

    def score(self, learner: nn.Module, episode: SupportQueryEpisode) -> Score:
        """Minus the log-likelihood of every value; accuracy is the share of their variance that is explained."""
        answers = self.answer(learner, episode)
        loss = -log_density(answers, episode.query_y).sum(dim=0).mean()
        with torch.no_grad():
            errors = squared_errors(answers, episode.query_y).mean()
            spread = episode.query_y.var(dim=(0, 1), correction=0).mean()
        return Score(loss, 1 - errors / spread.clamp(min=1e-12))


def log_density(
    answers: Float[Tensor, "point batch answer"], y: Float[Tensor, "point batch size"]
) -> Float[Tensor, "point batch"]:
    """Logarithm of the normal density of each value, nats, summed over its numbers: answers [point, batch, 2 size],
    y [point, batch, size] -> [point, batch]."""
    mean, log_variance = answers.chunk(2, dim=-1)
    squares = (y - mean).square() * (-log_variance).exp()
    return -(log_variance + squares + math.log(2 * math.pi)).sum(dim=-1) / 2


def squared_errors(
    answers: Float[Tensor, "point batch answer"], y: Float[Tensor, "point batch size"]
) -> Float[Tensor, "point batch"]:
    """Square of the mean's error, averaged over the numbers of a value: as `log_density`."""
    return (y - answers.chunk(2, dim=-1)[0]).square().mean(dim=-1)


def require_positive(**settings: Any) -> None:
    """Refuse settings of a task that are not above 0 and finite.

    Raises:
        UserError: in one line.
    """
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise UserError(f"task: {name} is {value} and must be above 0 and finite")
