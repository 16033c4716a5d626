"""Contextual prototypical memory, CPM (Ren et al. 2021; the CPM row of Babu et al. 2021, Table 1).

Prototypes in a space that depends on the stream so far. An LSTM reads the embeddings, not the labels; from its
output r_t are read a context h, gates, a metric m and the radius of the known:

    e_t = CNN(x_t)       r_t = LSTM(e_t, r_{t-1})       h, m', g_e', g_h', beta, gamma' = W r_t + b
    z_t = sigmoid(g_e') e_t + sigmoid(g_h') h                                           the sample in its context
    d_k = -tau cos(m z_t, m p_k),   m = softplus(m')                                    the metric of this moment
    u   = sigmoid((min_k d_k - beta) / gamma),   gamma = softplus(gamma' + 1)           see `nn.novelty`
    p_k <- (1 - f) p_k + f z,   f = sigmoid(w_z z + w_p p_k + b_f)                      for the z labelled k now

From their code: all of the above; the biases at the start, of g_e' 1, g_h' -1, beta -10, f -2; tau, learned, from 10;
256 units in the LSTM; embeddings that can be negative (there no ReLU in the last block, here a linear layer). The gates
g_e, g_h are what their module does unless told otherwise; their published configurations tell it, and have z = e + h.
Our choices and departures: the minimum in u is over the classes with a prototype, theirs over empty slots as well; an
LSTM without layer normalisation; a label changes the prototype of its class alone
(theirs lets the others fade, which a cosine does not see until they are written again); none of their writing of
unlabelled samples, since here all get their label; no weight decay. As there, z is stored as it was when the sample
was seen. Like OPN it keeps the last `delay` z until their labels come.

Shape legend: T steps, B batch, K ways, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.nn.novelty import logits_with_novelty
from metamemory.settings import Number, Width
from metamemory.shapes import Float, Int


class CPMState(NamedTuple):
    """h, c of the LSTM, each [1, B, hidden]; z without a label yet [delay, B, D]; prototypes [B, K, D]; all float32;
    and whether a class has one, [B, K] bool."""

    lstm: tuple[Tensor, Tensor]
    waiting: Tensor
    prototypes: Tensor
    known: Tensor


class GatedPrototypes(nn.Module):
    """Prototypes that decide how much of a new sample they take: p <- (1 - f) p + f z, one gate f a class.

    Args:
        features: D.
    """

    def __init__(self, features: int):
        super().__init__()
        self.of_sample = nn.Linear(features, 1)
        self.of_prototype = nn.Linear(features, 1, bias=False)
        # small gates: the first few samples of a class then weigh about the same
        nn.init.constant_(self.of_sample.bias, -2.0)

    def forward(
        self,
        z: Float[Tensor, "time batch features"],
        of_class: Float[Tensor, "time batch n_way"],
        p: Float[Tensor, "batch n_way features"],
    ) -> Float[Tensor, "time batch n_way features"]:
        """z [T, B, D], of_class [T, B, K] one-hot or all 0, p [B, K, D] -> the prototypes of each step [T, B, K, D]."""
        prototypes = []
        for z_t, gate_t, write_t in zip(z.unbind(), self.of_sample(z).unbind(), of_class.unbind(), strict=True):
            f = write_t[..., None] * (gate_t[:, None] + self.of_prototype(p)).sigmoid()  # [B, K, 1]
            p = p + f * (z_t[:, None] - p)
            prototypes.append(p)
        return torch.stack(prototypes)


class CPM(Learner):
    """Gated prototypes in a space that an LSTM adapts to the stream.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label.
        filters: channels of each block of the encoder.
        features: D.
        hidden: units of the LSTM.
        forget_bias: added to its forget gate at the start.

    Example:
        >>> learner = CPM((1, 28, 28), n_way=5)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "CPM"
    paper = "ren2021"
    needs_delay = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        features: Width = 64,
        hidden: Width = 256,
        forget_bias: Number = 1.0,
    ):
        super().__init__()
        self.labels = labels_for("cpm", n_way, Classes)
        self.n_way, self.delay, self.features = self.labels.n_way, delay, features
        self.encoder = Encoder(input_shape, features, filters)
        self.lstm = nn.LSTM(features, hidden)
        nn.init.constant_(self.lstm.bias_ih_l0.data[hidden : 2 * hidden], forget_bias)
        self.sizes = [features, features, 1, 1, 1, 1]  # of h, m', g_e', g_h', beta, gamma'
        self.read = nn.Linear(hidden, sum(self.sizes))
        for part, bias in zip(self.read.bias.data.split(self.sizes), (0, 0, 1, -1, -10, 0), strict=True):
            part.fill_(bias)
        self.tau = nn.Parameter(torch.tensor(10.0))
        self.write = GatedPrototypes(features)

    def initial_state(self, batch: int) -> CPMState:
        zero = self.tau.new_zeros(1, batch, self.lstm.hidden_size)
        return CPMState(
            lstm=(zero, zero),
            waiting=self.tau.new_zeros(self.delay, batch, self.features),
            prototypes=self.tau.new_zeros(batch, self.n_way, self.features),
            known=self.tau.new_zeros(batch, self.n_way, dtype=torch.bool),
        )

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: CPMState
    ) -> tuple[Float[Tensor, "time batch n_way"], CPMState]:
        e = self.encoder(x)  # [T, B, D]
        r, lstm = self.lstm(e, state.lstm)
        h, m, g_e, g_h, beta, gamma = self.read(r).split(self.sizes, dim=-1)
        z = g_e.sigmoid() * e + g_h.sigmoid() * h

        labelled, waiting = until_labelled(state.waiting, z)
        of_class = one_hot(y_seen, self.n_way)  # [T, B, K]
        p = self.write(labelled, of_class, state.prototypes)  # [T, B, K, D]
        known = state.known | (of_class.cumsum(dim=0) > 0)

        m = fn.softplus(m)[:, :, None]
        d = -self.tau * fn.cosine_similarity(m * z[:, :, None], m * p, dim=-1)
        logits = logits_with_novelty(d, known, beta[..., 0], fn.softplus(gamma[..., 0] + 1))
        return logits, CPMState(lstm, waiting, p[-1], known[-1])
