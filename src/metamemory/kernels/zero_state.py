"""The gates of an LSTM cell whose state before the step is zero: an LSTM without time.

    h_0 = c_0 = 0:     i, o = sigmoid(a_i), sigmoid(a_o)   g = tanh(a_g)     c = i g     h = o tanh(c)

Nothing is there to be forgotten, so there is no forget gate. On the CPU this is one sweep over the maps each way, by C
functions (`zero_state.c`) that keep nothing but the pre-activations; elsewhere, and where there is no compiler, the
formulas below, differentiated by autograd, which are their reference.
"""

import ctypes

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.errors import UserError
from metamemory.kernels import native
from metamemory.kernels.operators import define, described
from metamemory.refusals import first_order
from metamemory.shapes import Float


def zero_state_gates(a: Float[Tensor, "images gates height width"]) -> Float[Tensor, "images filters height width"]:
    """h [N, F, H, W] from pre-activations a [N, 3F, H, W], in the order i, o, g along channels; of the same type.

    Raises:
        UserError: a is not of a floating type, or its channels are not three gates.
    """
    if a.device.type == "cpu" and native.available("zero_state", a.dtype):
        return _zero_state_gates(a.movedim(1, -1)).movedim(-1, 1)
    return zero_state_gates_reference(a)


def zero_state_gates_reference(
    a: Float[Tensor, "images gates height width"],
) -> Float[Tensor, "images filters height width"]:
    """`zero_state_gates` by its formulas; gates and cell in float32 at least."""
    _check(a, 1)
    wide = a if a.dtype == torch.float64 else a.float()
    i, o, g = wide.chunk(3, dim=1)
    return (o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()).to(a.dtype)


def _check(a: Tensor, channels: int) -> None:
    """Whether `a` has three gates along this axis."""
    if not a.is_floating_point() or a.dim() != 4 or a.shape[channels] % 3 or not a.shape[channels]:
        raise UserError(f"zero_state_gates: a is {described(a)}; it must be floating, its channels three gates")


def _library(a: Tensor) -> ctypes.CDLL:
    library = native.library("zero_state", a.dtype)
    if library is None:
        raise UserError(f"zero_state_gates: a is {described(a)}; this operator is compiled for float32 and bfloat16")
    return library


def _run(a: Tensor) -> Tensor:
    """On a [..., 3F], channels last."""
    h, a = _fake_run(a), a.contiguous()
    function = _library(a).forward
    native.call(function, (h.numel() // h.shape[-1], h.shape[-1]), (a, a.dtype, 3 * h.numel()), (h, a.dtype, h.numel()))
    return h


def _run_back(a: Tensor, d_h: Tensor) -> Tensor:
    a, d_h = a.contiguous(), d_h.contiguous()
    d_a, n, dtype = torch.empty_like(a), d_h.numel(), a.dtype
    function = _library(a).backward
    native.call(function, (n // d_h.shape[-1], d_h.shape[-1]), (a, dtype, 3 * n), (d_h, dtype, n), (d_a, dtype, 3 * n))
    return d_a


def _fake_run(a: Tensor) -> Tensor:
    _check(a, -1)
    return a.new_empty(*a.shape[:-1], a.shape[-1] // 3)


class _ZeroStateGates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        a = a.contiguous()
        ctx.save_for_backward(a)
        return _forward(a)

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_h):
        return _backward(*ctx.saved_tensors, d_h)


_forward = define("zero_state_gates_forward(Tensor a) -> Tensor", _run, _fake_run, products=False)
_backward = define(
    "zero_state_gates_backward(Tensor a, Tensor d_h) -> Tensor",
    _run_back,
    lambda a, d_h: a.new_empty(a.shape),
    products=False,
)
_zero_state_gates = define(
    "zero_state_gates(Tensor a) -> Tensor",
    _run,
    _fake_run,
    _ZeroStateGates,
    lambda a: zero_state_gates_reference(a.movedim(-1, 1)).movedim(1, -1),
    products=False,
)
