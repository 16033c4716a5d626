"""CL+LSTM: memory distributed over the layers (Babu, Savarese and Maire 2021, section 3.3, Figure 2).

    [x_t, y_seen_t planes] -> CL-1 -> pool -> CL-2 -> pool -> CL-3 -> pool -> CL-4 -> [., y_seen_t] -> LSTM -> logits
                                                     |______________________+

Four convolutional LSTM layers, an LSTM and a linear classifier. Nothing but their states changes within an
episode. Labels, one step late, can be shown to any set of layers: to a CL layer as `n_way` planes that are 1
in the plane of the label (all 0: null), to the LSTM one-hot beside the flattened features. The paper's best
model (its Table 2) shows them to CL-1 and to the LSTM.

From the paper: four CL layers, their equations, the skip connection from the second to the fourth layer,
the ways of injection. Recovered from its 0.40 GFLOPs: 28x28 images, 64 filters, 3x3 kernels, 2x2 pooling
after CL-1, CL-2 and CL-3. Our choices, where the paper says nothing: 256 units in the LSTM, max pooling, the
skip as a sum, batch normalisation (see `nn.conv_lstm`), a forget bias of 1.

Shape legend: T steps, B batch, C channels of x, K ways, F filters.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn.conv_lstm import ConvLSTM, ConvLSTMState
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.nn.precision import product_type
from metamemory.settings import Among, Items, Number, Range, Width
from metamemory.shapes import Float, Int


class CLLSTMState(NamedTuple):
    """States of the four CL layers, and h, c of the LSTM, each [1, B, hidden] float32."""

    cl: tuple[ConvLSTMState, ...]
    lstm: tuple[Tensor, Tensor]


class CLLSTM(Learner):
    """Convolutional LSTM layers, an LSTM, a classifier.

    Args:
        input_shape: (C, height, width).
        n_way: K, the number of labels.
        filters: F of each CL layer.
        hidden: units of the LSTM.
        pool_after: CL layers (1 to 4) whose output is max-pooled 2x2.
        inject: where labels are shown, any of "cl1" .. "cl4" and "lstm".
        normalise, statistics, gain: of the CL layers, see `ConvLSTM`.
        forget_bias: of all gates that forget, at the start.
        precision: "float32", "bfloat16" for the products inside convolutions, or "auto" for bfloat16 where the
            machine is faster with it.

    Raises:
        UserError: an unknown place in `inject`, pooling below one pixel, unknown `statistics` or `precision`.

    Example:
        >>> learner = CLLSTM((1, 28, 28), n_way=5)
        >>> learner(torch.rand(25, 8, 1, 28, 28), torch.full((25, 8), -1)).shape
        torch.Size([25, 8, 5])
    """

    title = "CL+LSTM"
    paper = "babu2021"
    layered_state = True
    n_layers = 4

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        filters: Width = 64,
        hidden: Width = 256,
        pool_after: Annotated[Sequence[Annotated[int, Range(least=1, most=4)]], Items(distinct=True)] = (1, 2, 3),
        inject: Annotated[Sequence[Annotated[str, Among("cl1", "cl2", "cl3", "cl4", "lstm")]], Items(distinct=True)] = (
            "cl1",
            "lstm",
        ),
        normalise: bool = True,
        forget_bias: Number = 1.0,
        gain: Number = 1.0,
        statistics: Annotated[str, Among("batch", "sample")] = "batch",
        precision: Annotated[str, Among("float32", "bfloat16", "auto")] = "float32",
    ):
        super().__init__()
        places = [f"cl{layer}" for layer in range(1, self.n_layers + 1)] + ["lstm"]
        if unknown := set(inject) - set(places):
            raise UserError(f"cl_lstm: inject names {sorted(unknown)}; choose from {', '.join(places)}")
        self.labels = labels_for("cl_lstm", n_way, Classes)
        n_way = self.labels.n_way
        channels, height, width = input_shape
        self.n_way, self.inject, self.pool_after = n_way, frozenset(inject), frozenset(pool_after)
        self.cl = nn.ModuleList()
        self.sizes = []
        for layer in range(1, self.n_layers + 1):
            self.sizes.append((height, width))
            in_channels = channels + n_way * (f"cl{layer}" in inject)
            cl = ConvLSTM(in_channels, filters, 3, normalise, forget_bias, gain, statistics, product_type(precision))
            self.cl.append(cl)
            channels = filters
            if layer in self.pool_after:
                height, width = height // 2, width // 2
        if height < 1:
            raise UserError(f"cl_lstm: pool_after {sorted(pool_after)} leaves nothing of {input_shape[1:]} images")
        self.lstm = nn.LSTM(filters * height * width + n_way * ("lstm" in inject), hidden)
        nn.init.constant_(self.lstm.bias_ih_l0.data[hidden : 2 * hidden], forget_bias)
        self.classifier = nn.Linear(hidden, n_way)

    def initial_state(self, batch: int) -> CLLSTMState:
        zero = self.classifier.weight.new_zeros(1, batch, self.lstm.hidden_size)
        cl = tuple(layer.initial_state(batch, size) for layer, size in zip(self.cl, self.sizes, strict=True))
        return CLLSTMState(cl, (zero, zero))

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: CLLSTMState
    ) -> tuple[Float[Tensor, "time batch n_way"], CLLSTMState]:
        label = one_hot(y_seen, self.n_way).to(self.classifier.weight.dtype)  # [T, B, K]
        cl_states, skip = [], None
        for layer, (cl, size, cl_state) in enumerate(zip(self.cl, self.sizes, state.cl, strict=True), start=1):
            if layer == 4:
                x = x + skip
            if f"cl{layer}" in self.inject:
                planes = label[..., None, None].expand(*label.shape, *size).to(x.dtype)
                x = torch.cat([x, planes], dim=2)
            x, cl_state = cl(x, cl_state)
            cl_states.append(cl_state)
            x = self._pool(x, layer)
            if layer == 2:
                skip = self._pool(x, 3)
        features = x.flatten(2).to(label.dtype)
        if "lstm" in self.inject:
            features = torch.cat([features, label], dim=-1)
        h, lstm_state = self.lstm(features, state.lstm)
        return self.classifier(h), CLLSTMState(tuple(cl_states), lstm_state)

    def _pool(self, x: Tensor, layer: int) -> Tensor:
        """What follows CL layer `layer`: 2x2 max pooling or nothing. [T, B, F, height, width]."""
        if layer not in self.pool_after:
            return x
        return fn.max_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
