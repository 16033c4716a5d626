"""Matching networks (Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra 2016).

A query has the label of the samples that it is like, each as far as it is:

    p(k | x, S) = sum over samples i of class k of a(x, x_i)        a = softmax_i c(f(x), g(x_i))

(their eqs 1 and 2). c is the cosine. Without full context embeddings f and g are the same CNN. With them (section
2.1.2, appendix A), an embedding depends on the whole support set: g is a bidirectional LSTM over the samples, and f an
LSTM that reads the samples again and again, for a number of steps, with attention:

    g(x_i) = h_i + h'_i + g'(x_i)
    h^_k, c_k = LSTM(f'(x), [h_{k-1}, r_{k-1}], c_{k-1})    h_k = h^_k + f'(x)
    r_k = sum_i softmax_i(h_k . g(x_i)) g(x_i)

From the paper: all of the above; four blocks of a 3x3 convolution of 64 filters, batch normalisation, ReLU and pooling.
Beyond it: `distance` "euclidean", minus the squared Euclidean distance for c, with which public code comes to the
paper's numbers as it does not with cosines. Our choices: as many steps of f as `steps` says; both sets go through the
network together, as in `protonet`.

Shape legend: S samples, Q queries, B batch, K ways, D features.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.models.metric.pairwise import PairwiseLearner
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Labels
from metamemory.settings import Count, Width


class Matching(PairwiseLearner):
    """Attention over labelled samples.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
        filters: channels of each block of the encoder.
        features: D; None for the flattened maps of the encoder as they are.
        distance: "cosine" or "euclidean".
        full_context: embeddings that depend on the whole support set.
        steps: of the LSTM that then reads it.

    Example:
        >>> learner = Matching((1, 28, 28), n_way=5)
        >>> support, queries = torch.rand(5, 8, 1, 28, 28), torch.rand(25, 8, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 8), queries).shape
        torch.Size([25, 8, 5])
    """

    title = "Matching networks"
    paper = "vinyals2016"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        features: Width | None = None,
        distance: Literal["cosine", "euclidean"] = "cosine",
        full_context: bool = False,
        steps: Count = 5,
    ):
        super().__init__(n_way, delay)
        self.encoder = Encoder(input_shape, features, filters)
        self.distance, self.full_context, self.steps = distance, full_context, steps
        if full_context:
            size = self.encoder.out_features
            self.g = nn.LSTM(size, size, bidirectional=True)
            self.f = nn.LSTMCell(2 * size, size)  # reads f'(x) and what was read; its own state is the third input

    def scores(self, z: Tensor, query: Tensor, known: Tensor) -> Tensor:
        if self.full_context:
            z = self._of_samples(z, known)
            query = self._of_queries(query, z, known)
        if self.distance == "euclidean":
            return -(query[:, None] - z).square().sum(dim=-1).transpose(1, 2)
        z, query = fn.normalize(z, dim=-1), fn.normalize(query, dim=-1)
        return torch.einsum("qbd,sbd->qbs", query, z)

    def of_classes(self, scores: Tensor, of_class: Tensor) -> Tensor:
        """Logarithms of sums of attention, but for what is the same for all classes."""
        by_class = scores[..., None].where(of_class.transpose(0, 1).bool(), -torch.inf)  # [Q, B, S, K]
        empty = ~of_class.any(dim=0)[:, None]  # of these the sum of nothing, whose gradient is none, is not taken
        return by_class.masked_fill(empty, 0.0).logsumexp(dim=2)

    def _of_samples(self, z: Tensor, known: Tensor) -> Tensor:
        """g: z [S, B, D] in the order given; a sample without a label is one of zeros."""
        z = z * known[..., None]
        forward, backward = self.g(z)[0].chunk(2, dim=-1)
        return forward + backward + z

    def _of_queries(self, query: Tensor, z: Tensor, known: Tensor) -> Tensor:
        """f: query [Q, B, D], z [S, B, D] -> [Q, B, D]."""
        hidden = known.any(dim=0)  # [B]; where nothing is labelled, nothing is read
        h, c, read = query, torch.zeros_like(query), torch.zeros_like(query)
        for _ in range(self.steps):
            inputs = torch.cat([query, read], dim=-1).flatten(0, 1)
            found, cell = self.f(inputs, (h.flatten(0, 1), c.flatten(0, 1)))
            h, c = found.view_as(query) + query, cell.view_as(query)
            a = torch.einsum("qbd,sbd->qbs", h, z).masked_fill(~(known | ~hidden).T, -torch.inf).softmax(dim=-1)
            read = torch.einsum("qbs,sbd->qbd", a, z)
        return h
