"""Nearest neighbour on raw pixels: what can be done without any learning to learn.

Every drawing is stored; once its label has been shown it can be a neighbour. The answer is the label of the
nearest one, by Euclidean distance. Before any label is known all answers are equally likely.

Unlike the learners with a memory it has to know the delay and keeps every sample, so its state grows with
the episode (Babu et al. 2021, section 4.2, on what delayed labels cost such methods).

Shape legend: T steps, B batch, D pixels of a drawing.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.shapes import Float, Int


class Stored(NamedTuple):
    """The stream so far: drawings [T, B, D] and the labels shown with them [T, B] int64."""

    x: Tensor
    y_seen: Tensor


class NearestNeighbour(Learner):
    """Nearest neighbour on pixels; nothing to train.

    Args:
        input_shape: (channel, height, width).
        n_way: labels.
        delay: steps between a drawing and its label.

    Example:
        >>> learner = NearestNeighbour((1, 28, 28), n_way=5)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "Nearest neighbour"
    paper = "babu2021"
    needs_delay = True
    trained_by = "nothing"

    def __init__(self, input_shape: tuple[int, int, int], n_way: int | Labels, delay: int = 1):
        super().__init__()
        self.labels = labels_for("nearest_neighbour", n_way, Classes)
        self.n_way, self.delay = self.labels.n_way, delay
        self.register_buffer("pixels", torch.zeros(torch.Size(input_shape).numel()), persistent=False)

    def initial_state(self, batch: int) -> Stored:
        empty = self.pixels.new_zeros(0, batch, len(self.pixels))
        return Stored(empty, empty.new_zeros(0, batch, dtype=torch.int64))

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Int[Tensor, "time batch"], state: Stored
    ) -> tuple[Float[Tensor, "time batch n_way"], Stored]:
        now = x.flatten(2)  # [T, B, D]
        state = Stored(torch.cat([state.x, now]), torch.cat([state.y_seen, y_seen]))
        distances = torch.cdist(now.transpose(0, 1), state.x.transpose(0, 1)).square()  # [B, T, stored]
        before, answers = len(state.x) - len(x), []
        for t in range(len(x)):
            known = max(before + t + 1 - self.delay, 0)
            answers.append(self._answer(distances[:, t, :known].T, state.y_seen[self.delay : before + t + 1]))
        return torch.stack(answers), state

    def _answer(self, distances: Tensor, labels: Tensor) -> Tensor:
        """distances and labels of the stored samples, [T, B] -> logits [B, n_way]: minus the squared distance
        to the nearest sample of each class, minus infinity for a class not seen yet."""
        if len(labels) == 0:
            return distances.new_zeros(distances.shape[1], self.n_way)
        of_class = one_hot(labels, self.n_way).bool()
        return distances[..., None].neg().masked_fill(~of_class, -torch.inf).amax(dim=0)
