"""A conditional neural process (Garnelo et al. 2018) for values of a function: regression, completion of images.

    r_i = h(x_i, y_i)       r = mean of r_i over what is known       mean, deviation of y at x = g(x, r)   (eq. 2 to 4)

h and g are MLPs with ReLUs; the mean is 0 where nothing is known. As the mean has no order, neither have answers, and
the mean can be kept as values come: n values known and m asked for take n + m passes.

From the paper: h of three layers of 128 units, g of five, the loss. From its authors' code: weights drawn as Glorot and
Bengio (2010) do, biases of 0, and a deviation that stays off 0,

    deviation = least_deviation + (1 - least_deviation) softplus(.)

with 0.1 for the least. Values of several numbers have a mean and a deviation for each.

Shape legend: T steps, N known, M asked for, B batch, D numbers of a place, V of a value, H hidden units.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.labels import Labels, Values, labels_for
from metamemory.settings import Count, Positive, Width
from metamemory.shapes import Float


class Known(NamedTuple):
    """Places without a value yet [delay, B, D]; the sum [B, H] of the r_i, and their number [B, 1]; float32."""

    waiting: Tensor
    total: Tensor
    count: Tensor


class CNPRegression(Learner):
    """A mean of encoded values, and a decoder that answers from it.

    Args:
        input_shape: (D,).
        n_way: how values are written (`nn.labels.Values`), V numbers each.
        delay: steps between a place and its value, in a stream.
        hidden: H, units of every layer.
        encoder_layers, decoder_layers: of h and g, the last included.
        least_deviation: of an answer.

    Example:
        >>> learner = CNPRegression((1,), Values(1))
        >>> x, y, places = torch.rand(5, 8, 1), torch.rand(5, 8, 1), torch.rand(25, 8, 1)
        >>> learner.answer_queries(x, y, places).shape  # mean and logarithm of the variance
        torch.Size([25, 8, 2])
    """

    title = "CNP"
    paper = "garnelo2018"
    answers = "value"
    needs_delay = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        delay: int = 1,
        hidden: Width = 128,
        encoder_layers: Count = 3,
        decoder_layers: Count = 5,
        least_deviation: Positive = 0.1,
    ):
        super().__init__()
        self.labels = labels_for("cnp_regression", n_way, Values)
        self.delay, self.least_deviation = delay, least_deviation
        self.input_shape = tuple(input_shape)
        if len(self.input_shape) != 1:
            raise UserError(f"cnp_regression: the shape of an input is {self.input_shape} and must be (coordinates,)")
        (places,) = self.input_shape
        self.encoder = perceptron(places + self.labels.inputs, *[hidden] * encoder_layers)
        # the first layer of g, in the two parts that it reads: r is the same for all places
        self.of_place = nn.Linear(places, hidden)
        self.of_mean = nn.Linear(hidden, hidden, bias=False)
        self.decoder = nn.Sequential(nn.ReLU(), perceptron(*[hidden] * (decoder_layers - 1), self.labels.outputs))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        both = nn.init.xavier_uniform_(torch.empty(hidden, places + hidden))
        with torch.no_grad():
            self.of_place.weight.copy_(both[:, :places])
            self.of_mean.weight.copy_(both[:, places:])

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch place"],
        support_y: Float[Tensor, "support batch value"],
        query_x: Float[Tensor, "query batch place"],
    ) -> Float[Tensor, "query batch answer"]:
        """As in `Learner`."""
        r, known = self._encoded(support_x, support_y)
        return self._decoded(query_x, r.sum(dim=0), known.sum(dim=0))

    def initial_state(self, batch: int) -> Known:
        zeros = self.of_place.weight.new_zeros
        return Known(
            zeros(self.delay, batch, *self.input_shape), zeros(batch, len(self.of_mean.weight)), zeros(batch, 1)
        )

    def run(
        self, x: Float[Tensor, "time batch place"], y_seen: Float[Tensor, "time batch value"], state: Known
    ) -> tuple[Float[Tensor, "time batch answer"], Known]:
        valued, waiting = until_labelled(state.waiting, x)
        r, known = self._encoded(valued, y_seen)
        total, count = state.total + r.cumsum(dim=0), state.count + known.cumsum(dim=0)  # [T, B, H], [T, B, 1]
        return self._decoded(x, total, count), Known(waiting, total[-1], count[-1])

    def _encoded(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """[N, B, D], [N, B, V] -> r_i [N, B, H] and 1.0 [N, B, 1], both 0 where the value is null."""
        known = ~y.isnan().any(dim=-1, keepdim=True)
        return self.encoder(torch.cat([x, self.labels(y)], dim=-1)) * known, known.to(x.dtype)

    def _decoded(self, x: Tensor, total: Tensor, count: Tensor) -> Tensor:
        """x [M, B, D], total [..., B, H] and count [..., B, 1] -> [M, B, 2 V]."""
        r = total / count.clamp(min=1)
        mean, raw = self.decoder(self.of_place(x) + self.of_mean(r)).chunk(2, dim=-1)
        deviation = self.least_deviation + (1 - self.least_deviation) * fn.softplus(raw)
        return torch.cat([mean, 2 * deviation.log()], dim=-1)


def perceptron(*sizes: int) -> nn.Sequential:
    """Linear layers between so many units each, and a ReLU between every two of them."""
    layers = [each for pair in pairwise(sizes) for each in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])
