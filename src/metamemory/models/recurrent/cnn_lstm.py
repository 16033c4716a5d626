"""CNN+LSTM and CNN-F+LSTM (Babu et al. 2021, Table 2): a CNN pre-trained with MAML, and an LSTM on its features.

    before       logits = U CNN(x) + a    U, a and the CNN adapted to each episode by gradient descent (`nn.inner_loop`)
    then         h_t, c_t = LSTM([N(CNN(x_t)) / sqrt(D), y_seen_t], h_{t-1}, c_{t-1})       logits_t = W h_t + b

"These pre-trained networks replace the ConvLSTM part and are jointly trained with the LSTM (which receives the labels)
and classifier" (section 4.1). In the stream no gradient is taken: all that is learned within an episode is in the LSTM.
The head U, a serves the pre-training only. Which stages are pre-training, the curriculum says.

From the papers: second order; one inner step of rate 0.4 (Finn et al. 2017, for Omniglot, 5-way 1-shot); a CNN with the
four layers and the pooling of CL+LSTM, of which it takes the place.

Our choices, where they say nothing: how long to pre-train; N, batch normalisation of each feature, over all steps and
episodes of the batch in training, by running statistics in evaluation; with sqrt(D) it makes features about as long as
the label beside them. Without N, a CNN that goes on learning loses what it was pre-trained for: to an LSTM that does
not yet connect features with labels their variety is noise, and within some hundred updates it is gone.

Departures: no skip connection; layer normalisation (Ba et al. 2016), over the channels and pixels of a sample, in place
of MAML's batch normalisation. The statistics of a batch would let a query's answer depend on the queries beside it, and
a stream has none to offer; with each sample normalised on its own, the CNN is the same function in pre-training, in the
stream and in evaluation.

Shape legend: T steps, N support samples, Q queries, B batch, K ways, D features.
"""

import math
from functools import partial
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn import inner_loop
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Number, Order, Positive, Range, Width
from metamemory.shapes import Float, Int


class LSTMState(NamedTuple):
    """Hidden and cell state, each [1, B, hidden] float32 (torch's layout)."""

    h: Tensor
    c: Tensor


class CNNLSTM(Learner):
    """Four convolutional blocks, an LSTM, a classifier.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        filters: of each block.
        hidden: units of the LSTM.
        pools: blocks, from the first on, whose output is max-pooled 2x2.
        inner_steps: of gradient descent on a support set.
        inner_rate: of that descent.
        order: 2 for MAML, 1 for its first-order variant.
        forget_bias: added to the forget gate at the start.
        frozen: the CNN stays as it was pre-trained; no gradient of the stream reaches it.

    Raises:
        UserError: `order` is neither 1 nor 2.

    Example:
        >>> learner = CNNLSTM((1, 28, 28), n_way=5)
        >>> learner(torch.rand(25, 8, 1, 28, 28), torch.full((25, 8), -1)).shape
        torch.Size([25, 8, 5])
        >>> support, queries = torch.rand(5, 8, 1, 28, 28), torch.rand(25, 8, 1, 28, 28)
        >>> learner.answer_queries(support, torch.arange(5)[:, None].expand(5, 8), queries).shape
        torch.Size([25, 8, 5])
    """

    title = "CNN+LSTM"
    paper = "babu2021"
    adapts = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        filters: Width = 64,
        hidden: Width = 256,
        pools: Annotated[int, Range(least=0, most=4)] = 3,
        inner_steps: Annotated[int, Range(least=1, most=1000)] = 1,
        inner_rate: Positive = 0.4,
        order: Order = 2,
        forget_bias: Number = 1.0,
        frozen: bool = False,
    ):
        super().__init__()
        inner_loop.require_order("cnn_lstm", order)
        self.labels = labels_for("cnn_lstm", n_way, Classes)
        self.n_way = n_way = self.labels.n_way
        self.inner_steps, self.inner_rate, self.order, self.frozen = inner_steps, inner_rate, order, frozen
        self.encoder = Encoder(input_shape, None, filters, partial(nn.GroupNorm, 1), pools)
        self.head = nn.Linear(self.encoder.out_features, n_way)
        self.normalise = nn.BatchNorm1d(self.encoder.out_features, affine=False)
        self.lstm = nn.LSTM(self.encoder.out_features + n_way, hidden)
        nn.init.constant_(self.lstm.bias_ih_l0.data[hidden : 2 * hidden], forget_bias)
        self.classifier = nn.Linear(hidden, n_way)

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Int[Tensor, "support batch"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch n_way"]:
        """Pre-training. support_x [N, B, channel, height, width], support_y [N, B], query_x [Q, B, ...] -> logits
        [Q, B, K] of the adapted CNN and head, each query on its own."""
        model = nn.Sequential(self.encoder.blocks, nn.Flatten(), self.head)
        theta = inner_loop.adapt(model, support_x, support_y, self.inner_steps, self.inner_rate, self.order)
        return inner_loop.answer(model, theta, query_x)

    def initial_state(self, batch: int) -> LSTMState:
        zero = self.classifier.weight.new_zeros(1, batch, self.lstm.hidden_size)
        return LSTMState(zero, zero)

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: LSTMState
    ) -> tuple[Float[Tensor, "time batch n_way"], LSTMState]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.encoder(x).flatten(0, 1)
        features = self.normalise(features).unflatten(0, x.shape[:2]) / math.sqrt(features.shape[1])  # [T, B, D]
        h, last = self.lstm(torch.cat([features, one_hot(y_seen, self.n_way)], dim=-1), state)
        return self.classifier(h), LSTMState(*last)
