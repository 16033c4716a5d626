"""VSML, variable shared meta-learning (Kirsch and Schmidhuber 2021).

Each synapse of a network is a small LSTM, and all of these have the same weights. What a synapse has learned is in its
state; the rule by which it learns, in the weights. The LSTM between neuron i and neuron j reads the message that comes
forwards from i, that which comes backwards from j, and writes one to each:

    h_ij, c_ij  <-  LSTM( m_i , e_j , h_ij , c_ij )          in each tick, `ticks` times for each sample and layer
    m_j  <-  A sum_i h_ij / sqrt(I) + a                      forwards, read by the layer above
    e_i  <-  B sum_j h_ij / sqrt(J) + b                      backwards, read by the layer below with the next sample

The first number of an input's message is the pixel; the second of the last layer's is the logit, bounded by
100 tanh(. / 100). The error of the last sample, softmax(logit) - label, is the first number of the message that the
last layer reads backwards with the next one. So a rule that learns can be the back-propagation of errors, or any other.

A sum of messages is that of states through one linear map, so that heads are computed for neurons, not for synapses.
What a message contributes to a cell is multiplied by its weights once for all synapses of its neuron, in all ticks
(`kernels.synapses`).

Samples of a minibatch are learned one after the other: it is a name for a stretch of the stream here, after which the
gradient is cut off in training where `truncated`. The first half of a cell's state begins at random, the rest at 0.

Departures. The authors take means over synapses, `merge: mean` here; the rule then hears little of one input of many,
and stays at chance for longer. For the same reason gates begin at 0 and 3 (theirs: -5 and 5, of input and forget gate),
and the weights of messages are drawn larger (`message_gain`). Heads are drawn as torch draws them; theirs by fan-in,
with biases at 0. Layer normalisation of messages, which their code has where it trains by back-propagation, is left
out.

Shape legend: B networks, M samples, I and J neurons of two layers, K labels, F units of an LSTM.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.kernels.synapses import synapses
from metamemory.models.self_modifying.learned_rule import Network, SampleBySample, samples_last
from metamemory.nn.labels import Labels
from metamemory.settings import Count, Items, Number, Positive, Share, Width
from metamemory.shapes import Float, Int

PIXEL, LOGIT = 0, 1  # places in forward messages
ERROR = 0  # place in backward messages


class VSML(SampleBySample):
    """Synapses that are LSTMs with shared weights.

    Args:
        input_shape: of one input.
        n_way: K.
        delay: steps between a sample and its label, where samples come one at a time.
        hidden: neurons of layers between inputs and answers.
        minibatch: M, samples of a stretch of the stream.
        units: F.
        messages: numbers of a message.
        ticks: steps of an LSTM for each sample.
        bound: of logits.
        random: share of a cell's units that begin at random.
        truncated: whether gradients are cut off between minibatches.
        merge: of what synapses say to a neuron: "root", their sum over the square root of their number, or the "mean".
        gates: biases of the input and the forget gate at the start.
        message_gain: factor of the weights that read messages, at the start; two thirds of it, if that is more than 1,
            is that of those that write them.
    """

    title = "VSML"
    paper = "kirsch2021"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        delay: int = 1,
        hidden: Annotated[Sequence[Width], Items()] = (),
        minibatch: Count = 10,
        units: Count = 16,
        messages: Count = 8,
        ticks: Count = 2,
        bound: Positive = 100.0,
        random: Share = 0.5,
        truncated: bool = False,
        merge: Literal["root", "mean"] = "root",
        gates: Annotated[Sequence[Number], Items(least=2, most=2)] = (0.0, 3.0),
        message_gain: Positive = 3.0,
    ):
        super().__init__(input_shape, n_way, delay, minibatch)
        self.sizes = (self.inputs, *hidden, self.n_way)
        self.units, self.messages, self.ticks = units, messages, ticks
        self.bound, self.random, self.truncated = bound, round(random * units), truncated
        self.power = 0.5 if merge == "root" else 1.0
        reads = 2 * messages + units
        drawn = nn.init.trunc_normal_(torch.empty(reads, 4 * units), a=-2.0, b=2.0) / math.sqrt(reads)
        self.w_forward, self.w_backward, self.w_own = (
            nn.Parameter(gain * each)
            for gain, each in zip(
                (message_gain, message_gain, 1.0), drawn.split([messages, messages, units]), strict=True
            )
        )
        self.bias = nn.Parameter(torch.tensor([*gates, 0.0, 0.0]).repeat_interleave(units))  # i, f, o, g
        self.forward_head, self.backward_head = nn.Linear(units, messages), nn.Linear(units, messages)
        with torch.no_grad():
            for head in (self.forward_head, self.backward_head):
                head.weight *= max(1.0, 2 * message_gain / 3)

    def start(self, batch: int) -> Network:
        """h and c [B, I, J, F] of each layer; messages between layers, forwards and backwards, each [B, J, messages];
        and the error [B, K]."""
        draw, zeros = self._random_numbers(self.bias), self.bias.new_zeros
        found: list[Tensor] = []
        for ins, outs in zip(self.sizes, self.sizes[1:], strict=False):
            c = draw(batch, ins, outs, self.random, normal=True) / math.sqrt(ins)
            found += [zeros(batch, ins, outs, self.units), fn.pad(c, (0, self.units - self.random))]
        for size in self.sizes[1:-1]:
            found += [zeros(batch, size, self.messages), zeros(batch, size, self.messages)]
        return (*found, zeros(batch, self.n_way))

    def learn(
        self, x: Float[Tensor, "samples batch *shape"], y: Int[Tensor, "samples batch"], network: Network
    ) -> tuple[Float[Tensor, "samples batch n_way"], Network]:
        if self.truncated and self.training:
            network = tuple(each.detach() for each in network)
        logits = []
        for sample, label in zip(samples_last(x).unbind(dim=1), y, strict=True):
            answer, network = self._tick(sample, network)
            error = answer.softmax(dim=-1) - fn.one_hot(label, self.n_way)
            network = (*network[:-1], error)
            logits.append(answer)
        return torch.stack(logits), network

    def _answer_each(self, x: Tensor, network: Network) -> Tensor:
        return self._tick(x.flatten(1), network)[0]

    def _tick(self, x: Tensor, network: Network) -> tuple[Tensor, Network]:
        """The answers [B, K] to a sample x [B, I], and the networks after it; the error is as it was."""
        layers = len(self.sizes) - 1
        states, messages, error = list(network[: 2 * layers]), list(network[2 * layers : -1]), network[-1]
        below = x[..., None] * self.w_forward[PIXEL] + self.bias
        for layer in range(layers):
            last = layer == layers - 1
            above = error[..., None] * self.w_backward[ERROR] if last else messages[2 * layer + 1] @ self.w_backward
            h, c = states[2 * layer : 2 * layer + 2]
            h, c = synapses(below, above, self.w_own, h, c, self.ticks)
            states[2 * layer : 2 * layer + 2] = h, c
            forward = self.forward_head(h.sum(dim=1) / h.shape[1] ** self.power)
            if layer:
                messages[2 * layer - 1] = self.backward_head(h.sum(dim=2) / h.shape[2] ** self.power)
            if not last:
                messages[2 * layer] = forward
                below = forward @ self.w_forward + self.bias
        logits = self.bound * (forward[..., LOGIT] / self.bound).tanh()
        return logits, (*states, *messages, error)
