"""Online-aware meta-learning, OML (Javed and White 2019; the OML baseline of Babu et al. 2021, section 4.3).

A representation, learned by training and frozen in an episode, and prediction layers on top of it, adapted to every
labelled sample of the stream by a step of gradient descent:

    e_t = CNN(x_t)              logits_t = W_2 relu(W_1 e_t + b_1) + b_2            theta = W_1, b_1, W_2, b_2

Training looks for a representation, and a start of the prediction layers, with which such steps do not undo each other.
How they are taken, the order of the meta-gradient and how the last layer starts is in `models.gradient.online_sgd`.

From Babu et al.: a CNN of four layers and two fully connected ones, the latter adapted. From Javed and White's code:
256 filters and a rate of 0.03. Our choices: the four-block encoder of the other learners, with its batch normalisation
(running statistics in evaluation); 512 hidden units. Departures: their meta-loss is of a random sample of all training
classes too, ours of the query set of the task, as Babu et al. train; Javed and White's CNN has six layers at 84x84
pixels.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from metamemory.models.gradient.online_sgd import OnlineSGD, Weights, blank, linear
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Labels
from metamemory.settings import Order, Positive, Range, Width


class OML(OnlineSGD):
    """A frozen CNN, two adapted layers.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label.
        filters: of each block of the CNN.
        hidden: units of the first prediction layer.
        pools: blocks, from the first on, whose output is max-pooled 2x2.
        rate: of the inner gradient descent.
        order: 2 for the gradient through the inner steps, 1 for what is left without their Hessians.

    Example:
        >>> learner = OML((1, 28, 28), n_way=5, filters=16, hidden=16)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "OML"
    paper = "javed2019"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 256,
        hidden: Width = 512,
        pools: Annotated[int, Range(least=0, most=4)] = 4,
        rate: Positive = 0.03,
        order: Order = 2,
    ):
        super().__init__(n_way, delay, rate, order)
        self.encoder = Encoder(input_shape, None, filters, pools=pools)
        self.hidden = nn.Linear(self.encoder.out_features, hidden)

    def start(self) -> Weights:
        w_1, b_1 = self.hidden.weight, self.hidden.bias
        return w_1, b_1, *blank(len(b_1), self.n_way, w_1)

    @property
    def waiting_shapes(self) -> Sequence[Sequence[int]]:
        return [(self.encoder.out_features,)]

    def prepare(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.encoder(x),)

    def answer(self, theta: Weights, *prepared: Tensor) -> Tensor:
        (e,), (w_1, b_1, w_2, b_2) = prepared, theta
        return linear(w_2, b_2, torch.relu(linear(w_1, b_1, e)))
