"""LSTM baseline (Santoro et al. 2016, section 4; the LSTM row of Babu et al. 2021, Table 1).

Pixels and the label shown with them go into one LSTM, and a linear layer reads its hidden state:

    h_t, c_t = LSTM([x_t, y_seen_t], h_{t-1}, c_{t-1})          logits_t = W h_t + b

Departure: none known; neither paper states the size it used here (Santoro: 200 units in MANN's controller).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn.labels import WRITTEN, Labels, amplify_labels, labels_for
from metamemory.settings import NotNegative, Number, Width
from metamemory.shapes import Float, Shaped


class LSTMState(NamedTuple):
    """Hidden and cell state, each [1, batch, hidden] float32 (torch's layout)."""

    h: Tensor
    c: Tensor


class LSTM(Learner):
    """A plain LSTM on pixels.

    Args:
        input_shape: (channel, height, width).
        n_way: how many labels, or how they are written (`nn.labels`).
        hidden: units of the LSTM.
        forget_bias: added to the forget gate at the start.
        label_gain: how many times larger than the others the weights are drawn that read the label.

    Example:
        >>> learner = LSTM((1, 28, 28), n_way=5)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "LSTM"
    paper = "santoro2016"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        hidden: Width = 200,
        forget_bias: Number = 1.0,
        label_gain: NotNegative = 1.0,
    ):
        super().__init__()
        self.labels = labels_for("lstm", n_way, *WRITTEN)
        self.lstm = nn.LSTM(torch.Size(input_shape).numel() + self.labels.inputs, hidden)
        nn.init.constant_(self.lstm.bias_ih_l0.data[hidden : 2 * hidden], forget_bias)
        self.classifier = nn.Linear(hidden, self.labels.outputs)
        amplify_labels(self.lstm.weight_ih_l0, self.labels, label_gain)

    def initial_state(self, batch: int) -> LSTMState:
        zero = self.classifier.weight.new_zeros(1, batch, self.lstm.hidden_size)
        return LSTMState(zero, zero)

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Shaped[Tensor, "time batch *label"], state: LSTMState
    ) -> tuple[Float[Tensor, "time batch outputs"], LSTMState]:
        h, last = self.lstm(torch.cat([x.flatten(2), self.labels(y_seen)], dim=-1), state)
        return self.classifier(h), LSTMState(*last)
