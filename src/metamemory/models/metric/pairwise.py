"""Learners that compare a query with each labelled sample by itself: what they share.

An image is embedded; a score says how well a query and a sample go together; a class is scored by those of its samples.
In a stream the samples are those labelled so far.

Shape legend: T steps, S samples, Q queries, B batch, K ways, D features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.shapes import Float, Int

ABSENT = -1e9  # logit of a class without a sample: finite, so that gradients are


class Samples(NamedTuple):
    """Embeddings without a label yet [delay, B, D]; embeddings [S, B, D] and labels [S, B] of the others, -1 where none
    was shown."""

    waiting: Tensor
    z: Tensor
    y: Tensor


class PairwiseLearner(Learner, abstract=True):
    """A subclass has an `encoder` from images to features, and says how a query and a sample, and a class, are scored.

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

    def scores(
        self, z: Float[Tensor, "samples batch features"], query: Float[Tensor, "queries batch features"], known: Tensor
    ) -> Float[Tensor, "queries batch samples"]:
        """How well each query and each sample go together; known [S, B]: which samples count."""
        raise NotImplementedError

    def of_classes(
        self, scores: Float[Tensor, "queries batch samples"], of_class: Float[Tensor, "samples batch n_way"]
    ) -> Float[Tensor, "queries batch n_way"]:
        """Logits, given which class each sample is of (a null label is none); a class may have no sample."""
        raise NotImplementedError

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`. A class without a sample in the support set has a logit of -1e9."""
        z, query = self.encoder(torch.cat([support_x, query_x])).split([len(support_x), len(query_x)])
        return self._answer(z, support_y, query)

    def initial_state(self, batch: int) -> Samples:
        zeros, features = next(self.parameters()).new_zeros, self.features
        return Samples(
            waiting=zeros(self.delay, batch, features),
            z=zeros(0, batch, features),
            y=zeros(0, batch, dtype=torch.int64),
        )

    @property
    def features(self) -> int:
        """D."""
        return self.encoder.out_features

    def run(
        self,
        x: Float[Tensor, "time batch channel height width"],
        y_seen: Int[Tensor, "time batch"],
        state: Samples,
    ) -> tuple[Float[Tensor, "time batch n_way"], Samples]:
        query = self.encoder(x)
        labelled, waiting = until_labelled(state.waiting, query)
        before = len(state.z)
        z, y = torch.cat([state.z, labelled]), torch.cat([state.y, y_seen])
        answers = [self._answer(z[:end], y[:end], now[None]) for end, now in enumerate(query.unbind(), before + 1)]
        return torch.cat(answers), Samples(waiting, z, y)

    def _answer(self, z: Tensor, y: Tensor, query: Tensor) -> Tensor:
        """z [S, B, D], y [S, B], query [Q, B, D] -> [Q, B, K]."""
        of_class = one_hot(y, self.n_way)
        logits = self.of_classes(self.scores(z, query, y >= 0), of_class)
        return logits.where(of_class.any(dim=0), ABSENT)
