"""Back-propagation, cloned into the synapses of VSML (Kirsch and Schmidhuber 2021, section 3.2).

Each synapse is a small LSTM, and all have the same weights, as in `vsml`. Of its state it keeps two numbers from pass
to pass, w and b, in the first two of its cells; the others begin each pass at 0. The weights are not trained to learn.
They are trained to compute what a synapse does in a network that back-propagation teaches, given x from below and e
from above:

    y = tanh(x) w + b      e' = (1 - tanh(x)^2) w e      w <- w - eta e tanh(x)      b <- b - eta e

`synapse` is one such computation, and `tasks.backpropagation` its targets. A network of such synapses learns then:

    forwards     x_j = sum_i y_ij / sqrt(I)        layer by layer, from pixels to logits
    backwards    e_i = sum_j e'_ij / sqrt(J)       from softmax(logits) - label back, in which w and b change

With the targets in place of the LSTM's answers this is gradient descent, example by example, but that a layer below the
last has its own rate: eta sqrt(I) for synapses that add up I to a sum, and a factor sqrt(I' / J') of each layer above.

Departures, for this study knows of the paper's cloning no more than what is regressed: the coding of w and b; other
cells do not last; the forward pass leaves w and b as they are; sums over square roots in place of means.

Shape legend: B networks, M samples, I and J neurons of two layers, K labels, F units of an LSTM.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.kernels.synapses import synapses
from metamemory.models.self_modifying.learned_rule import Network, SampleBySample, samples_last
from metamemory.nn.labels import Labels
from metamemory.settings import Count, Items, NotNegative, Positive, Width
from metamemory.shapes import Float, Int

KEPT = 2  # cells: w and b


class ClonedBackpropagation(SampleBySample):
    """Synapses that are LSTMs, with weights that compute back-propagation.

    Args:
        input_shape: of one input.
        n_way: K.
        delay: steps between a sample and its label, where samples come one at a time.
        hidden: neurons of layers between inputs and answers.
        minibatch: samples of a stretch of the stream; they are learned one after the other.
        units: F, at least three.
        ticks: steps of an LSTM in each pass.
        scale: a cell's value where w or b is 1.
        spread: standard deviation of w in new networks; b begins at 0.
    """

    title = "VSML, cloned back-propagation"
    paper = "kirsch2021"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        delay: int = 1,
        hidden: Annotated[Sequence[Width], Items()] = (),
        minibatch: Count = 10,
        units: Count = 16,
        ticks: Count = 2,
        scale: Positive = 0.25,
        spread: NotNegative = 1.0,
    ):
        super().__init__(input_shape, n_way, delay, minibatch)
        self.sizes = (self.inputs, *hidden, self.n_way)
        self.units, self.ticks, self.scale, self.spread = max(units, KEPT + 1), ticks, scale, spread
        reads = self.units + 2
        drawn = torch.randn(reads, 4 * self.units) / math.sqrt(reads)
        self.w_forward, self.w_backward, self.w_own = (
            nn.Parameter(each.clone()) for each in (2 * drawn[0], 2 * drawn[1], drawn[2:])
        )
        gates = torch.tensor([0.0, 0.0, 0.0, 0.0]).repeat(self.units, 1).T.clone()  # i, f, o, g
        gates[1, :KEPT], gates[0, :KEPT] = 6.0, -2.0  # what is kept is hardly forgotten
        self.bias = nn.Parameter(gates.flatten())
        self.forward_head, self.backward_head = (
            nn.Parameter(torch.randn(self.units) / math.sqrt(self.units)) for _ in range(2)
        )

    def synapse(
        self, x: Float[Tensor, " synapse"], e: Float[Tensor, " synapse"], w: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """y, e' and the new w and b of single synapses, each [S]."""
        kept = torch.stack([w, b], dim=-1)[:, None, None]
        h, after = self._pass(x[:, None], e[:, None], kept)
        return (h @ self.forward_head)[:, 0, 0], (h @ self.backward_head)[:, 0, 0], *after[:, 0, 0].unbind(dim=-1)

    def start(self, batch: int) -> Network:
        """w and b [B, I, J, 2] of each layer."""
        draw = self._random_numbers(self.bias)
        found = []
        for ins, outs in zip(self.sizes, self.sizes[1:], strict=False):
            w = self.spread * draw(batch, ins, outs, normal=True)
            found.append(torch.stack([w, torch.zeros_like(w)], dim=-1))
        return tuple(found)

    def learn(
        self, x: Float[Tensor, "samples batch *shape"], y: Int[Tensor, "samples batch"], network: Network
    ) -> tuple[Float[Tensor, "samples batch n_way"], Network]:
        logits = []
        for sample, label in zip(samples_last(x).unbind(dim=1), y, strict=True):
            read = self._read(sample, network)
            logits.append(read[-1])
            error, changed = read[-1].softmax(dim=-1) - fn.one_hot(label, self.n_way), []
            for below, kept in zip(reversed(read[:-1]), reversed(network), strict=True):
                h, after = self._pass(below, error, kept)
                changed.append(after)
                error = h.sum(dim=2) @ self.backward_head / math.sqrt(kept.shape[2])
            network = tuple(reversed(changed))
        return torch.stack(logits), network

    def _answer_each(self, x: Tensor, network: Network) -> Tensor:
        return self._read(x.flatten(1), network)[-1]

    def _read(self, x: Tensor, network: Network) -> list[Tensor]:
        """What each layer reads from below, and last the logits: [B, I] each, forwards."""
        read = [x]
        for kept in network:
            h, _ = self._pass(read[-1], kept.new_zeros(len(kept), kept.shape[2]), kept)
            read.append(h.sum(dim=1) @ self.forward_head / math.sqrt(kept.shape[1]))
        return read

    def _pass(self, x: Tensor, e: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """h [B, I, J, F], and w and b [B, I, J, 2] after it; x [B, I] from below, e [B, J] from above."""
        c = fn.pad(self.scale * kept, (0, self.units - KEPT))
        h = c.tanh()
        below, above = x[..., None] * self.w_forward + self.bias, e[..., None] * self.w_backward
        h, c = synapses(below, above, self.w_own, h, c, self.ticks)
        return h, c[..., :KEPT] / self.scale
