"""Siamese network for one-shot classification (Koch 2015; Koch, Zemel and Salakhutdinov 2015).

Two images go through the same network, and the weighted distance of what it finds says whether they are of one class:

    p(same | x, x') = sigmoid(sum_j alpha_j |z_j - z'_j| + b)        z = sigmoid(CNN(x))

(their section 3.1). A query is of the class of the sample to which it is most likely the same.

From the paper: all of the above. Our choices: the four-block encoder of the other learners and `features` units, where
the paper has convolutions of 10, 7, 4 and 4 pixels on images of 105x105 and 4096 units; it is trained by the
cross-entropy of a query's class, with the log-odds of `same` as logits, on the episodes of all learners, where the
paper trains on pairs of images, as many of one class as of two.

Shape legend: S samples, Q queries, B batch, K ways, D features.
"""

import torch
from torch import Tensor, nn

from metamemory.models.metric.pairwise import PairwiseLearner
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Labels
from metamemory.settings import Count, Width


class Siamese(PairwiseLearner):
    """Same or not, of a query and each labelled sample.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
        filters: channels of each block of the encoder.
        features: D.

    Example:
        >>> learner = Siamese((1, 28, 28), n_way=5)
        >>> support, queries = torch.rand(5, 8, 1, 28, 28), torch.rand(25, 8, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 8), queries).shape
        torch.Size([25, 8, 5])
    """

    title = "Siamese network"
    paper = "koch2015"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        features: Count = 256,
    ):
        super().__init__(n_way, delay)
        self.encoder = Encoder(input_shape, features, filters)
        self.alpha = nn.Parameter(torch.full((features,), -1.0))
        self.b = nn.Parameter(torch.zeros(()))

    def scores(self, z: Tensor, query: Tensor, known: Tensor) -> Tensor:
        """Log-odds that both are of one class."""
        distance = (query.sigmoid()[:, None] - z.sigmoid()).abs()  # [Q, S, B, D]
        return (distance @ self.alpha + self.b).transpose(1, 2)

    def of_classes(self, scores: Tensor, of_class: Tensor) -> Tensor:
        """Those of the likeliest sample of each class."""
        return scores[..., None].where(of_class.transpose(0, 1).bool(), -1e9).amax(dim=2)
