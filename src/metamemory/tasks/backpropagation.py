"""What a synapse does in a network that back-propagation teaches, as a regression (Kirsch and Schmidhuber 2021, section
3.2).

    given    x from below, e from above, its weight w and its bias b
    wanted   y = tanh(x) w + b      e' = (1 - tanh(x)^2) w e      w - eta e tanh(x)      b - eta e

y is what it sends up, e' what it sends down: the derivative of e y by x, as the changes of w and b are eta times those
of e y by w and b.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.refusals import Checked
from metamemory.settings import Positive
from metamemory.shapes import Float
from metamemory.tasks.episode import Score

NEAR = 0.1  # of its target, relative to what deviations from 0 usually are: that counts as right
SPARSE = 0.5  # share of errors from above that are small


class Wanted(NamedTuple):
    """y, e', and the changes of w and b over eta, [S] each."""

    y: Tensor
    back: Tensor
    of_w: Tensor
    of_b: Tensor


@dataclass(frozen=True)
class Synapses:
    """Single synapses, each a tensor [S]."""

    x: Tensor
    e: Tensor
    w: Tensor
    b: Tensor

    @property
    def inputs(self) -> Tensor:
        """All that is to be seen."""
        return self.x


class Backpropagation(Checked):
    """Single steps of single synapses; an episode is one of them.

    Args:
        device: of the tensors.
        rate: eta.
        reach: standard deviation of x and w; that of b is half of it.

    Example:
        >>> task = Backpropagation(torch.device("cpu"))
        >>> task.wanted(task.sample(5, torch.Generator().manual_seed(0))).y.shape
        torch.Size([5])
    """

    length = 1
    chance = 0.0

    def __init__(self, device: torch.device, rate: Positive = 0.02, reach: Positive = 1.5):
        self.device, self.rate, self.reach = device, rate, reach

    def __str__(self) -> str:
        return "steps of back-propagation"

    def sample(self, batch: int, generator: Generator) -> Synapses:
        """Errors from above are uniform from -1 to 1; half of them are a tenth of that, as most are in a network that
        has learned something."""
        x, w, b = self.reach * torch.randn(3, batch, generator=generator, device=self.device)
        e, small = torch.rand(2, batch, generator=generator, device=self.device)
        e = (2 * e - 1) * torch.where(small < SPARSE, 0.1, 1.0)
        return Synapses(x, e, w, b / 2)

    def wanted(self, episode: Synapses) -> Wanted:
        """The targets."""
        t = episode.x.tanh()
        e, w = episode.e, episode.w
        return Wanted(t * w + episode.b, (1 - t.square()) * w * e, -e * t, -e)

    def answer(self, learner: nn.Module, episode: Synapses) -> Float[Tensor, "number synapse"]:
        """The same, as a learner computes it: [4, S]."""
        y, back, w, b = learner.synapse(episode.x, episode.e, episode.w, episode.b)
        return torch.stack([y, back, (w - episode.w) / self.rate, (b - episode.b) / self.rate])

    def score(self, learner: nn.Module, episode: Synapses) -> Score:
        """Squared errors, summed over the four numbers; accuracy is the share of numbers near their targets."""
        wanted, found = torch.stack(self.wanted(episode)), self.answer(learner, episode)
        loss = fn.mse_loss(found, wanted, reduction="sum") / len(episode.x)
        spread = wanted.std(dim=1, keepdim=True)
        return Score(loss, ((found - wanted).abs() < NEAR * spread).float().mean())
