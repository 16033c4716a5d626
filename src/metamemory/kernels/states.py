"""Neurons and synapses of several states: what is done to each number of them, between products of matrices.

    normalised_tanh   tanh(mean_c + deviation_c (z - centre) / sqrt(variance + eps)), of each neuron over the samples
    grown             keep w / (1 + bound sum_r w_rj^2) + rate hebb

Each costs a dozen sweeps in functions of torch, forwards and backwards, and there are many between small products. On
the CPU each is one C function, which sweeps over a plane, the numbers of one state of one network, while it is in the
cache (`states.c`); elsewhere, in other types, and where there is no compiler, the formulas below.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.kernels import native
from metamemory.kernels.operators import agree, define
from metamemory.refusals import first_order
from metamemory.shapes import Float

EPS = 1e-5
FLOAT = torch.float32


def normalised_tanh(
    z: Float[Tensor, "batch states rows columns"], mean: Float[Tensor, " states"], deviation: Float[Tensor, " states"]
) -> Float[Tensor, "batch states rows columns"]:
    """tanh of z [B, k, M, J], each neuron's state normalised over the M samples, to a mean and a deviation [k]."""
    if _compiled(z, mean, deviation):
        return _normalised_tanh(z, mean, deviation)[0]
    return normalised(z, mean, deviation).tanh()


def normalised(
    z: Float[Tensor, "batch states rows columns"], mean: Float[Tensor, " states"], deviation: Float[Tensor, " states"]
) -> Float[Tensor, "batch states rows columns"]:
    """The same without tanh, by its formula."""
    variance, centre = torch.var_mean(z, dim=2, keepdim=True, correction=0)
    z = (z - centre) * (variance + EPS).rsqrt()
    return torch.addcmul(mean[:, None, None], z, deviation[:, None, None])


def grown(
    w: Float[Tensor, "planes rows columns"],
    hebb: Float[Tensor, "planes rows columns"],
    keep: Float[Tensor, ""],
    bound: Float[Tensor, ""],
    rate: Float[Tensor, ""],
) -> Float[Tensor, "planes rows columns"]:
    """Synapses [P, I, J] after their change `hebb`, with a bound of at least 0 on the squares into each neuron."""
    if _compiled(w, hebb, keep, bound, rate):
        return _grown(w, hebb, keep, bound, rate)[0]
    return grown_reference(w, hebb, keep, bound, rate)


def grown_reference(
    w: Float[Tensor, "planes rows columns"],
    hebb: Float[Tensor, "planes rows columns"],
    keep: Float[Tensor, ""],
    bound: Float[Tensor, ""],
    rate: Float[Tensor, ""],
) -> Float[Tensor, "planes rows columns"]:
    """`grown` by its formula."""
    return keep * w / (1 + bound * w.square().sum(dim=1, keepdim=True)) + rate * hebb


def _compiled(*tensors: Tensor) -> bool:
    return all(each.device.type == "cpu" and each.dtype == FLOAT for each in tensors) and native.available(
        "states", FLOAT
    )


def _function(name: str):
    return getattr(native.library("states", FLOAT), name)


def _arrays(*tensors: Tensor):
    return ((each, FLOAT, each.numel()) for each in tensors)


def _check_normalised(z: Tensor, mean: Tensor, deviation: Tensor) -> None:
    of_states = (z.shape[1:2], (FLOAT,))
    agree(
        "normalised_tanh",
        z=(z, (*z.shape[:4],), (FLOAT,)),
        mean=(mean, *of_states),
        deviation=(deviation, *of_states),
    )


def _normalise(z: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """out [B, k, M, J]; centre and scale [B, k, J]."""
    _check_normalised(z, mean, deviation)
    z, (batch, states, rows, columns) = z.contiguous(), z.shape
    out, *moments = torch.empty_like(z), *(z.new_empty(batch, states, columns) for _ in range(2))
    numbers = (batch * states, states, rows, columns)
    native.call(_function("normalise"), numbers, *_arrays(z, mean.contiguous(), deviation.contiguous(), out, *moments))
    return out, *moments


def _normalise_fake(z: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    _check_normalised(z, mean, deviation)
    batch, states, _, columns = z.shape
    return z.new_empty(z.shape), z.new_empty(batch, states, columns), z.new_empty(batch, states, columns)


def _normalise_back(
    z: Tensor, deviation: Tensor, out: Tensor, centre: Tensor, scale: Tensor, d_out: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of z, mean and deviation."""
    z, d_out, (batch, states, rows, columns) = z.contiguous(), d_out.contiguous(), z.shape
    d_z, sums = torch.empty_like(z), z.new_empty(batch, states, 2, columns)
    arrays = (z, deviation.contiguous(), out, centre, scale, d_out, d_z, sums)
    native.call(_function("normalise_back"), (batch * states, states, rows, columns), *_arrays(*arrays))
    of_mean, of_deviation = sums.sum(dim=(0, 3)).unbind(dim=1)
    return d_z, of_mean.contiguous(), of_deviation.contiguous()


class _NormalisedTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, mean, deviation):
        out, centre, scale = _normalise_forward(z, mean, deviation)
        ctx.save_for_backward(z, deviation, out, centre, scale)
        ctx.mark_non_differentiable(centre, scale)
        return out, centre, scale

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_out, *_):
        return _normalise_backward(*ctx.saved_tensors, d_out)


def _normalise_formula(z: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    variance, centre = torch.var_mean(z, dim=2, correction=0)
    return normalised(z, mean, deviation).tanh(), centre.detach(), (variance + EPS).rsqrt().detach()


_NORMALISED = "Tensor z, Tensor mean, Tensor deviation"
_normalise_forward = define(
    f"normalised_tanh_forward({_NORMALISED}) -> (Tensor, Tensor, Tensor)", _normalise, _normalise_fake, products=False
)
_normalise_backward = define(
    "normalised_tanh_backward(Tensor z, Tensor deviation, Tensor out, Tensor centre, Tensor scale, Tensor d_out) -> "
    "(Tensor, Tensor, Tensor)",
    _normalise_back,
    lambda z, deviation, *_: (z.new_empty(z.shape), *(deviation.new_empty(deviation.shape) for _ in range(2))),
    products=False,
)
_normalised_tanh = define(
    f"normalised_tanh({_NORMALISED}) -> (Tensor, Tensor, Tensor)",
    _normalise,
    _normalise_fake,
    _NormalisedTanh,
    _normalise_formula,
    products=False,
)


def _check_grown(w: Tensor, hebb: Tensor, *numbers: Tensor) -> None:
    named = dict(zip(("keep", "bound", "rate"), numbers, strict=True))
    of_numbers = {name: (each, (), (FLOAT,)) for name, each in named.items()}
    agree("grown", w=(w, (*w.shape[:3],), (FLOAT,)), hebb=(hebb, w.shape, (FLOAT,)), **of_numbers)


def _grow(w: Tensor, hebb: Tensor, keep: Tensor, bound: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    """New synapses [P, I, J], and the sums of squares [P, J] of the old ones."""
    _check_grown(w, hebb, keep, bound, rate)
    w, hebb, (planes, rows, columns) = w.contiguous(), hebb.contiguous(), w.shape
    new, squares = torch.empty_like(w), w.new_empty(planes, columns)
    native.call(_function("grow"), (planes, rows, columns), *_arrays(w, hebb, keep, bound, rate, new, squares))
    return new, squares


def _grow_fake(w: Tensor, hebb: Tensor, keep: Tensor, bound: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    _check_grown(w, hebb, keep, bound, rate)
    return w.new_empty(w.shape), w.new_empty(w.shape[0], w.shape[2])


def _grow_back(
    w: Tensor, hebb: Tensor, keep: Tensor, bound: Tensor, rate: Tensor, squares: Tensor, d: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of w, hebb, keep, bound and rate."""
    w, hebb, d, (planes, rows, columns) = w.contiguous(), hebb.contiguous(), d.contiguous(), w.shape
    d_w, d_hebb, sums = torch.empty_like(w), torch.empty_like(w), w.new_empty(planes, 2, columns)
    arrays = _arrays(w, hebb, keep, bound, rate, squares, d, d_w, d_hebb, sums)
    native.call(_function("grow_back"), (planes, rows, columns), *arrays)
    share = 1 / (1 + bound * squares)
    d_keep = (sums[:, 0] * share).sum()
    d_bound = -keep * (sums[:, 0] * squares * share.square()).sum()
    return d_w, d_hebb, d_keep, d_bound, sums[:, 1].sum()


class _Grown(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, hebb, keep, bound, rate):
        new, squares = _grow_forward(w, hebb, keep, bound, rate)
        ctx.save_for_backward(w, hebb, keep, bound, rate, squares)
        ctx.mark_non_differentiable(squares)
        return new, squares

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d, _):
        return _grow_backward(*ctx.saved_tensors, d)


_GROWN = "Tensor w, Tensor hebb, Tensor keep, Tensor bound, Tensor rate"
_grow_forward = define(f"grown_forward({_GROWN}) -> (Tensor, Tensor)", _grow, _grow_fake, products=False)
_grow_backward = define(
    f"grown_backward({_GROWN}, Tensor squares, Tensor d) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _grow_back,
    lambda w, *rest: (*(w.new_empty(w.shape) for _ in range(2)), *(w.new_empty(()) for _ in range(3))),
    products=False,
)
_grown = define(
    f"grown({_GROWN}) -> (Tensor, Tensor)",
    _grow,
    _grow_fake,
    _Grown,
    lambda w, *rest: (grown_reference(w, *rest), w.square().sum(dim=1).detach()),
    products=False,
)
