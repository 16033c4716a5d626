"""Ticks of LSTM cells that are the synapses between two layers of neurons, with the same weights for all of them.

    a = below_i + above_j + h W        i, f, o = sigmoid(a)   g = tanh(a)        c' = f c + i g        h' = o tanh(c')

`below` and `above` are what messages contribute to the pre-activations, the same in all ticks: they are of neurons, not
of synapses, and are multiplied by their weights once for all synapses of a neuron. On the CPU all ticks are one C
function (`synapses.c`). For the backward pass it keeps each tick's gates i, f, o and g, and its h' and c'. Elsewhere,
and where there is no compiler, the formulas below, which are the reference.

Shape legend: B networks, I neurons below, J above, F units of a cell, T ticks.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.errors import UserError
from metamemory.kernels import native
from metamemory.kernels.operators import agree, define
from metamemory.refusals import first_order
from metamemory.shapes import Float

FLOAT = torch.float32


def synapses(
    below: Float[Tensor, "batch inputs gates"],
    above: Float[Tensor, "batch outputs gates"],
    w: Float[Tensor, "units gates"],
    h: Float[Tensor, "batch inputs outputs units"],
    c: Float[Tensor, "batch inputs outputs units"],
    ticks: int = 1,
) -> tuple[Float[Tensor, "batch inputs outputs units"], Float[Tensor, "batch inputs outputs units"]]:
    """h and c [B, I, J, F] after so many ticks; below [B, I, 4F], above [B, J, 4F], w [F, 4F].

    Raises:
        UserError: `ticks` is less than 1, or tensors do not go together.
    """
    tensors = (below, above, w, h, c)
    plain = all(each.device.type == "cpu" and each.dtype == FLOAT for each in tensors)
    if plain and native.available("synapses", FLOAT, UNITS=w.shape[0]):
        return _synapses(*tensors, ticks)
    return synapses_reference(*tensors, ticks)


def synapses_reference(
    below: Float[Tensor, "batch inputs gates"],
    above: Float[Tensor, "batch outputs gates"],
    w: Float[Tensor, "units gates"],
    h: Float[Tensor, "batch inputs outputs units"],
    c: Float[Tensor, "batch inputs outputs units"],
    ticks: int = 1,
) -> tuple[Float[Tensor, "batch inputs outputs units"], Float[Tensor, "batch inputs outputs units"]]:
    """`synapses` by its formulas."""
    _require(ticks)
    for _ in range(ticks):
        i, f, o, g = (below[:, :, None] + above[:, None] + h @ w).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return h, c


def _require(ticks: int) -> None:
    if ticks < 1:
        raise UserError(f"synapses: ticks is {ticks}, and must be 1 at least")


def _check(below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor, ticks: int) -> tuple[int, int, int, int]:
    batch, inputs, outputs, units = h.shape
    _require(ticks)
    agree(
        "synapses",
        h=(h, (batch, inputs, outputs, units), (FLOAT,)),
        c=(c, (batch, inputs, outputs, units), (FLOAT,)),
        below=(below, (batch, inputs, 4 * units), (FLOAT,)),
        above=(above, (batch, outputs, 4 * units), (FLOAT,)),
        w=(w, (units, 4 * units), (FLOAT,)),
    )
    return batch, inputs, outputs, units


def _arrays(*tensors: Tensor | None):
    return ((each, FLOAT, 0 if each is None else each.numel()) for each in tensors)


def _forward_pass(
    below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor, ticks: int, keep: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    sizes = _check(below, above, w, h, c, ticks)
    states = (ticks, *sizes) if keep else sizes
    h_next, c_next = (torch.empty(states, dtype=FLOAT) for _ in range(2))
    gates = torch.empty(ticks, *sizes[:3], 4 * sizes[3], dtype=FLOAT) if keep else None
    read = (each.contiguous() for each in (below, above, w, h, c))
    library = native.library("synapses", FLOAT, UNITS=sizes[3])
    native.call(library.forward, (*sizes[:3], ticks), *_arrays(*read, h_next, c_next, gates))
    return h_next, c_next, gates


def _run(below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor, ticks: int) -> tuple[Tensor, Tensor]:
    return _forward_pass(below, above, w, h, c, ticks, keep=False)[:2]


def _run_keeping(
    below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor, ticks: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same, of all ticks [T, B, I, J, F], and their gates [T, B, I, J, 4F]."""
    return _forward_pass(below, above, w, h, c, ticks, keep=True)


def _run_back(
    gates: Tensor, w: Tensor, h: Tensor, c: Tensor, h_next: Tensor, c_next: Tensor, d_h: Tensor, d_c: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of below, above, w, h and c, from those of the last h' and c'."""
    sizes, ticks = h.shape, len(gates)
    agree(
        "synapses_backward",
        gates=(gates, (ticks, *sizes[:3], 4 * sizes[3]), (FLOAT,)),
        w=(w, (sizes[3], 4 * sizes[3]), (FLOAT,)),
        **{name: (each, sizes, (FLOAT,)) for name, each in {"h": h, "c": c, "d_h": d_h, "d_c": d_c}.items()},
        **{name: (each, (ticks, *sizes), (FLOAT,)) for name, each in {"h_next": h_next, "c_next": c_next}.items()},
    )
    gates, h, c, h_next, c_next = (each.contiguous() for each in (gates, h, c, h_next, c_next))
    library, d_a = native.library("synapses", FLOAT, UNITS=sizes[3]), torch.empty_like(gates[0])
    rows, found = d_a.flatten(0, 2), None
    for tick in reversed(range(ticks)):
        h_before, c_before = (h_next[tick - 1], c_next[tick - 1]) if tick else (h, c)
        of_c = torch.empty(sizes, dtype=FLOAT)
        read = (gates[tick], c_before, c_next[tick], d_h.contiguous(), d_c.contiguous())
        native.call(library.backward, sizes[:3], *_arrays(*read, d_a, of_c))
        of_tick = d_a.sum(dim=2), d_a.sum(dim=1), h_before.reshape(-1, sizes[3]).T @ rows
        found = of_tick if found is None else [sum_.add_(more) for sum_, more in zip(found, of_tick, strict=True)]
        d_h, d_c = (rows @ w.T).view(sizes), of_c
    return *found, d_h, d_c


def _fake(below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor, ticks: int) -> tuple[Tensor, Tensor]:
    _check(below, above, w, h, c, ticks)
    for _ in range(ticks):
        torch.mm(h.reshape(-1, w.shape[0]), w)  # whose FLOPs are counted
    return h.new_empty(h.shape), h.new_empty(h.shape)


def _fake_keeping(
    below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor, ticks: int
) -> tuple[Tensor, Tensor, Tensor]:
    _fake(below, above, w, h, c, ticks)
    states = (h.new_empty(ticks, *h.shape) for _ in range(2))
    return *states, h.new_empty(ticks, *h.shape[:3], w.shape[1])


def _fake_back(
    gates: Tensor, w: Tensor, h: Tensor, c: Tensor, h_next: Tensor, c_next: Tensor, d_h: Tensor, d_c: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    _, batch, inputs, outputs, units = gates.shape
    of_neurons = (gates.new_empty(batch, count, units) for count in (inputs, outputs))
    return *of_neurons, *(each.new_empty(each.shape) for each in (w, h, c))


class _Synapses(torch.autograd.Function):
    @staticmethod
    def forward(ctx, below, above, w, h, c, ticks):
        h_next, c_next, gates = _forward(below, above, w, h, c, ticks)
        ctx.save_for_backward(gates, w, h, c, h_next, c_next)
        return h_next[-1], c_next[-1]

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_h, d_c):
        return *_backward(*ctx.saved_tensors, d_h, d_c), None


_INPUTS = "Tensor below, Tensor above, Tensor w, Tensor h, Tensor c, int ticks"
_KEPT = "Tensor gates, Tensor w, Tensor h, Tensor c, Tensor h_next, Tensor c_next, Tensor d_h, Tensor d_c"
_forward = define(
    f"synapses_forward({_INPUTS}) -> (Tensor, Tensor, Tensor)", _run_keeping, _fake_keeping, products=False
)
_backward = define(
    f"synapses_backward({_KEPT}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)", _run_back, _fake_back, products=False
)
_synapses = define(
    f"synapses({_INPUTS}) -> (Tensor, Tensor)", _run, _fake, _Synapses, synapses_reference, products=False
)
