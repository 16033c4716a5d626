"""Learners that know a class by the mean of its embeddings: what they share.

An image is embedded; the embeddings of the samples of a class are averaged; a query is answered from those means. In a
stream they are running means of the samples labelled so far.

Shape legend: T steps, S support samples, Q queries, B batch, K ways, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.shapes import Float, Int


class Means(NamedTuple):
    """Embeddings without a label yet [delay, B, D]; sums [B, K, D] and counts [B, K] of the labelled ones; float32."""

    waiting: Tensor
    sums: Tensor
    counts: Tensor


class ClassMeansLearner(Learner, abstract=True):
    """A subclass has an `encoder` from images to features, and answers from sums and counts.

    Args:
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
    """

    needs_delay = True
    encoder: nn.Module

    def __init__(self, n_way: int | Labels, delay: int):
        super().__init__()
        self.labels = labels_for(type(self).name, n_way, Classes)
        self.n_way, self.delay = self.labels.n_way, delay

    def logits(self, z: Tensor, sums: Tensor, counts: Tensor) -> Tensor:
        """z [T, B, D], sums [..., B, K, D] and counts [..., B, K] of the labelled samples -> [T, B, K]."""
        raise NotImplementedError

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`."""
        z, z_query = self.encoder(torch.cat([support_x, query_x])).split([len(support_x), len(query_x)])
        of_class = one_hot(support_y, self.n_way).to(z)  # [S, B, K]
        return self.logits(z_query, torch.einsum("sbk,sbd->bkd", of_class, z), of_class.sum(dim=0))

    def initial_state(self, batch: int) -> Means:
        zeros = next(self.parameters()).new_zeros
        return Means(
            waiting=zeros(self.delay, batch, self.encoder.out_features),
            sums=zeros(batch, self.n_way, self.encoder.out_features),
            counts=zeros(batch, self.n_way),
        )

    def run(
        self,
        x: Float[Tensor, "time batch channel height width"],
        y_seen: Int[Tensor, "time batch"],
        state: Means,
    ) -> tuple[Float[Tensor, "time batch n_way"], Means]:
        z = self.encoder(x)  # [T, B, D]
        labelled, waiting = until_labelled(state.waiting, z)
        of_class = one_hot(y_seen, self.n_way).to(z)  # [T, B, K]
        sums = state.sums + (of_class[..., None] * labelled[:, :, None]).cumsum(dim=0)  # [T, B, K, D]
        counts = state.counts + of_class.cumsum(dim=0)  # [T, B, K]
        return self.logits(z, sums, counts), Means(waiting, sums[-1], counts[-1])
