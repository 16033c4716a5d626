"""Nearest neighbours for values of a function (Garnelo et al. 2018, section 4.2): the mean of the nearest known values.

The paper does not say how many neighbours it takes. A likelihood it does not give; ours has one deviation everywhere.

Shape legend: N known, M asked for, B batch, D numbers of a place, V of a value.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.nn.labels import Labels, Values, labels_for
from metamemory.settings import Count, Positive
from metamemory.shapes import Float


class Samples(NamedTuple):
    """The places so far, [T, B, D], and the values shown with them, [T, B, V], the first of which is null."""

    x: Tensor
    y_seen: Tensor


class NearestValues(Learner):
    """The mean of the nearest; 0.5 where nothing is known. Nothing to train.

    Args:
        input_shape: (D,).
        n_way: how values are written (`nn.labels.Values`), V numbers each.
        neighbours: of a place; all where fewer are known.
        deviation: of an answer.

    Example:
        >>> from metamemory.nn.labels import Values
        >>> learner = NearestValues((1,), Values(1))
        >>> learner.answer_queries(torch.rand(10, 2, 1), torch.rand(10, 2, 1), torch.rand(4, 2, 1)).shape
        torch.Size([4, 2, 2])
    """

    title = "Nearest value"
    paper = "garnelo2018"
    answers = "value"
    trained_by = "nothing"

    def __init__(
        self, input_shape: tuple[int, ...], n_way: int | Labels, neighbours: Count = 1, deviation: Positive = 0.2
    ):
        super().__init__()
        self.labels = labels_for("nearest_values", n_way, Values)
        self.neighbours, self.deviation = neighbours, deviation
        self.register_buffer("origin", torch.zeros(torch.Size(input_shape).numel()), persistent=False)

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch place"],
        support_y: Float[Tensor, "support batch value"],
        query_x: Float[Tensor, "query batch place"],
    ) -> Float[Tensor, "query batch answer"]:
        """As in `Learner`."""
        known = ~support_y.isnan().any(dim=-1).T  # [B, N]
        distances = torch.cdist(query_x.transpose(0, 1), support_x.transpose(0, 1))  # [B, M, N]
        near = min(self.neighbours, support_x.shape[0])
        distance, which = distances.masked_fill(~known[:, None], torch.inf).topk(near, largest=False, dim=-1)
        there = distance.isfinite()[..., None]  # [B, M, near, 1]
        values = self.labels(support_y).transpose(0, 1)  # [B, N, V]
        chosen = values[torch.arange(len(values), device=values.device)[:, None, None], which] * there
        count = there.sum(dim=2)
        mean = (chosen.sum(dim=2) / count.clamp(min=1)).where(count > 0, 0.5).transpose(0, 1)
        return torch.cat([mean, torch.full_like(mean, self.deviation).square().log()], dim=-1)

    def initial_state(self, batch: int) -> Samples:
        empty = self.origin.new_zeros(0, batch, len(self.origin))
        return Samples(empty, empty.new_zeros(0, batch, self.labels.size))

    def step(
        self, x_t: Float[Tensor, "batch place"], y_seen_t: Float[Tensor, "batch value"], state: Samples
    ) -> tuple[Float[Tensor, "batch answer"], Samples]:
        state = Samples(torch.cat([state.x, x_t[None]]), torch.cat([state.y_seen, y_seen_t[None]]))
        return self.answer_queries(state.x[:-1], state.y_seen[1:], x_t[None])[0], state
