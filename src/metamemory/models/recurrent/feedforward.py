"""Feed-forward baseline: no memory at all (Santoro et al. 2016, section 4; the feed-forward rows of Tables 1 and 2).

    h_t = relu(W_1 [x_t, y_seen_t] + b_1)          logits_t = W_2 h_t + b_2

It sees a drawing and the label of the one before, and forgets both. What it can learn of an episode is next to nothing,
and so it shows what guessing is worth. The paper does not state its size; ours has the 200 units of MANN's controller.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn.labels import WRITTEN, Labels, amplify_labels, labels_for
from metamemory.settings import NotNegative, Width
from metamemory.shapes import Float, Shaped


class EmptyState(NamedTuple):
    """Nothing is remembered."""


class FeedForward(Learner):
    """One hidden layer on pixels and the label shown with them.

    Args:
        input_shape: (channel, height, width), or (feature,).
        n_way: how many labels, or how they are written (`nn.labels`).
        hidden: units.
        label_gain: how many times larger than the others the weights are drawn that read the label.

    Example:
        >>> learner = FeedForward((1, 28, 28), n_way=5)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "Feed-forward"
    paper = "santoro2016"

    def __init__(
        self, input_shape: tuple[int, ...], n_way: int | Labels, hidden: Width = 200, label_gain: NotNegative = 1.0
    ):
        super().__init__()
        self.labels = labels_for("feedforward", n_way, *WRITTEN)
        n_inputs = torch.Size(input_shape).numel() + self.labels.inputs
        self.layers = nn.Sequential(nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Linear(hidden, self.labels.outputs))
        amplify_labels(self.layers[0].weight, self.labels, label_gain)

    def initial_state(self, batch: int) -> EmptyState:
        return EmptyState()

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Shaped[Tensor, "time batch *label"], state: EmptyState
    ) -> tuple[Float[Tensor, "time batch outputs"], EmptyState]:
        return self.layers(torch.cat([x.flatten(2), self.labels(y_seen)], dim=-1)), state
