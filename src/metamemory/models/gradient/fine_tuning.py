"""Fine-tuning from a meta-trained start: what a gradient learner does that was not trained for a stream.

    logits = W CNN(x) + b                        theta = CNN, W, b

The network is meta-trained with MAML (Finn et al. 2017, see `nn.inner_loop`): some steps of gradient descent on a whole
support set, all classes mixed, then queries. In the stream, classes one after the other, the same weights take a step
of gradient descent for every labelled sample (see `models.gradient.online_sgd`). Beside OML and ANML, which are trained
through the stream itself, it shows what that training is worth.

With 256 filters and pooling after every block it is the "4-layer CNN" of the comparison of cost in Babu et al. 2021,
section 4.3. Our choices, where the papers do not have this baseline: layer normalisation of each sample, as in the
other learners that are pre-trained with MAML; both rates.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from torch import Tensor, nn

from metamemory.models.gradient.online_sgd import OnlineSGD, Weights, blank, linear
from metamemory.nn import inner_loop
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Labels
from metamemory.settings import Order, Positive, Range, Width
from metamemory.shapes import Float, Int


class FineTuning(OnlineSGD):
    """A CNN and a linear layer, all adapted.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label.
        filters: of each block of the CNN.
        pools: blocks, from the first on, whose output is max-pooled 2x2.
        rate: of gradient descent in the stream, a sample a step.
        inner_steps, inner_rate: of gradient descent on a whole support set, in meta-training.
        order: 2 for MAML, 1 for its first-order variant.

    Example:
        >>> learner = FineTuning((1, 28, 28), n_way=5, filters=16)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "Fine-tuning (MAML)"
    paper = "finn2017"
    adapts = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 256,
        pools: Annotated[int, Range(least=0, most=4)] = 4,
        rate: Positive = 0.01,
        inner_steps: Annotated[int, Range(least=1, most=1000)] = 5,
        inner_rate: Positive = 0.4,
        order: Order = 2,
    ):
        super().__init__(n_way, delay, rate, order)
        self.input_shape, self.inner_steps, self.inner_rate = input_shape, inner_steps, inner_rate
        cnn = Encoder(input_shape, None, filters, partial(nn.GroupNorm, 1), pools)
        self.features, self.out_features = nn.Sequential(cnn.blocks, nn.Flatten()), cnn.out_features

    def start(self) -> Weights:
        cnn = tuple(self.features.parameters())
        return *cnn, *blank(self.out_features, self.n_way, cnn[0])

    @property
    def waiting_shapes(self) -> Sequence[Sequence[int]]:
        return [self.input_shape]

    def prepare(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,)

    def answer(self, theta: Weights, *prepared: Tensor) -> Tensor:
        (x,), (*cnn, w, b) = prepared, theta
        names = (name for name, _ in self.features.named_parameters())
        return linear(w, b, inner_loop.answer(self.features, dict(zip(names, cnn, strict=True)), x))

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch n_way"]:
        """Meta-training. support_x [N, B, channel, height, width], support_y [N, B], query_x [Q, B, ...] -> logits
        [Q, B, K] after the inner steps on the whole support set, each query on its own."""
        theta = self.initial_state(support_x.shape[1]).theta
        theta = self.adapt(theta, support_y, support_x, rate=self.inner_rate, steps=self.inner_steps)
        return self.answer(theta, query_x)
