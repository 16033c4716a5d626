"""What every protocol of the study is made of: batches of episodes, time first, and tasks that draw and score them."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class Episode:
    """A batch of episodes, all tensors on one device.

    Attributes:
        x: [time, batch, channel, height, width] inputs, float32: drawings from 0 (paper) to 1 (ink);
            photographs about 0 (`sampling.normalise`).
        y_seen: [time, batch] int64, the label shown together with x_t, which is y of step t - delay;
            -1 is the null label.
        y: [time, batch] int64, the target of step t; -1 where the step is not scored.
        shot: [time, batch] int64, how many samples of y_t's class have had their label shown by the time
            x_t is predicted. "k-shot accuracy" is the accuracy of the steps with shot == k.
        query_x: [query, batch, channel, height, width], where a task asks after the last step: inputs to be
            answered each on its own, from the state after the last step.
        query_y: [query, batch] int64, their targets.
    """

    x: Tensor
    y_seen: Tensor
    y: Tensor
    shot: Tensor
    query_x: Tensor | None = None
    query_y: Tensor | None = None

    @property
    def inputs(self) -> Tensor:
        """All that is to be seen in the steps: x."""
        return self.x


@dataclass(frozen=True)
class SupportQueryEpisode:
    """A batch of episodes with a support and a query set, all tensors on one device.

    Attributes:
        support_x: [n_way * k_shot, batch, channel, height, width] inputs, float32, as `Episode.x`.
        support_y: [n_way * k_shot, batch] int64, the label of each; or [n_way * k_shot, batch, height, width] float32
            masks.
        query_x: [n_query_total, batch, channel, height, width], to be answered each on its own.
        query_y: [n_query_total, batch, ...], their targets, as `support_y`.
    """

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor

    @property
    def inputs(self) -> Tensor:
        """All that is to be seen: [n_way * k_shot + n_query_total, batch, channel, height, width]."""
        return torch.cat([self.support_x, self.query_x])


class Score(NamedTuple):
    """How a learner did in a batch of episodes; scalars on the device.

    Attributes:
        loss: what training minimises: summed over the steps (or queries) of an episode, mean over episodes; nats.
        accuracy: share of right answers where the right one could be known.
    """

    loss: Tensor
    accuracy: Tensor


class Task(Protocol):
    """A distribution over episodes, and what is asked of a learner in them.

    Attributes:
        device: of its episodes.
        length: steps in an episode.
        chance: `Score.accuracy` of answers given at random.

    `str(task)` says in a few words which task it is.
    """

    device: torch.device
    length: int
    chance: float

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of episodes; the generator, on the task's device, decides everything."""

    def answer(self, learner: nn.Module, episode: Episode) -> Tensor:
        """What the learner answers in the episodes, differentiably."""

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """How good the learner's answers to the episodes are, differentiably."""
