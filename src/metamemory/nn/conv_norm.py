"""A convolution with batch normalisation (Ioffe and Szegedy 2015), which convolutional networks are made of."""

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.kernels.batch_norm import batch_norm
from metamemory.shapes import Float


class ConvNorm(nn.Module):
    """3x3 convolution without bias, which the normalisation has; the statistics are of the batch in training, running
    ones in evaluation.

    Args:
        in_channels, filters: channels of x and of the result.
        stride: of the convolution.
        precision: type in which it multiplies, and of the result.

    Attributes:
        used: how many of the parameters have a part in the answer: all.
    """

    def __init__(self, in_channels: int, filters: int, stride: int = 1, precision: torch.dtype = torch.float32):
        super().__init__()
        self.stride, self.precision = stride, precision
        self.weight = nn.Parameter(torch.empty(filters, in_channels, 3, 3))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.gain, self.bias = nn.Parameter(torch.ones(filters)), nn.Parameter(torch.zeros(filters))
        self.register_buffer("running_mean", torch.zeros(filters))
        self.register_buffer("running_var", torch.ones(filters))

    @property
    def used(self) -> int:
        return sum(each.numel() for each in self.parameters())

    def forward(self, x: Float[Tensor, "images channels height width"]) -> Float[Tensor, "images filters _ _"]:
        """x [image, channel, height, width] -> [image, filters, height / stride, width / stride]."""
        product = torch.float64 if self.weight.dtype == torch.float64 else self.precision
        x = x.to(product).contiguous(memory_format=torch.channels_last)
        weight = self.weight.to(product, memory_format=torch.channels_last)
        u = fn.conv2d(x, weight, None, self.stride, padding=1)
        return batch_norm(u, self.running_mean, self.running_var, self.gain, self.bias, self.training)
