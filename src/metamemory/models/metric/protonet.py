"""Prototypical networks (Snell, Swersky and Zemel 2017).

A class is the mean of the embeddings of its support samples, its prototype p_k; a query is of the class whose prototype
is nearest, by squared Euclidean distance:

    z = CNN(x)        p_k = mean of z over the support samples of class k        p(k | x) = softmax_k(-|z - p_k|^2)

(their eqs 1 and 2). No weight belongs to a label, so that the same weights answer with any number of classes and of
samples of each; the paper trains with more classes than it tests with.

From the paper: all of the above; four blocks of a 3x3 convolution of 64 filters, batch normalisation, ReLU and 2x2 max
pooling, whose maps are the embedding as they are (64 numbers at 28x28 pixels, 256 at 32x32). Support set and queries
go through the network together, as in the authors' code: in training the statistics of normalisation are of both. In
evaluation they are running ones, so that a query is answered on its own: not transductive.

In a stream, which the paper does not have, prototypes are running means of the samples labelled so far. A class without
one is infinitely far away, so that its first sample cannot be answered rightly; OPN (`models.metric.opn`) is the method
with an answer to that. Train this one with support sets.

Shape legend: T steps, S support samples, Q queries, B batch, K ways, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Width
from metamemory.shapes import Float, Int

FAR = 1e9  # squared distance to a prototype that is not there: finite, so that gradients are


class ProtoNetState(NamedTuple):
    """Embeddings without a label yet [delay, B, D]; sums [B, K, D] and counts [B, K] of the labelled ones; float32."""

    waiting: Tensor
    sums: Tensor
    counts: Tensor


class ProtoNet(Learner):
    """Class means in a learned space.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
        filters: channels of each block of the encoder.
        features: D; None for the flattened maps of the encoder as they are.

    Example:
        >>> learner = ProtoNet((1, 28, 28), n_way=5)
        >>> support, queries = torch.rand(5, 8, 1, 28, 28), torch.rand(25, 8, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 8), queries).shape
        torch.Size([25, 8, 5])
    """

    title = "Prototypical networks"
    paper = "snell2017"
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
        self.labels = labels_for("protonet", n_way, Classes)
        self.n_way, self.delay = self.labels.n_way, delay
        self.encoder = Encoder(input_shape, features, filters)

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`. A class without a sample in the support set has a logit of -1e9."""
        z, z_query = self.encoder(torch.cat([support_x, query_x])).split([len(support_x), len(query_x)])
        of_class = one_hot(support_y, self.n_way)  # [S, B, K]
        sums = torch.einsum("sbk,sbd->bkd", of_class, z)
        return _logits(z_query, sums, of_class.sum(dim=0))

    def initial_state(self, batch: int) -> ProtoNetState:
        zeros = next(self.parameters()).new_zeros
        return ProtoNetState(
            waiting=zeros(self.delay, batch, self.encoder.out_features),
            sums=zeros(batch, self.n_way, self.encoder.out_features),
            counts=zeros(batch, self.n_way),
        )

    def run(
        self,
        x: Float[Tensor, "time batch channel height width"],
        y_seen: Int[Tensor, "time batch"],
        state: ProtoNetState,
    ) -> tuple[Float[Tensor, "time batch n_way"], ProtoNetState]:
        z = self.encoder(x)  # [T, B, D]
        labelled, waiting = until_labelled(state.waiting, z)
        of_class = one_hot(y_seen, self.n_way)  # [T, B, K]
        sums = state.sums + (of_class[..., None] * labelled[:, :, None]).cumsum(dim=0)  # [T, B, K, D]
        counts = state.counts + of_class.cumsum(dim=0)  # [T, B, K]
        return _logits(z, sums, counts), ProtoNetState(waiting, sums[-1], counts[-1])


def _logits(z: Tensor, sums: Tensor, counts: Tensor) -> Tensor:
    """z [T, B, D], sums [..., B, K, D] and counts [..., B, K] of the labelled samples -> [T, B, K]."""
    p = sums / counts[..., None].clamp(min=1)
    d = (z[:, :, None] - p).square().sum(dim=-1)
    return -d.where(counts > 0, FAR)
