"""Small networks that read two numbers of a coordinate and write one, for very many coordinates with the same weights.

    lstm     a step for each pair read, then a linear layer          Hochreiter and Schmidhuber 1997, with forget gates
    mlp      two layers of ReLUs and a linear one

Layer by layer, that is many sweeps over arrays of 20 or 80 numbers a coordinate, all kept for the backward pass. C
functions (`generators.c`) take a few coordinates at a time through the whole network, in cache, and keep nothing: the
backward pass does the forward one again. They are used on the CPU, in float32, where what is read needs no gradient and
units come in fours; elsewhere, and where there is no compiler, the formulas below, which are their reference.

Shape legend: S steps, N coordinates, H units.
"""

from functools import partial

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.kernels import native
from metamemory.kernels.operators import agree, define, described
from metamemory.refusals import first_order
from metamemory.shapes import Float

FLOAT = torch.float32
MOST_UNITS = 64  # of the C functions, whose arrays on the stack have a place for each


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
        return _lstm(size, sign, *weights)
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
        return _mlp(size, sign, *weights)
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
        and hidden <= MOST_UNITS
        and size.numel() > 0
        and native.available("generators", torch.float32, HIDDEN=hidden)
    )


def _check(network: str, size: Tensor, sign: Tensor, *weights: Tensor) -> int:
    """The units of a network whose weights have the right sizes."""
    hidden = weights[2].shape[-1]
    gates = 4 * hidden if network == "lstm" else hidden
    sizes = [(gates, 2), (gates,), (gates, hidden), *([(hidden,)] if network == "mlp" else []), (1, hidden), (1,)]
    names = [f"weights[{n}]" for n in range(len(sizes))]
    read = {"size": (size, size.shape, (FLOAT,)), "sign": (sign, size.shape, (FLOAT,))}
    each = {name: (weight, size, (FLOAT,)) for name, weight, size in zip(names, weights, sizes, strict=True)}
    agree(f"generators.{network}", **read, **each)
    if hidden % 4 or not 0 < hidden <= MOST_UNITS or size.dim() != 1 + (network == "lstm") or not size.numel():
        raise UserError(
            f"generators.{network}: {hidden} units, {described(size)}; units come in fours, inputs as documented"
        )
    return hidden


def _arrays(*tensors: Tensor) -> list[native.Array]:
    return [(each, FLOAT, each.numel()) for each in tensors]


def _run(network: str, size: Tensor, sign: Tensor, *weights: Tensor) -> Tensor:
    hidden = _check(network, size, sign, *weights)
    size, sign, *weights = (each.contiguous() for each in (size, sign, *weights))
    out = size.new_empty(size.shape[-1])
    function = getattr(native.library("generators", FLOAT, HIDDEN=hidden), f"{network}_forward")
    native.call(function, tuple(size.shape), *_arrays(size, sign, *weights, out))
    return out


def _run_back(network: str, d_out: Tensor, size: Tensor, sign: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    """Gradients of the weights."""
    hidden = _check(network, size, sign, *weights)
    d_out, size, sign, *weights = (each.contiguous() for each in (d_out, size, sign, *weights))
    found = tuple(torch.empty_like(each) for each in weights)
    function = getattr(native.library("generators", FLOAT, HIDDEN=hidden), f"{network}_backward")
    native.call(function, tuple(size.shape), *_arrays(size, sign, *weights, d_out, *found))
    return found


def _fake_run(network: str, size: Tensor, sign: Tensor, *weights: Tensor) -> Tensor:
    _check(network, size, sign, *weights)
    return size.new_empty(size.shape[-1])


def _fake_run_back(d_out: Tensor, size: Tensor, sign: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    return tuple(each.new_empty(each.shape) for each in weights)


def _keep(ctx, size: Tensor, sign: Tensor, *weights: Tensor) -> None:
    if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:  # of a trace, say, that was made with others
        raise UserError("generators: a gradient of what is read is asked for; the formulas, `…_reference`, have it")
    ctx.save_for_backward(size, sign, *weights)


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, size, sign, *weights):
        _keep(ctx, size, sign, *weights)
        return _lstm_forward(size, sign, *weights)

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_out):
        return None, None, *_lstm_backward(d_out, *ctx.saved_tensors)


class _MLP(torch.autograd.Function):
    @staticmethod
    def forward(ctx, size, sign, *weights):
        _keep(ctx, size, sign, *weights)
        return _mlp_forward(size, sign, *weights)

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_out):
        return None, None, *_mlp_backward(d_out, *ctx.saved_tensors)


_READ = "Tensor size, Tensor sign"
_OF_LSTM = f"{_READ}, Tensor w_x, Tensor bias, Tensor w_h, Tensor w_out, Tensor b_out"
_OF_MLP = f"{_READ}, Tensor w_1, Tensor b_1, Tensor w_2, Tensor b_2, Tensor w_3, Tensor b_3"
_run_lstm, _fake_lstm = partial(_run, "lstm"), partial(_fake_run, "lstm")
_run_mlp, _fake_mlp = partial(_run, "mlp"), partial(_fake_run, "mlp")
_lstm_forward = define(f"generator_lstm_forward({_OF_LSTM}) -> Tensor", _run_lstm, _fake_lstm, products=False)
_lstm_backward = define(
    f"generator_lstm_backward(Tensor d_out, {_OF_LSTM}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    partial(_run_back, "lstm"),
    _fake_run_back,
    products=False,
)
_lstm = define(
    f"generator_lstm({_OF_LSTM}) -> Tensor", _run_lstm, _fake_lstm, _LSTM, lstm_reference, widen=True, products=False
)
_mlp_forward = define(f"generator_mlp_forward({_OF_MLP}) -> Tensor", _run_mlp, _fake_mlp, products=False)
_mlp_backward = define(
    f"generator_mlp_backward(Tensor d_out, {_OF_MLP}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    partial(_run_back, "mlp"),
    _fake_run_back,
    products=False,
)
_mlp = define(
    f"generator_mlp({_OF_MLP}) -> Tensor", _run_mlp, _fake_mlp, _MLP, mlp_reference, widen=True, products=False
)
