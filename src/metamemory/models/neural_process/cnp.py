"""A conditional neural process (Garnelo et al. 2018) for classification.

What is known is encoded sample by sample, the encodings are averaged, and a decoder answers for any new input, given
that average. For classification (their section 4.3) they are averaged within each class, so that a sample need not be
told its label:

    z = CNN(x)        r_k = mean of z over the support samples of class k        logit_k = g(z_query, r_k)

Like Prototypical networks, whose distance is learned here. As many operations as there are samples and queries, n + m,
with averages that can be kept as samples come: where a query is compared with every sample, there are n m.

From the paper: encoder, mean within each class, decoder; the convolutional encoder of few-shot learning. The paper does
not say how queries meet the class vectors; it says that these are joined. Our choice: g, an MLP of `layers` layers
of `hidden` units and one logit, sees one class at a time beside the query. So no weight belongs to a label, and any
number of classes can be answered; public code with all classes in one vector is said not to have learned well.

Batch normalisation: support set and queries together in training, running statistics in evaluation, so that a query is
answered on its own: not transductive. In a stream, r_k is the running mean of what has been labelled so far, and 0 for
a class without a sample.

Shape legend: T steps, S support samples, Q queries, B batch, K ways, D features.
"""

from itertools import pairwise

from torch import Tensor, nn

from metamemory.models.metric.class_means import ClassMeansLearner
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Labels
from metamemory.settings import Count, Width


class CNP(ClassMeansLearner):
    """Class means, and a decoder that answers from them.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
        filters: channels of each block of the encoder.
        features: D; None for the flattened maps of the encoder as they are.
        hidden, layers: units and number of the decoder's hidden layers.

    Example:
        >>> learner = CNP((1, 28, 28), n_way=5)
        >>> support, queries = torch.rand(5, 8, 1, 28, 28), torch.rand(25, 8, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 8), queries).shape
        torch.Size([25, 8, 5])
    """

    title = "Conditional neural process"
    paper = "garnelo2018"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        features: Width | None = 128,
        hidden: Width = 128,
        layers: Count = 4,
    ):
        super().__init__(n_way, delay)
        self.encoder = Encoder(input_shape, features, filters)
        self.of_query = nn.Linear(self.encoder.out_features, hidden)  # the first layer, in the two parts that it reads
        self.of_class = nn.Linear(self.encoder.out_features, hidden, bias=False)
        sizes = [hidden] * layers
        between = [each for pair in pairwise(sizes) for each in (nn.ReLU(), nn.Linear(*pair))]
        self.decoder = nn.Sequential(*between, nn.ReLU(), nn.Linear(hidden, 1))

    def logits(self, z: Tensor, sums: Tensor, counts: Tensor) -> Tensor:
        r = sums / counts[..., None].clamp(min=1)
        return self.decoder(self.of_query(z)[:, :, None] + self.of_class(r))[..., 0]
