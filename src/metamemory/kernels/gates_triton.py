"""The gate update of `gates.py` and its backward pass as Triton kernels, for CUDA devices.

One program handles BLOCK cells; the four pre-activations of a cell lie F apart in its row. Types are taken from
the pointers; arithmetic is float32. `TRITON_INTERPRET=1` runs the same kernels on the CPU, which is how they are
tested without a GPU.
"""

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


def forward(u: Tensor, hidden: Tensor, c: Tensor, a: Tensor, c_next: Tensor, h_next: Tensor) -> None:
    """As `gates.forward`, on one device."""
    _forward[(triton.cdiv(c.numel(), BLOCK),)](u, hidden, c, a, c_next, h_next, c.numel(), c.shape[1], BLOCK=BLOCK)


def backward(a: Tensor, c: Tensor, c_next: Tensor, d_above: Tensor, d_next: Tensor, d_c: Tensor, d_a: Tensor) -> None:
    """As `gates.backward`, on one device."""
    grid = (triton.cdiv(c.numel(), BLOCK),)
    _backward[grid](a, c, c_next, d_above, d_next, d_c, d_a, c.numel(), c.shape[1], BLOCK=BLOCK)


@triton.jit
def _tanh(x):
    return 1 - 2 / (tl.exp(2 * x) + 1)  # right at both ends: exp overflows to inf, or vanishes


@triton.jit
def _forward(u, hidden, c, a, c_next, h_next, n_cells, filters, BLOCK: tl.constexpr):
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < n_cells
    first = cell // filters * (4 * filters) + cell % filters  # of the cell's pre-activations: i, then f, o, g

    at_i, at_f, at_o, at_g = first, first + filters, first + 2 * filters, first + 3 * filters
    a_i = _sum(u, hidden, a, at_i, inside)
    a_f = _sum(u, hidden, a, at_f, inside)
    a_o = _sum(u, hidden, a, at_o, inside)
    a_g = _sum(u, hidden, a, at_g, inside)
    new = tl.sigmoid(a_f) * tl.load(c + cell, mask=inside) + tl.sigmoid(a_i) * _tanh(a_g)
    tl.store(c_next + cell, new, mask=inside)
    tl.store(h_next + cell, (tl.sigmoid(a_o) * _tanh(new)).to(h_next.dtype.element_ty), mask=inside)


@triton.jit
def _sum(u, hidden, a, at, inside):
    """a = u + hidden at these places; returned as it was rounded."""
    total = tl.load(u + at, mask=inside).to(tl.float32) + tl.load(hidden + at, mask=inside).to(tl.float32)
    rounded = total.to(a.dtype.element_ty)
    tl.store(a + at, rounded, mask=inside)
    return rounded.to(tl.float32)


@triton.jit
def _backward(a, c, c_next, d_above, d_next, d_c, d_a, n_cells, filters, BLOCK: tl.constexpr):
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < n_cells
    first = cell // filters * (4 * filters) + cell % filters
    at_i, at_f, at_o, at_g = first, first + filters, first + 2 * filters, first + 3 * filters

    i = tl.sigmoid(tl.load(a + at_i, mask=inside).to(tl.float32))
    f = tl.sigmoid(tl.load(a + at_f, mask=inside).to(tl.float32))
    o = tl.sigmoid(tl.load(a + at_o, mask=inside).to(tl.float32))
    g = _tanh(tl.load(a + at_g, mask=inside).to(tl.float32))
    squashed = _tanh(tl.load(c_next + cell, mask=inside))
    d_h = tl.load(d_above + cell, mask=inside).to(tl.float32) + tl.load(d_next + cell, mask=inside).to(tl.float32)
    d = tl.load(d_c + cell, mask=inside) + d_h * o * (1 - squashed * squashed)

    product = d_a.dtype.element_ty
    tl.store(d_a + at_i, (d * g * i * (1 - i)).to(product), mask=inside)
    tl.store(d_a + at_f, (d * tl.load(c + cell, mask=inside) * f * (1 - f)).to(product), mask=inside)
    tl.store(d_a + at_o, (d_h * squashed * o * (1 - o)).to(product), mask=inside)
    tl.store(d_a + at_g, (d * i * (1 - g * g)).to(product), mask=inside)
    tl.store(d_c + cell, d * f, mask=inside)
