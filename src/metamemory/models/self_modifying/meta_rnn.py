"""A recurrent network that learns to learn, the meta-RNN that VSML is compared with (Hochreiter et al. 2001; Kirsch and
Schmidhuber 2021, section 3.3).

    h_t, c_t = LSTM([ relu layers of x_t , softmax(l_{t-1}) - y_{t-1} , y_{t-1} ] , h_{t-1}, c_{t-1})
    l_t      = W h_t + b

Its weights are trained, and what it learns of a data set is in h and c. The error and the label of a sample are read
together with the next one. Unlike a rule of synapses it has a weight for each pixel, and so belongs to one size of
image: of another size, images are first brought to its own by averages.

Departures. The authors' takes two ticks for each sample, bounds its logits by 100 tanh(. / 100), and is trained by an
evolution strategy; this one takes one tick, has no bound, and is trained by gradient.

Shape legend: B networks, M samples, K labels, H hidden units.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.models.self_modifying.learned_rule import Network, SampleBySample
from metamemory.nn.labels import Labels
from metamemory.settings import Count, Items, Width
from metamemory.shapes import Float, Int


class RecurrentState(NamedTuple):
    """h and c [B, H]; the error and the label of the last sample [B, K], both 0 before the first."""

    h: Tensor
    c: Tensor
    error: Tensor
    label: Tensor


class MetaRNN(SampleBySample):
    """An LSTM that is told its errors and the labels.

    Args:
        input_shape: of one input.
        n_way: K.
        delay: steps between a sample and its label, where samples come one at a time.
        hidden: units of layers between inputs and the LSTM.
        units: H.
        side: of the images that it reads, in pixels; None for inputs as they are.
        minibatch: samples of a stretch of the stream; they are learned one after the other.
    """

    title = "Meta-RNN"
    paper = "kirsch2021"
    queries = 64

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        delay: int = 1,
        hidden: Annotated[Sequence[Width], Items()] = (),
        units: Width = 128,
        side: Count | None = None,
        minibatch: Count = 10,
    ):
        super().__init__(input_shape, n_way, delay, minibatch)
        self.side, self.units = side, units
        pixels = self.inputs if side is None else input_shape[0] * side * side
        sizes = (pixels, *hidden)
        pairs = zip(sizes, sizes[1:], strict=False)
        self.encoder = nn.Sequential(*(each for pair in pairs for each in (nn.Linear(*pair), nn.ReLU())))
        self.cell, self.head = nn.LSTMCell(sizes[-1] + 2 * self.n_way, units), nn.Linear(units, self.n_way)

    def start(self, batch: int) -> RecurrentState:
        zeros = self.head.weight.new_zeros
        return RecurrentState(*(zeros(batch, size) for size in (self.units, self.units, self.n_way, self.n_way)))

    def learn(
        self, x: Float[Tensor, "samples batch *shape"], y: Int[Tensor, "samples batch"], network: Network
    ) -> tuple[Float[Tensor, "samples batch n_way"], Network]:
        logits, state = [], RecurrentState(*network)
        for sample, label in zip(self._read(x).unbind(), fn.one_hot(y, self.n_way).to(x.dtype), strict=True):
            answer, state = self._tick(sample, state)
            state = state._replace(error=answer.softmax(dim=-1) - label, label=label)
            logits.append(answer)
        return torch.stack(logits), state

    def _answer_each(self, x: Tensor, network: Network) -> Tensor:
        return self._tick(self._read(x[None])[0], RecurrentState(*network))[0]

    def _read(self, x: Tensor) -> Tensor:
        """[M, B, ...] -> [M, B, pixels]."""
        if self.side is not None and x.shape[-1] != self.side:
            x = fn.adaptive_avg_pool2d(x.flatten(0, 1), self.side).unflatten(0, x.shape[:2])
        return x.flatten(2) if x.dim() > 2 else x[..., None]

    def _tick(self, x: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """The answers [B, K] to a sample [B, pixels], and the state after it; error and label are as they were."""
        h, c = self.cell(torch.cat([self.encoder(x), state.error, state.label], dim=-1), (state.h, state.c))
        return self.head(h), state._replace(h=h, c=c)
