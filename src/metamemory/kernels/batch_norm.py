"""Batch normalisation of maps whose channels lie last, on the CPU; elsewhere torch's own.

    n = gain (u - mean) / sqrt(var + eps) + bias

(Ioffe and Szegedy 2015), with mean and var of a channel over everything else. torch's backward pass for channels that
lie last takes as long as all of a layer's convolutions. Here it is two sweeps, as forward is: one for the sums, one
that uses them (`batch_norm.c`):

    d_bias = sum d       d_gain = sum d x       d_u = gain / sqrt(var + eps) (d - d_bias / M - x d_gain / M)

with x the normalised u before gain and bias, and M values a channel.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as fn

from metamemory.kernels import native
from metamemory.shapes import Float

EPS, MOMENTUM = 1e-5, 0.1  # torch's defaults


def batch_norm(
    u: Float[Tensor, "images channels height width"],
    mean: Float[Tensor, " channels"],
    var: Float[Tensor, " channels"],
    gain: Float[Tensor, " channels"],
    bias: Float[Tensor, " channels"],
    training: bool,
) -> Float[Tensor, "images channels height width"]:
    """`torch.nn.functional.batch_norm` with its defaults.

    Args:
        u: [N, C, H, W] float32 or bfloat16.
        mean, var: [C] running statistics; used in evaluation, updated in training.
        gain, bias: [C] float32.
        training: normalise by the statistics of u, over N, H and W.
    """
    on_cpu = u.device.type == "cpu" and gain.dtype == torch.float32
    if not (training and on_cpu and native.library("batch_norm", u.dtype)):
        return fn.batch_norm(u, mean, var, gain, bias, training, MOMENTUM, EPS)
    rows = u.movedim(1, -1).contiguous()
    n, batch_mean, batch_var = _BatchNorm.apply(rows, gain, bias)
    count = rows[..., 0].numel()
    with torch.no_grad():
        mean.lerp_(batch_mean, MOMENTUM)
        var.lerp_(batch_var * (count / max(count - 1, 1)), MOMENTUM)
    return n.movedim(-1, 1)


class _BatchNorm(torch.autograd.Function):
    """On u [..., C], contiguous; also returns mean and var [C]."""

    @staticmethod
    def forward(ctx, u, gain, bias):
        count = u[..., 0].numel()
        pivot = u.flatten(0, -2)[0].float()  # not far from the mean: the square of the mean is to cancel little
        first, second = _sums(u, None, pivot)
        mean, var = pivot + first / count, second / count - (first / count) ** 2
        scale = (var + EPS).rsqrt()
        ctx.save_for_backward(u, gain, mean, scale)
        ctx.mark_non_differentiable(mean, var)
        n = _combine(u, gain * scale, u, torch.zeros_like(gain), bias - mean * gain * scale)
        return n, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx, d, *_):
        u, gain, mean, scale = ctx.saved_tensors
        count, d = u[..., 0].numel(), d.contiguous()
        d_bias, d_gain = _sums(u, d, mean)
        d_gain = d_gain * scale
        of_d, of_u = gain * scale, -gain * scale**2 * d_gain / count
        return _combine(d, of_d, u, of_u, -of_d * d_bias / count - of_u * mean), d_gain, d_bias


def _sums(u: Tensor, d: Tensor | None, pivot: Tensor) -> Tensor:
    """[2, C]: for each channel the sums of x and of x (u - pivot), where x is d, or u - pivot without d."""
    sums = torch.empty(2, u.shape[-1], dtype=torch.float64)
    native.call(native.library("batch_norm", u.dtype).sums, u[..., 0].numel(), u.shape[-1], u, d, pivot, sums)
    return sums.float()


def _combine(x: Tensor, p: Tensor, y: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """p x + q y + r with p, q, r [C] of the channel."""
    out = torch.empty_like(x)
    native.call(native.library("batch_norm", x.dtype).combine, x[..., 0].numel(), x.shape[-1], x, y, p, q, r, out)
    return out
