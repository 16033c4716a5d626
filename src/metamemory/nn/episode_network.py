"""The four convolutions of few-shot learning, with weights of each episode's own (Finn et al. 2017, section 5.2).

    four times: 3x3 convolution, batch normalisation, ReLU, and 2x2 max pooling or else a stride of 2     a linear layer

All episodes of a batch are computed at once: their channels lie side by side, [N, B C, H, W], so that a convolution in
B groups has weights for each, and batch normalisation, which takes the statistics of a channel, takes those of each
episode's samples. Weights may also be the same in all episodes; then they have no dimension for them.

Statistics are never running ones: they are of the samples that are put through together, of an episode. So is the code
of Finn et al. and of Nichol et al. (2018). Then answers to queries that are put through together depend on one another
(transductive), unless the statistics are of the support set (`support`), or each sample is normalised on its own, over
its channels and pixels (`alone`: layer normalisation, Ba et al. 2016), as in a stream.

A map of one pixel's height or width is not pooled further, so that smaller images keep what they have.

Shape legend: N samples, B episodes, C channels, H height, W width, K ways, D features.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.shapes import Float

BLOCKS = 4
SMALLEST_VARIANCE = 1e-5  # added to a variance, so that it can be divided by


class Block(NamedTuple):
    """A convolution [F, C, 3, 3] and its normalisation's gain [F] and bias [F]; or with [B] before, of each episode."""

    weight: Tensor
    gain: Tensor
    bias: Tensor


class EpisodeNetwork(nn.Module):
    """Four blocks and a linear layer, as functions of their weights.

    Args:
        input_shape: (C, H, W).
        n_way: K.
        filters: of each block.
        strided: a stride of 2 in place of pooling.
        average: the linear layer reads the mean over pixels of the last maps; else the maps as they are.

    Attributes:
        out_features: D.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int,
        filters: int = 64,
        strided: bool = True,
        average: bool = True,
    ):
        super().__init__()
        channels, height, width = input_shape
        self.strided, self.average = strided, average
        self.weights, self.gains, self.biases = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for _ in range(BLOCKS):
            # no bias: the normalisation has one
            weight = torch.empty(filters, channels, 3, 3)
            nn.init.xavier_uniform_(weight)
            self.weights.append(nn.Parameter(weight))
            self.gains.append(nn.Parameter(torch.ones(filters)))
            self.biases.append(nn.Parameter(torch.zeros(filters)))
            channels = filters
            if strided:
                height, width = (height + 1) // 2, (width + 1) // 2
            elif min(height, width) >= 2:
                height, width = height // 2, width // 2
        self.out_features = filters if average else filters * height * width
        self.linear = nn.Linear(self.out_features, n_way)

    def body(self) -> tuple[Tensor, ...]:
        """Weights of the blocks: of each its convolution, gain and bias."""
        return tuple(each for block in zip(self.weights, self.gains, self.biases, strict=True) for each in block)

    def head(self) -> tuple[Tensor, ...]:
        """Weights of the linear layer: [K, D] and [K]."""
        return self.linear.weight, self.linear.bias

    def features(
        self,
        body: tuple[Tensor, ...],
        x: Float[Tensor, "samples *more batch channel height width"],
        support: int | None = None,
        alone: bool = False,
    ) -> Float[Tensor, "samples *more batch features"]:
        """What the blocks make of x.

        Args:
            body: as `body` has it, or each with [B] before it.
            x: [N, ..., B, C, H, W].
            support: statistics are of the first so many of the N samples; None for all of them. Those with another
                place in `...` are never put together.
            alone: each sample is normalised on its own.
        """
        lead, batch = x.shape[:-4], x.shape[-4]
        maps = x.reshape(-1, batch, *x.shape[-3:])
        for at in range(0, len(body), 3):
            block = Block(*body[at : at + 3])
            maps = convolved(maps, block.weight, 2 if self.strided else 1)
            maps = (layer_normalised(maps, block) if alone else normalised(maps, block, lead, support)).relu()
            if not self.strided and min(maps.shape[-2:]) >= 2:
                maps = fn.max_pool2d(maps.flatten(1, 2), 2).unflatten(1, maps.shape[1:3])
        found = maps.mean(dim=(-2, -1)) if self.average else maps.flatten(2)
        return found.view(*lead, batch, -1)


def convolved(maps: Tensor, weight: Tensor, stride: int) -> Tensor:
    """[M, B, C, H, W] with [F, C, 3, 3], or [B, F, C, 3, 3] -> [M, B, F, H / stride, W / stride]."""
    samples, batch = maps.shape[:2]
    if weight.dim() == 4:
        return fn.conv2d(maps.flatten(0, 1), weight, None, stride, padding=1).unflatten(0, (samples, batch))
    found = fn.conv2d(maps.flatten(1, 2), weight.flatten(0, 1), None, stride, padding=1, groups=batch)
    return found.unflatten(1, (batch, -1))


def normalised(maps: Tensor, block: Block, lead: torch.Size, support: int | None) -> Tensor:
    """[M, B, F, H, W], M being all of `lead`, (N, ...): less the mean and by the deviation of each channel over the N
    and all pixels, times the gain, plus the bias."""
    samples, others = lead[0], math.prod(lead[1:])
    size = maps.shape
    gain, bias = (each.expand(others, size[1], size[2]).flatten() for each in (block.gain, block.bias))
    side_by_side = maps.reshape(samples, -1, *size[-2:])  # [N, ... B F, H, W]
    if support is None:
        found = torch.batch_norm(side_by_side, gain, bias, None, None, True, 0.0, SMALLEST_VARIANCE, True)
    else:
        variance, mean = torch.var_mean(side_by_side[:support], dim=(0, 2, 3), correction=0, keepdim=True)
        scale = gain[:, None, None] * (variance + SMALLEST_VARIANCE).rsqrt()
        found = (side_by_side - mean) * scale + bias[:, None, None]
    return found.view(size)


def layer_normalised(maps: Tensor, block: Block) -> Tensor:
    """[M, B, F, H, W]: each sample's by its own mean and deviation over F, H, W, then gain and bias of the channels."""
    batch, filters = maps.shape[1:3]
    gain, bias = (each.expand(batch, filters).flatten() for each in (block.gain, block.bias))
    return fn.group_norm(maps.flatten(1, 2), batch, gain, bias, SMALLEST_VARIANCE).unflatten(1, (batch, filters))
