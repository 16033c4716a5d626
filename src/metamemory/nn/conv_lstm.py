"""A convolutional LSTM layer (Shi et al. 2015; Babu et al. 2021, eqs 1-5): a memory cell at every pixel.

    i, f, o = sigmoid(N(W_x * x_t) + W_h * h_{t-1} + b)        g = tanh(N(W_x * x_t) + W_h * h_{t-1} + b)
    c_t = f c_{t-1} + i g                                       h_t = o tanh(c_t)

No peepholes, as in the paper's equations. N is batch normalisation of the input part: the paper's appendix,
which is not public, cites batch normalisation and recurrent batch normalisation (Cooijmans et al. 2017);
where they sit is our choice. In training N uses the statistics of all steps and episodes of the batch, in
evaluation the running ones, so that `step` and a whole episode agree there and no episode can see another.
Its gain starts at 1, not at 0.1 as in Cooijmans et al., with which training was slower here.

Running statistics stand for those of the batch only where every step is of the same kind. Where some are not (queries,
which are shown no label, after a stream that is; episodes of other lengths than in training), N can be of each sample
by itself: a gate's maps at one step of one episode (Wu and He 2018, a group a gate), in training as in evaluation.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.kernels.batch_norm import batch_norm
from metamemory.kernels.conv_lstm import conv_lstm
from metamemory.shapes import Float


class ConvLSTMState(NamedTuple):
    """Hidden and cell state, each [batch, filters, height, width] float32."""

    h: Tensor
    c: Tensor


class ConvLSTM(nn.Module):
    """One layer over a whole sequence.

    Args:
        in_channels, filters: channels of x and of h.
        kernel: side of both kernels, odd; convolutions keep the size.
        normalise: the input part of the gates.
        statistics: of the normalisation, those of the "batch" or of each "sample".
        forget_bias: added to the forget gate at the start, so that a fresh layer remembers.
        gain: of the normalisation, at the start.
        precision: type in which convolutions multiply, and of the hidden states given to the next layer.

    Raises:
        UserError: `statistics` is neither of the two.

    Example:
        >>> layer = ConvLSTM(6, 64)
        >>> h, state = layer(torch.rand(25, 8, 6, 28, 28), layer.initial_state(8, (28, 28)))
        >>> h.shape
        torch.Size([25, 8, 64, 28, 28])
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: int = 3,
        normalise: bool = True,
        forget_bias: float = 1.0,
        gain: float = 1.0,
        statistics: str = "batch",
        precision: torch.dtype = torch.float32,
    ):
        super().__init__()
        if statistics not in ("batch", "sample"):
            raise UserError(f"statistics is {statistics!r} and must be batch or sample")
        self.filters, self.precision = filters, precision
        self.w_x = nn.Parameter(torch.empty(4 * filters, in_channels, kernel, kernel))
        self.w_h = nn.Parameter(torch.empty(4 * filters, filters, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(4 * filters))
        nn.init.xavier_uniform_(self.w_x)
        for gate in self.w_h.data.chunk(4):
            nn.init.orthogonal_(gate)
        nn.init.constant_(self.bias.data[filters : 2 * filters], forget_bias)
        self.normalise, self.statistics = normalise, statistics
        if normalise:
            self.gain = nn.Parameter(torch.full((4 * filters,), gain))
        if normalise and statistics == "batch":
            self.register_buffer("running_mean", torch.zeros(4 * filters))
            self.register_buffer("running_var", torch.ones(4 * filters))

    def initial_state(self, batch: int, size: tuple[int, int]) -> ConvLSTMState:
        """All zeros, for maps of `size` = (height, width)."""
        zero = self.w_h.new_zeros(batch, self.filters, *size)
        return ConvLSTMState(zero, zero)

    def _product(self) -> torch.dtype:
        """The type that convolutions multiply in: float64 in a layer that was made so."""
        return torch.float64 if self.w_x.dtype == torch.float64 else self.precision

    def forward(
        self, x: Float[Tensor, "time batch channels height width"], state: ConvLSTMState
    ) -> tuple[Float[Tensor, "time batch filters height width"], ConvLSTMState]:
        """x [time, batch, channel, height, width] -> h of every step, and the state after the last."""
        product = self._product()
        bias = None if self.normalise else self.bias.to(product)
        x_maps = x.flatten(0, 1).to(product).contiguous(memory_format=torch.channels_last)
        u = fn.conv2d(x_maps, self.w_x.to(product, memory_format=torch.channels_last), bias, padding="same")
        if self.normalise and self.statistics == "batch":
            u = batch_norm(u, self.running_mean, self.running_var, self.gain, self.bias, self.training)
        elif self.normalise:
            u = fn.group_norm(u, 4, self.gain, self.bias)
        h, c = conv_lstm(u.unflatten(0, x.shape[:2]), self.w_h, *state)
        return h, ConvLSTMState(h[-1].to(state.h.dtype), c)
