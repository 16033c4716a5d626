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

from torch import Tensor

from metamemory.models.metric.class_means import ClassMeansLearner
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Labels
from metamemory.settings import Width

FAR = 1e9  # squared distance to a prototype that is not there: finite, so that gradients are


class ProtoNet(ClassMeansLearner):
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

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        features: Width | None = None,
    ):
        super().__init__(n_way, delay)
        self.encoder = Encoder(input_shape, features, filters)

    def logits(self, z: Tensor, sums: Tensor, counts: Tensor) -> Tensor:
        """A class without a sample has a logit of -1e9."""
        p = sums / counts[..., None].clamp(min=1)
        d = (z[:, :, None] - p).square().sum(dim=-1)
        return -d.where(counts > 0, FAR)
