"""A step of LSTM cells that are the synapses between two layers of neurons, with the same weights for all of them.

    a = below_i + above_j + h W        i, f, o = sigmoid(a)   g = tanh(a)        c' = f c + i g        h' = o tanh(c')

`below` and `above` are what messages contribute to the pre-activations: they are of neurons, not of synapses, and are
multiplied by their weights once for all synapses of a neuron. On the CPU the step is one C function (`synapses.c`).
For the backward pass it keeps the gates i, f, o and g; h and c are there anyway, as the result of the step before.
Elsewhere, and where there is no compiler, the formulas below, which are the reference.

Shape legend: B networks, I neurons below, J above, F units of a cell.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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
) -> tuple[Float[Tensor, "batch inputs outputs units"], Float[Tensor, "batch inputs outputs units"]]:
    """h and c [B, I, J, F] after a step; below [B, I, 4F], above [B, J, 4F], w [F, 4F]."""
    tensors = (below, above, w, h, c)
    plain = all(each.device.type == "cpu" and each.dtype == FLOAT for each in tensors)
    if plain and native.available("synapses", FLOAT, UNITS=w.shape[0]):
        return _synapses(*tensors)
    return synapses_reference(*tensors)


def synapses_reference(
    below: Float[Tensor, "batch inputs gates"],
    above: Float[Tensor, "batch outputs gates"],
    w: Float[Tensor, "units gates"],
    h: Float[Tensor, "batch inputs outputs units"],
    c: Float[Tensor, "batch inputs outputs units"],
) -> tuple[Float[Tensor, "batch inputs outputs units"], Float[Tensor, "batch inputs outputs units"]]:
    """`synapses` by its formulas."""
    i, f, o, g = (below[:, :, None] + above[:, None] + h @ w).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _check(below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor) -> tuple[int, int, int, int]:
    batch, inputs, outputs, units = h.shape
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
    below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    sizes = _check(below, above, w, h, c)
    h_next, c_next = (torch.empty(sizes, dtype=FLOAT) for _ in range(2))
    gates = torch.empty(*sizes[:3], 4 * sizes[3], dtype=FLOAT) if keep else None
    read = (each.contiguous() for each in (below, above, w, h, c))
    library = native.library("synapses", FLOAT, UNITS=sizes[3])
    native.call(library.forward, sizes[:3], *_arrays(*read, h_next, c_next, gates))
    return h_next, c_next, gates


def _run(below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    return _forward_pass(below, above, w, h, c, keep=False)[:2]


def _run_keeping(below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same, and its gates [B, I, J, 4F]."""
    return _forward_pass(below, above, w, h, c, keep=True)


def _run_back(
    gates: Tensor, w: Tensor, h: Tensor, c: Tensor, c_next: Tensor, d_h: Tensor, d_c: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of below, above, w, h and c, from those of h' and c'."""
    sizes = h.shape
    gated, of_cells = (*sizes[:3], 4 * sizes[3]), {"h": h, "c": c, "c_next": c_next, "d_h": d_h, "d_c": d_c}
    agree(
        "synapses_backward",
        gates=(gates, gated, (FLOAT,)),
        w=(w, (sizes[3], 4 * sizes[3]), (FLOAT,)),
        **{name: (each, sizes, (FLOAT,)) for name, each in of_cells.items()},
    )
    d_a, of_c = torch.empty_like(gates), torch.empty(sizes, dtype=FLOAT)
    read = (each.contiguous() for each in (gates, c, c_next, d_h, d_c))
    library = native.library("synapses", FLOAT, UNITS=sizes[3])
    native.call(library.backward, sizes[:3], *_arrays(*read, d_a, of_c))
    flat, rows = h.reshape(-1, sizes[3]), d_a.flatten(0, 2)
    return d_a.sum(dim=2), d_a.sum(dim=1), flat.T @ rows, (rows @ w.T).view(sizes), of_c


def _fake(below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    _check(below, above, w, h, c)
    torch.mm(h.reshape(-1, w.shape[0]), w)  # whose FLOPs are counted
    return h.new_empty(h.shape), h.new_empty(h.shape)


def _fake_keeping(below: Tensor, above: Tensor, w: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return *_fake(below, above, w, h, c), h.new_empty(*h.shape[:3], w.shape[1])


def _fake_back(
    gates: Tensor, w: Tensor, h: Tensor, c: Tensor, c_next: Tensor, d_h: Tensor, d_c: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    batch, inputs, outputs, units = gates.shape
    of_neurons = (gates.new_empty(batch, count, units) for count in (inputs, outputs))
    return *of_neurons, *(each.new_empty(each.shape) for each in (w, h, c))


class _Synapses(torch.autograd.Function):
    @staticmethod
    def forward(ctx, below, above, w, h, c):
        h_next, c_next, gates = _forward(below, above, w, h, c)
        ctx.save_for_backward(gates, w, h, c, c_next)
        return h_next, c_next

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_h, d_c):
        return _backward(*ctx.saved_tensors, d_h, d_c)


_INPUTS = "Tensor below, Tensor above, Tensor w, Tensor h, Tensor c"
_forward = define(
    f"synapses_forward({_INPUTS}) -> (Tensor, Tensor, Tensor)", _run_keeping, _fake_keeping, products=False
)
_backward = define(
    "synapses_backward(Tensor gates, Tensor w, Tensor h, Tensor c, Tensor c_next, Tensor d_h, Tensor d_c)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _run_back,
    _fake_back,
    products=False,
)
_synapses = define(
    f"synapses({_INPUTS}) -> (Tensor, Tensor)", _run, _fake, _Synapses, synapses_reference, products=False
)
