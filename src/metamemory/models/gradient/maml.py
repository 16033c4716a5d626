"""Model-agnostic meta-learning, MAML (Finn, Abbeel and Levine 2017), its first order, and ANIL (Raghu et al. 2020).

A network whose weights, theta, are learned so that some steps of gradient descent on an episode's support set give the
weights that answer its queries:

    theta_0 = theta          theta_{i+1} = theta_i - alpha grad L(f(support; theta_i))          i < n
    p(k | x) = softmax_k(f(x; theta_n))                                             (their eq. 1 and Algorithm 2)

Training takes the gradient of the queries' loss with respect to theta, through the steps (see `nn.inner_loop`): of
second order, or of first (`order`; FOMAML, their section 5.2). With `adapted` "head" the steps move the last layer
only, which is ANIL, "almost no inner loop"; the convolutions are learned by the queries' gradient alone.

From the paper: all of the above; four convolutions of 64 filters, with a stride of 2 on drawings and pooling on
photographs (32 filters), whose maps the last layer reads, on drawings as their mean over pixels; more steps in tests
than in training. From the authors' code: batch statistics of the support set in the steps, and then of all queries
together, which helps them: transductive. With `transductive` off, queries are normalised by the statistics of the
support set, and each is answered on its own.

An output belongs to a label. An episode's classes are given labels at random, of all that the learner has; in the steps
the softmax is over those that are in the support set. The paper trains and tests with the same number of ways, for
which the learner then has as many outputs.

In a stream, which the paper does not have, the weights take one step for every labelled sample (see
`models.gradient.online_sgd`), and each sample is normalised on its own, over its channels and pixels.

Shape legend: S support samples, Q queries, N samples, B episodes of a batch, K ways, D features.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from metamemory.models.gradient.online_sgd import OnlineSGD, Weights, linear
from metamemory.nn import inner_loop
from metamemory.nn.episode_network import EpisodeNetwork
from metamemory.nn.labels import Labels, one_hot
from metamemory.settings import Count, Order, Positive, Width
from metamemory.shapes import Float, Int

ABSENT = -1e9  # logit of a label that the support set does not have: finite, so that gradients are


class MAML(OnlineSGD):
    """A start from which a few steps of gradient descent learn a task.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
        filters: of each convolution.
        strided: convolutions have a stride of 2; else 2x2 max pooling after each.
        average: the last layer reads the mean over pixels; else all maps.
        inner_steps: n in training.
        test_steps: n in evaluation; None for the same.
        inner_rate: alpha.
        rate: of the steps in a stream.
        order: 2 for the gradient through the steps, 1 for what is left without their Hessians.
        adapted: "all" weights, or those of the "head" only.
        transductive: queries are normalised by the statistics of all of them; else by those of the support set.

    Example:
        >>> learner = MAML((1, 28, 28), n_way=5, filters=8)
        >>> support, queries = torch.rand(5, 4, 1, 28, 28), torch.rand(25, 4, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 4), queries).shape
        torch.Size([25, 4, 5])
    """

    title = "MAML"
    paper = "finn2017"
    adapts = True
    transductive = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        strided: bool = True,
        average: bool = True,
        inner_steps: Count = 1,
        test_steps: Count | None = None,
        inner_rate: Positive = 0.4,
        rate: Positive = 0.01,
        order: Order = 2,
        adapted: Literal["all", "head"] = "all",
        transductive: bool = True,
    ):
        super().__init__(n_way, delay, rate, order)
        self.input_shape, self.transductive, self.whole = input_shape, transductive, adapted == "all"
        self.inner_steps, self.inner_rate = inner_steps, inner_rate
        self.test_steps = inner_steps if test_steps is None else test_steps
        self.net = EpisodeNetwork(input_shape, self.n_way, filters, strided, average)

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`, by the weights after the inner steps."""
        batch, body = support_x.shape[1], self.net.body()
        theta = tuple(each.expand(batch, *each.shape) for each in self.start())
        seen = support_x if self.whole else self.net.features(body, support_x)
        there = one_hot(support_y, self.n_way).any(dim=0)  # [B, K]

        def loss(theta: Weights, seen: Tensor, y: Tensor, there: Tensor) -> Tensor:
            logits = self._logits(theta, self.net.features(theta[:-2], seen) if self.whole else seen)
            return inner_loop.mean_cross_entropy(logits.where(there, ABSENT), y)

        steps, given = self.inner_steps if self.training else self.test_steps, (seen, support_y, there)
        theta = inner_loop.descend(loss, theta, self.inner_rate, self.order, steps, given)
        if self.whole:
            body = theta[:-2]
        if self.transductive:
            return self._logits(theta, self.net.features(body, query_x))
        together = self.net.features(body, torch.cat([support_x, query_x]), support=len(support_x))
        return self._logits(theta, together[len(support_x) :])

    def start(self) -> Weights:
        return (*self.net.body(), *self.net.head()) if self.whole else self.net.head()

    @property
    def waiting_shapes(self) -> Sequence[Sequence[int]]:
        return [self.input_shape if self.whole else (self.net.out_features,)]

    def prepare(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x if self.whole else self.net.features(self.net.body(), x, alone=True),)

    def answer(self, theta: Weights, *prepared: Tensor) -> Tensor:
        (x,) = prepared
        return self._logits(theta, self.net.features(theta[:-2], x, alone=True) if self.whole else x)

    def _logits(self, theta: Weights, features: Tensor) -> Tensor:
        """[N, B, D] -> [N, B, K]."""
        return linear(theta[-2], theta[-1], features)
