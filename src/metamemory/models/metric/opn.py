"""Online prototypical network, OPN (Ren et al. 2021; the OPN row of Babu et al. 2021, Table 1).

A class is the mean of the embeddings of its labelled samples so far, its prototype p_k; a sample is of the class
whose prototype is nearest.

    e_t = CNN(x_t)              p_k <- (p_k n_k + e) / (n_k + 1),  n_k <- n_k + 1      for the e of class k labelled now
    d_k = |e_t - p_k|^2         u = sigmoid((min_k d_k - beta) / gamma)                 see `nn.novelty`

A running average is a cumulative sum over a count, so that all prototypes of an episode are computed at once.

From their code: squared Euclidean distance; a learned radius beta that starts at 10 and gamma that starts at 1; the
features of the last block as they are. Our choices: what u means where every class has one of K names (see
`nn.novelty`); gamma as exp(log gamma), so that it stays positive. Departure: no weight decay. Babu et al. do not say
how they fitted OPN to labels one step late; ours keeps the last `delay` embeddings until their labels come.

Shape legend: T steps, B batch, K ways, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.nn.novelty import logits_with_novelty
from metamemory.settings import Width
from metamemory.shapes import Float, Int


class OPNState(NamedTuple):
    """Embeddings without a label yet [delay, B, D]; sums [B, K, D] and counts [B, K] of the labelled ones; float32."""

    waiting: Tensor
    sums: Tensor
    counts: Tensor


class OPN(Learner):
    """Running class means in a learned space.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label.
        filters: channels of each block of the encoder.
        features: D; None for the flattened maps of the encoder as they are.

    Example:
        >>> learner = OPN((1, 28, 28), n_way=5)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "OPN"
    paper = "ren2021"
    needs_delay = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        features: Width | None = None,
    ):
        super().__init__()
        self.labels = labels_for("opn", n_way, Classes)
        self.n_way, self.delay = self.labels.n_way, delay
        self.encoder = Encoder(input_shape, features, filters)
        self.beta = nn.Parameter(torch.tensor(10.0))
        self.log_gamma = nn.Parameter(torch.tensor(0.0))

    def initial_state(self, batch: int) -> OPNState:
        features = self.encoder.out_features
        return OPNState(
            waiting=self.beta.new_zeros(self.delay, batch, features),
            sums=self.beta.new_zeros(batch, self.n_way, features),
            counts=self.beta.new_zeros(batch, self.n_way),
        )

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: OPNState
    ) -> tuple[Float[Tensor, "time batch n_way"], OPNState]:
        e = self.encoder(x)  # [T, B, D]
        labelled, waiting = until_labelled(state.waiting, e)
        of_class = one_hot(y_seen, self.n_way)  # [T, B, K]
        sums = state.sums + (of_class[..., None] * labelled[:, :, None]).cumsum(dim=0)  # [T, B, K, D]
        counts = state.counts + of_class.cumsum(dim=0)  # [T, B, K]
        p = sums / counts[..., None].clamp(min=1)
        d = (e[:, :, None] - p).square().sum(dim=-1)  # [T, B, K]
        logits = logits_with_novelty(d, counts > 0, self.beta, self.log_gamma.exp())
        return logits, OPNState(waiting, sums[-1], counts[-1])

    def predict(
        self,
        query_x: Float[Tensor, "query batch channel height width"],
        state: OPNState,
        y_seen: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`, one query after the other: in training each is normalised with its batch alone."""
        shown = self.labels.null(query_x.shape[1], device=query_x.device) if y_seen is None else y_seen
        return torch.stack([self.step(x, shown, state)[0] for x in query_x])
