"""Functions to be guessed from the values shown so far (Santoro et al. 2016, section 4.3).

A function of one to three variables is drawn from a Gaussian process, and values of it at random places are asked for,
one after the other; each is shown one step later.

    f ~ GP(0, k)     k(x, x') = exp(-|x - x'|^2 / (2 length_scale^2))          x uniform in [-reach, reach]^D
    y_t = f(x_t) + noise e_t,  e_t ~ N(0, 1)

    step      0     1     2     3    ...
    x         x_0   x_1   x_2   x_3                                  where the function is asked for
    y         y_0   y_1   y_2   y_3                                  its value there
    y_seen    null  y_0   y_1   y_2                                  the value shown with it
    shot      0     1     2     3                                    values shown so far

The paper says that hyper-parameters are fixed and no more. A little noise, which it does not mention, keeps the
logarithm of a density from growing without bound where samples come close to each other.
"""

import math
from typing import Annotated, Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from metamemory.errors import UserError
from metamemory.refusals import Checked
from metamemory.settings import Count, Positive, Range
from metamemory.shapes import Float
from metamemory.tasks.episode import Episode, Score
from metamemory.tasks.sampling import require

NUGGET = 1e-6  # on the diagonal, so that the covariance of places close to each other has a Cholesky factor


class GaussianProcessFunctions(Checked):
    """Episodes of `length` places of a new function each.

    Args:
        dimensions: D, of x.
        length: steps in an episode.
        length_scale, reach, noise: as above; noise above 0.
        device: of the episodes.

    Raises:
        UserError: a setting is out of its range.

    Example:
        >>> task = GaussianProcessFunctions(
        ...     dimensions=1, length=20, length_scale=1.0, reach=2.0, noise=0.1, device=torch.device("cpu")
        ... )
        >>> task.sample(8, torch.Generator().manual_seed(0)).x.shape
        torch.Size([20, 8, 1])
    """

    chance = 0.0  # share of the variance explained by the mean
    source: ClassVar[dict[str, Any]] = {  # what a manifest says for a data set
        "name": "gaussian_process", "title": "functions of a Gaussian process", "digest": None,
    }  # fmt: skip

    def __init__(
        self,
        dimensions: Annotated[int, Range(least=1, most=1000)],
        length: Count,
        length_scale: Positive,
        reach: Positive,
        noise: Positive,
        device: torch.device,
    ):
        require("dimensions", dimensions, 1, None, "the variables of a function")
        require("length", length, 2, None, "a value is shown with the place after its own")
        for name, value in (("length_scale", length_scale), ("reach", reach), ("noise", noise)):
            if not 0 < value < math.inf:
                raise UserError(f"task: {name} is {value} and must be above 0 and finite")
        self.dimensions, self.length, self.device = dimensions, length, device
        self.length_scale, self.reach, self.noise = length_scale, reach, noise

    def __str__(self) -> str:
        return f"{self.dimensions} dimension{'s' if self.dimensions > 1 else ''}"

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of functions: x [time, batch, D], y and y_seen [time, batch, 1] float32, null is nan."""
        x = torch.rand(self.length, batch, self.dimensions, generator=generator, device=self.device)
        x = self.reach * (2 * x - 1)
        y = self.functions(x, generator)
        y = y + self.noise * torch.randn(y.shape, generator=generator, device=self.device)
        steps = torch.arange(self.length, device=self.device)
        return Episode(x=x, y_seen=shown(y), y=y, shot=steps[:, None].expand(-1, batch))

    def functions(
        self, x: Float[Tensor, "time batch dimensions"], generator: Generator
    ) -> Float[Tensor, "time batch 1"]:
        """Values f(x), without noise, of a function drawn for each episode: [time, batch, D] -> [time, batch, 1]."""
        places = x.transpose(0, 1).double()
        covariance = (torch.cdist(places, places) / self.length_scale).square().div(-2).exp()
        nugget = NUGGET * torch.eye(len(x), dtype=torch.float64, device=x.device)
        root = torch.linalg.cholesky_ex(covariance + nugget).L  # _ex: the device is not waited for to hear of failure
        white = torch.randn(*root.shape[:2], 1, generator=generator, device=x.device, dtype=torch.float64)
        return (root @ white).float().transpose(0, 1).contiguous()

    def answer(self, learner: nn.Module, episode: Episode) -> Float[Tensor, "time batch 2"]:
        """[time, batch, 2]: mean and logarithm of the variance of every value, as the learner expects it."""
        return learner(episode.x, episode.y_seen)

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """Minus the log-likelihood of every value; accuracy is the share of their variance that is explained."""
        answers = self.answer(learner, episode)
        loss = -log_likelihood(answers, episode.y).sum(dim=0).mean()
        with torch.no_grad():
            errors = (answers[..., :1] - episode.y).square().mean()
        return Score(loss, 1 - errors / (1 + self.noise**2))


def shown(y: Float[Tensor, "time batch 1"]) -> Float[Tensor, "time batch 1"]:
    """Values as they are shown, one step later, nan at first. [time, batch, 1]."""
    return torch.cat([torch.full_like(y[:1], torch.nan), y[:-1]])


def log_likelihood(
    answers: Float[Tensor, "time batch 2"], y: Float[Tensor, "time batch 1"]
) -> Float[Tensor, "time batch"]:
    """Logarithm of the normal density of y [time, batch, 1], nats: answers [time, batch, 2] -> [time, batch]."""
    mean, log_variance = answers.unbind(dim=-1)
    return -(log_variance + (y[..., 0] - mean).square() / log_variance.exp() + math.log(2 * math.pi)) / 2
