"""The gates of an LSTM cell whose state before the step is zero: an LSTM without time.

    h_0 = c_0 = 0:     i, o = sigmoid(a_i), sigmoid(a_o)   g = tanh(a_g)     c = i g     h = o tanh(c)

Nothing is there to be forgotten, so there is no forget gate. On the CPU this is one sweep over the maps each way, by C
functions (`zero_state.c`) that keep nothing but the pre-activations; elsewhere, and where there is no compiler, the
formulas below, differentiated by autograd, which are their reference.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.kernels import native
from metamemory.shapes import Float


def zero_state_gates(a: Float[Tensor, "images gates height width"]) -> Float[Tensor, "images filters height width"]:
    """h [N, F, H, W] from pre-activations a [N, 3F, H, W], in the order i, o, g along channels; of the same type."""
    if a.device.type == "cpu" and native.library("zero_state", a.dtype) is not None:
        return _ZeroStateGates.apply(a.movedim(1, -1).contiguous()).movedim(-1, 1)
    return zero_state_gates_reference(a)


def zero_state_gates_reference(
    a: Float[Tensor, "images gates height width"],
) -> Float[Tensor, "images filters height width"]:
    """`zero_state_gates` by its formulas; gates and cell in float32 at least."""
    wide = a if a.dtype == torch.float64 else a.float()
    i, o, g = wide.chunk(3, dim=1)
    return (o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()).to(a.dtype)


class _ZeroStateGates(torch.autograd.Function):
    """On a [..., 3F], contiguous."""

    @staticmethod
    def forward(ctx, a):
        filters = a.shape[-1] // 3
        h = a.new_empty(*a.shape[:-1], filters)
        native.call(native.library("zero_state", a.dtype).forward, h[..., 0].numel(), filters, a, h)
        ctx.save_for_backward(a)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, d_h):
        (a,) = ctx.saved_tensors
        d_a, filters = torch.empty_like(a), a.shape[-1] // 3
        rows = a[..., 0].numel()
        native.call(native.library("zero_state", a.dtype).backward, rows, filters, a, d_h.contiguous(), d_a)
        return d_a
