"""The convolutional embedding of few-shot learning: an image to a vector (Vinyals et al. 2016, section 4.1.1).

    four times: 3x3 convolution, batch normalisation, ReLU, 2x2 max pooling          then a linear layer

At 28x28 the maps shrink 28, 14, 7, 3, 1. A map of one pixel's height or width is not pooled further, so that
smaller images keep what they have: 14, 7, 3, 1, 1. Larger ones leave more than one pixel, which the linear
layer, if there is one, brings to the same number of features: 32, 16, 8, 4, 2.

In training, batch normalisation uses the statistics of all steps of all episodes of the batch; in evaluation
the running ones, so that no episode can see another and one step can be taken alone. A learner whose weights
differ from episode to episode asks for another normalisation.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from metamemory.shapes import Float


class Encoder(nn.Module):
    """Four convolutional blocks and a linear layer.

    Args:
        input_shape: (channel, height, width).
        features: length of the vector; None for the flattened maps as they are.
        filters: channels of each block.
        norm: makes the normalisation of so many channels.
        pools: how many of the blocks, from the first on, end with pooling.

    Attributes:
        out_features: length of the vector.

    Example:
        >>> Encoder((3, 32, 32), features=64)(torch.rand(25, 8, 3, 32, 32)).shape
        torch.Size([25, 8, 64])
    """

    n_blocks = 4

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        features: int | None = 64,
        filters: int = 64,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        pools: int = 4,
    ):
        super().__init__()
        channels, height, width = input_shape
        layers = []
        for block in range(1, self.n_blocks + 1):
            # no bias: the normalisation has one
            layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=False), norm(filters), nn.ReLU()]
            channels = filters
            if block <= pools and min(height, width) >= 2:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        self.blocks = nn.Sequential(*layers)
        flat = filters * height * width
        self.out_features = flat if features is None else features
        self.linear = nn.Identity() if features is None else nn.Linear(flat, features)

    def forward(self, x: Float[Tensor, "*lead channels height width"]) -> Float[Tensor, "*lead features"]:
        """x [..., channel, height, width] float32 -> [..., features]."""
        images = x.reshape(-1, *x.shape[-3:])
        # channels last, which convolutions and pooling are fastest in; `contiguous` would leave a single channel as is
        maps = self.blocks(images.to(memory_format=torch.channels_last))
        return self.linear(maps.flatten(1)).view(*x.shape[:-3], self.out_features)
