"""Ridge regression on learned features, R2-D2 (Bertinetto, Henriques, Torr and Vedaldi 2019).

The last layer is not learned by gradient descent but solved for in every episode, in closed form, and gradients go
through the solution into the network. With the embeddings of the support set, and a 1 for the bias, as rows of X, and
their labels as one-hot rows of Y, both divided by the root of the number of samples:

    W = (X^T X + lambda I)^-1 X^T Y = X^T (X X^T + lambda I)^-1 Y        logits = alpha x W + beta

(their section 3.2). The second form, by the identity of Woodbury, solves for as many unknowns as there are samples,
which are few; the first for as many as there are features. The smaller is taken.

No weight belongs to a label, so that the same weights answer with any number of classes and of samples of each; as for
Prototypical networks, the paper trains with more classes than it tests with.

From the paper and the authors' code: all of the above; alpha, which begins at 10 (at 0.0001 on miniImageNet), and beta,
at 0, which is the same for all classes and so has no part in a softmax; lambda begins at 50. Here lambda is learned,
through its logarithm; in the authors' code it stays. The network is that of Prototypical networks, as their smaller
one, without their dropout; their larger one has 96 to 512 filters. Support set and queries go
through it together; running statistics in evaluation, so that a query is answered on its own: not transductive.

In a stream, which the paper does not have, X^T X and X^T Y are summed over the samples labelled so far: recursive least
squares, with constant memory.

Shape legend: T steps, S support samples, Q queries, B batch, K ways, D features, the 1 among them.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Positive, Width
from metamemory.shapes import Float, Int


class RidgeState(NamedTuple):
    """Embeddings without a label yet [delay, B, D]; of the labelled ones X^T X [B, D, D] and X^T Y [B, D, K], not yet
    divided, and how many they are [B]; float32."""

    waiting: Tensor
    squares: Tensor
    products: Tensor
    count: Tensor


class Ridge(Learner):
    """A linear layer in closed form.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label, in a stream.
        filters: channels of each block of the encoder.
        scale: alpha at the beginning.
        penalty: lambda at the beginning.

    Example:
        >>> learner = Ridge((1, 28, 28), n_way=5)
        >>> support, queries = torch.rand(5, 8, 1, 28, 28), torch.rand(25, 8, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 8), queries).shape
        torch.Size([25, 8, 5])
    """

    title = "Ridge regression (R2-D2)"
    paper = "bertinetto2019"
    needs_delay = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        scale: Positive = 10.0,
        penalty: Positive = 50.0,
    ):
        super().__init__()
        self.labels = labels_for("ridge", n_way, Classes)
        self.n_way, self.delay = self.labels.n_way, delay
        self.encoder = Encoder(input_shape, None, filters)
        self.scale, self.bias = nn.Parameter(torch.tensor(scale)), nn.Parameter(torch.zeros(()))
        self.log_penalty = nn.Parameter(torch.tensor(math.log(penalty)))

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch n_way"]:
        """As in `Learner`. A class without a sample in the support set has the logit beta."""
        x, x_query = self._embedded(torch.cat([support_x, query_x])).split([len(support_x), len(query_x)])
        size = math.sqrt(len(x))
        w = self._solved(x.transpose(0, 1) / size, one_hot(support_y, self.n_way).to(x).transpose(0, 1) / size)
        return self._logits(x_query, w)

    def _solved(self, x: Tensor, y: Tensor) -> Tensor:
        """W [B, D, K] of x [B, S, D] and y [B, S, K]."""
        if x.shape[1] <= x.shape[2]:
            return x.mT @ torch.linalg.solve(x @ x.mT + self._penalty(x.shape[1]), y)
        return torch.linalg.solve(x.mT @ x + self._penalty(x.shape[2]), x.mT @ y)

    def _penalty(self, size: int) -> Tensor:
        """lambda I."""
        return self.log_penalty.exp() * torch.eye(size, device=self.scale.device, dtype=self.scale.dtype)

    def _embedded(self, images: Tensor) -> Tensor:
        """[..., channel, height, width] -> [..., D]."""
        return fn.pad(self.encoder(images), (0, 1), value=1.0)

    def _logits(self, x: Tensor, w: Tensor) -> Tensor:
        """x [T, B, D], w [..., B, D, K] -> [T, B, K]."""
        return self.scale * (x[..., None, :] @ w)[..., 0, :] + self.bias

    def initial_state(self, batch: int) -> RidgeState:
        zeros, features = self.scale.new_zeros, self.encoder.out_features + 1
        return RidgeState(
            waiting=zeros(self.delay, batch, features),
            squares=zeros(batch, features, features),
            products=zeros(batch, features, self.n_way),
            count=zeros(batch),
        )

    def run(
        self,
        x: Float[Tensor, "time batch channel height width"],
        y_seen: Int[Tensor, "time batch"],
        state: RidgeState,
    ) -> tuple[Float[Tensor, "time batch n_way"], RidgeState]:
        z = self._embedded(x)  # [T, B, D]
        labelled, waiting = until_labelled(state.waiting, z)
        y = one_hot(y_seen, self.n_way).to(z)  # [T, B, K], all 0 where no label is shown
        known = y.sum(dim=-1)
        counts = state.count + known.cumsum(dim=0)  # [T, B]
        rows = labelled * known[..., None]
        squares = state.squares + (rows[..., :, None] * rows[..., None, :]).cumsum(dim=0)  # [T, B, D, D]
        products = state.products + (rows[..., :, None] * y[..., None, :]).cumsum(dim=0)  # [T, B, D, K]
        size = counts.clamp(min=1)[..., None, None]
        w = torch.linalg.solve(squares / size + self._penalty(z.shape[-1]), products / size)
        return self._logits(z, w), RidgeState(waiting, squares[-1], products[-1], counts[-1])
