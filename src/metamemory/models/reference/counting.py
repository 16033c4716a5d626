"""Counting labels, without a look at the drawings: what an accuracy has to be compared with.

Where every class comes equally often, the one whose label was shown least is the likeliest to come:

    logit_k = -(times that label k was shown)

That is more than one in K, and it is where every learner with a memory stays at first, before it binds drawings to
labels: the plateau of its training.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.shapes import Float, Int


class Counts(NamedTuple):
    """How often each label was shown, [batch, n_way] float32."""

    shown: Tensor


class Counting(Learner):
    """The label shown least; nothing to train.

    Args:
        input_shape: (channel, height, width), of no matter.
        n_way: labels.

    Example:
        >>> learner = Counting((1, 28, 28), n_way=5)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "Counting labels"
    paper = "babu2021"
    trained_by = "nothing"

    def __init__(self, input_shape: tuple[int, int, int], n_way: int | Labels):
        super().__init__()
        self.labels = labels_for("counting", n_way, Classes)
        self.register_buffer("zero", torch.zeros(self.labels.n_way), persistent=False)

    def initial_state(self, batch: int) -> Counts:
        return Counts(self.zero.expand(batch, -1))

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Int[Tensor, "time batch"], state: Counts
    ) -> tuple[Float[Tensor, "time batch n_way"], Counts]:
        shown = state.shown + one_hot(y_seen, len(self.zero)).cumsum(dim=0)  # [time, batch, n_way]
        return -shown, Counts(shown[-1])
