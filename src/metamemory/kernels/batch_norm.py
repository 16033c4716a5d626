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

from metamemory.errors import UserError
from metamemory.kernels import native
from metamemory.kernels.operators import agree, define, described
from metamemory.refusals import first_order
from metamemory.shapes import Float

EPS, MOMENTUM = 1e-5, 0.1  # torch's defaults
FLOAT = torch.float32


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
    on_cpu = u.device.type == "cpu" and all(each.dtype == FLOAT for each in (gain, bias, mean, var))
    if not (training and on_cpu and u.numel() and native.available("batch_norm", u.dtype)):
        return fn.batch_norm(u, mean, var, gain, bias, training, MOMENTUM, EPS)
    rows = u.movedim(1, -1).contiguous()
    n, batch_mean, batch_var = _batch_norm(rows, gain, bias)
    count = rows[..., 0].numel()
    with torch.no_grad():
        mean.lerp_(batch_mean, MOMENTUM)
        var.lerp_(batch_var * (count / (count - 1) if count > 1 else 1.0), MOMENTUM)
    return n.movedim(-1, 1)


def _run(u: Tensor, gain: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """On u [..., C], contiguous: n, and mean, var and 1 / sqrt(var + eps) [C]."""
    _check(u, gain, bias)
    u = u.contiguous()
    count = u[..., 0].numel()
    pivot = u.flatten(0, -2)[0].float()  # not far from the mean: the square of the mean is to cancel little
    first, second = _sums(u, None, pivot)
    mean, var = pivot + first / count, second / count - (first / count) ** 2
    scale = (var + EPS).rsqrt()
    return _combine(u, gain * scale, u, torch.zeros_like(gain), bias - mean * gain * scale), mean, var, scale


def _run_back(u: Tensor, gain: Tensor, mean: Tensor, scale: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of u, gain and bias."""
    u, d = u.contiguous(), d.contiguous()
    count = u[..., 0].numel()
    d_bias, d_gain = _sums(u, d, mean)
    d_gain = d_gain * scale
    of_d, of_u = gain * scale, -gain * scale**2 * d_gain / count
    return _combine(d, of_d, u, of_u, -of_d * d_bias / count - of_u * mean), d_gain, d_bias.clone()


def _formula(u: Tensor, gain: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    var, mean = torch.var_mean(u.float(), dim=(0, 1, 2), correction=0)
    return ((u - mean) * (var + EPS).rsqrt() * gain + bias).to(u.dtype), mean.detach(), var.detach()


def _sums(u: Tensor, d: Tensor | None, pivot: Tensor) -> Tensor:
    """[2, C]: for each channel the sums of x and of x (u - pivot), where x is d, or u - pivot without d."""
    channels, maps = u.shape[-1], u.numel()
    sums = torch.empty(2, channels, dtype=torch.float64)
    arrays = (u, u.dtype, maps), (d, u.dtype, maps), (pivot, FLOAT, channels), (sums, torch.float64, 2 * channels)
    native.call(native.library("batch_norm", u.dtype).sums, (maps // channels, channels), *arrays)
    return sums.float()


def _combine(x: Tensor, p: Tensor, y: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """p x + q y + r with p, q, r [C] of the channel."""
    out, channels, maps = torch.empty_like(x), x.shape[-1], x.numel()
    factors = ((each, FLOAT, channels) for each in (p, q, r))
    arrays = (x, x.dtype, maps), (y, x.dtype, maps), *factors, (out, x.dtype, maps)
    native.call(native.library("batch_norm", x.dtype).combine, (maps // channels, channels), *arrays)
    return out


def _check(u: Tensor, gain: Tensor, bias: Tensor) -> None:
    if not u.numel():
        raise UserError(f"batch_norm: u is {described(u)}; an empty batch has no statistics")
    agree(
        "batch_norm",
        u=(u, u.shape, (FLOAT, torch.bfloat16)),
        gain=(gain, u.shape[-1:], (FLOAT,)),
        bias=(bias, u.shape[-1:], (FLOAT,)),
    )


def _fake_run(u: Tensor, gain: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    _check(u, gain, bias)
    return u.new_empty(u.shape), *(gain.new_empty(gain.shape) for _ in range(3))


def _fake_run_back(u: Tensor, gain: Tensor, mean: Tensor, scale: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return u.new_empty(u.shape), gain.new_empty(gain.shape), gain.new_empty(gain.shape)


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, gain, bias):
        n, mean, var, scale = _forward(u, gain, bias)
        ctx.save_for_backward(u, gain, mean, scale)
        ctx.mark_non_differentiable(mean, var)
        return n, mean, var

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d, *_):
        return _backward(*ctx.saved_tensors, d)


_INPUTS = "Tensor u, Tensor gain, Tensor bias"
_forward = define(f"batch_norm_forward({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor)", _run, _fake_run, products=False)
_backward = define(
    "batch_norm_backward(Tensor u, Tensor gain, Tensor mean, Tensor scale, Tensor d) -> (Tensor, Tensor, Tensor)",
    _run_back,
    _fake_run_back,
    products=False,
)
_batch_norm = define(
    f"batch_norm({_INPUTS}) -> (Tensor, Tensor, Tensor)",
    lambda *inputs: _run(*inputs)[:3],
    lambda *inputs: _fake_run(*inputs)[:3],
    _BatchNorm,
    _formula,
    products=False,
)
