"""Small networks that read two numbers of a coordinate and write one, for very many coordinates with the same weights.

    lstm     a step for each pair read, then a linear layer          Hochreiter and Schmidhuber 1997, with forget gates
    mlp      two layers of ReLUs and a linear one

Layer by layer, that is many sweeps over arrays of 20 or 80 numbers a coordinate, all kept for the backward pass. C
functions (`generators.c`) take a few coordinates at a time through the whole network, in cache, and keep nothing: the
backward pass does the forward one again. They are used on the CPU, in float32, where what is read needs no gradient and
units come in fours; elsewhere, and where there is no compiler, the formulas below, which are their reference.

Shape legend: S steps, N coordinates, H units.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as fn

from metamemory.kernels import native
from metamemory.shapes import Float


def lstm(
    size: Float[Tensor, "steps coordinates"], sign: Float[Tensor, "steps coordinates"], *weights: Tensor
) -> Float[Tensor, " coordinates"]:
    """What is written after the last step.

    Args:
        size, sign: [S, N], what is read.
        weights: of the input [4H, 2] and its bias [4H], of the state [4H, H], gates in the order i, f, g, o; of the
            linear layer [1, H] and its bias [1].
    """
    if _native(weights[2].shape[1], size, sign, *weights):
        return _LSTM.apply(size.contiguous(), sign.contiguous(), *weights)
    return lstm_reference(size, sign, *weights)


def lstm_reference(
    size: Float[Tensor, "steps coordinates"], sign: Float[Tensor, "steps coordinates"], *weights: Tensor
) -> Float[Tensor, " coordinates"]:
    """`lstm` by its formulas."""
    h = c = size.new_zeros(size.shape[1], weights[2].shape[1])
    for read in torch.stack([size, sign], dim=-1).unbind():
        h, c = lstm_step(read, h, c, *weights[:3])
    return fn.linear(h, *weights[3:])[:, 0]


def lstm_step(
    read: Float[Tensor, "coordinates two"],
    h: Float[Tensor, "coordinates units"],
    c: Float[Tensor, "coordinates units"],
    w_x: Float[Tensor, "gates two"],
    bias: Float[Tensor, " gates"],
    w_h: Float[Tensor, "gates units"],
) -> tuple[Tensor, Tensor]:
    """h and c [N, H] after a step; read [N, 2]."""
    i, f, g, o = (fn.linear(read, w_x, bias) + fn.linear(h, w_h)).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def mlp(
    size: Float[Tensor, " coordinates"], sign: Float[Tensor, " coordinates"], *weights: Tensor
) -> Float[Tensor, " coordinates"]:
    """What is written.

    Args:
        size, sign: [N], what is read.
        weights: of the layers, [H, 2], [H], [H, H], [H], [1, H], [1].
    """
    if _native(len(weights[1]), size, sign, *weights):
        return _MLP.apply(size.contiguous(), sign.contiguous(), *weights)
    return mlp_reference(size, sign, *weights)


def mlp_reference(
    size: Float[Tensor, " coordinates"], sign: Float[Tensor, " coordinates"], *weights: Tensor
) -> Float[Tensor, " coordinates"]:
    """`mlp` by its formulas."""
    first = fn.relu(fn.linear(torch.stack([size, sign], dim=-1), *weights[:2]))
    return fn.linear(fn.relu(fn.linear(first, *weights[2:4])), *weights[4:])[:, 0]


def _native(hidden: int, size: Tensor, sign: Tensor, *weights: Tensor) -> bool:
    """Whether the C functions can do it."""
    every = (size, sign, *weights)
    return (
        all(each.device.type == "cpu" and each.dtype == torch.float32 for each in every)
        and not (size.requires_grad or sign.requires_grad)
        and hidden % 4 == 0
        and size.numel() > 0
        and _library(hidden) is not None
    )


def _library(hidden: int):
    return native.library("generators", torch.float32, HIDDEN=hidden)


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, size, sign, *weights):
        weights = [each.contiguous() for each in weights]
        ctx.save_for_backward(size, sign, *weights)
        out = size.new_empty(size.shape[1])
        native.call(_library(weights[2].shape[1]).lstm_forward, *size.shape, size, sign, *weights, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        size, sign, *weights = ctx.saved_tensors
        found = [torch.empty_like(each) for each in weights]
        function = _library(weights[2].shape[1]).lstm_backward
        native.call(function, *size.shape, size, sign, *weights, d_out.contiguous(), *found)
        return None, None, *found


class _MLP(torch.autograd.Function):
    @staticmethod
    def forward(ctx, size, sign, *weights):
        weights = [each.contiguous() for each in weights]
        ctx.save_for_backward(size, sign, *weights)
        out = torch.empty_like(size)
        native.call(_library(len(weights[1])).mlp_forward, len(size), size, sign, *weights, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        size, sign, *weights = ctx.saved_tensors
        found = [torch.empty_like(each) for each in weights]
        function = _library(len(weights[1])).mlp_backward
        native.call(function, len(size), size, sign, *weights, d_out.contiguous(), *found)
        return None, None, *found
