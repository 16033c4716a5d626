"""A convolutional LSTM layer without time (Babu et al. 2021, section 4.5): one step from a zero state.

    i, o = sigmoid(N(W_x * x) + b)     g = tanh(N(W_x * x) + b)     c = i g     h = o tanh(c)

It is `ConvLSTM` in the first step of an episode, where `W_h * h` is zero and the forget gate has nothing to keep; so
neither these hidden convolutions nor the part of W_x that belongs to the forget gate is computed, and what is computed
is the same. Both stay parameters of the layer, which could be run over time: the paper's parameter counts have them.
They get no gradient.
"""

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.kernels.batch_norm import batch_norm
from metamemory.kernels.zero_state import zero_state_gates
from metamemory.nn.conv_lstm import ConvLSTM
from metamemory.shapes import Float


class ZeroStateConvLSTM(ConvLSTM):
    """A ConvLSTM that takes images instead of sequences.

    Args:
        in_channels, filters, kernel, normalise, precision: see `ConvLSTM`.
        stride: of the convolution of x; that of h, were it computed, has the size of h.

    Attributes:
        used: how many of the parameters have a part in the answer.

    Example:
        >>> ZeroStateConvLSTM(3, 64)(torch.rand(8, 3, 32, 32)).shape
        torch.Size([8, 64, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        stride: int = 1,
        kernel: int = 3,
        normalise: bool = True,
        precision: torch.dtype = torch.float32,
    ):
        super().__init__(in_channels, filters, kernel, normalise, precision=precision)
        self.stride = stride

    @property
    def used(self) -> int:
        return sum(3 * each.numel() // 4 for name, each in self.named_parameters() if name != "w_h")

    def forward(self, x: Float[Tensor, "images channels height width"]) -> Float[Tensor, "images filters _ _"]:
        """x [image, channel, height, width] -> h [image, filters, height / stride, width / stride]."""
        product = self._product()
        w_x = self._used(self.w_x).to(product, memory_format=torch.channels_last)
        bias = self._used(self.bias)
        x = x.to(product).contiguous(memory_format=torch.channels_last)
        padding = w_x.shape[-1] // 2
        if not self.normalise:
            return zero_state_gates(fn.conv2d(x, w_x, bias.to(product), self.stride, padding))
        u = fn.conv2d(x, w_x, None, self.stride, padding)
        mean, var = self._used(self.running_mean), self._used(self.running_var)
        u = batch_norm(u, mean, var, self._used(self.gain), bias, self.training)
        if self.training:
            for kept, new in ((self.running_mean, mean), (self.running_var, var)):
                kept[: self.filters], kept[2 * self.filters :] = new[: self.filters], new[self.filters :]
        return zero_state_gates(u)

    def _used(self, by_gate: Tensor) -> Tensor:
        """[4F, ...] of the gates i, f, o, g -> [3F, ...] of i, o, g."""
        return torch.cat([by_gate[: self.filters], by_gate[2 * self.filters :]])
