"""The gate update of an LSTM and its backward pass, for cells that lie in rows.

    a = u + hidden        i, f, o = sigmoid(a)   g = tanh(a)        c' = f c + i g        h' = o tanh(c')

A row is one pixel (or one episode) with all its F cells; the pre-activations of a row stand gate by gate:
i, f, o, g. What enters or leaves a convolution (u, hidden, a, h and the gradients of them) has the type that
convolutions multiply in; cells are float32 (float64 with float64). The pre-activations are kept rather than the
gates, as they are rounded before the gates are computed from them: both directions then see the same gates.

Everything here is bound by memory, so it is done in one sweep: by a C function on the CPU (`gates.c`), by a Triton
kernel on a GPU (`gates_triton.py`), and where neither can be had by the formulas below, which are their reference.

Shape legend: N rows, F filters.
"""

import ctypes
import functools
import importlib.util
from types import ModuleType

import torch
from torch import Tensor

from metamemory.kernels import native
from metamemory.shapes import Float


def forward(
    u: Float[Tensor, "rows gates"],
    hidden: Float[Tensor, "rows gates"],
    c: Float[Tensor, "rows filters"],
    a: Float[Tensor, "rows gates"],
    c_next: Float[Tensor, "rows filters"],
    h_next: Float[Tensor, "rows filters"],
) -> None:
    """One step: from u, hidden [N, 4F] and c [N, F], write a [N, 4F], c_next and h_next [N, F].

    All contiguous; nothing may overlap.
    """
    n, single, product = c.numel(), torch.float32, a.dtype
    arrays = (
        (u, product, 4 * n), (hidden, product, 4 * n), (c, single, n),
        (a, product, 4 * n), (c_next, single, n), (h_next, product, n),
    )  # fmt: skip
    if (kernels := _on_gpu(c)) is not None:
        native.checked("gates.forward", "cuda", arrays)
        with torch.cuda.device_of(c):
            kernels.forward(u, hidden, c, a, c_next, h_next)
    elif (compiled := _compiled(c, a)) is not None:
        native.call(compiled.forward, tuple(c.shape), *arrays)
    else:
        forward_reference(u, hidden, c, a, c_next, h_next)


def backward(
    a: Float[Tensor, "rows gates"],
    c: Float[Tensor, "rows filters"],
    c_next: Float[Tensor, "rows filters"],
    d_above: Float[Tensor, "rows filters"],
    d_next: Float[Tensor, "rows filters"],
    d_c: Float[Tensor, "rows filters"],
    d_a: Float[Tensor, "rows gates"],
) -> None:
    """The same step back.

    Args:
        a, c, c_next: what `forward` read and wrote.
        d_above, d_next: [N, F], the two parts of the gradient of h_next.
        d_c: [N, F] gradient of c_next; becomes that of c.
        d_a: [N, 4F] to be written: the gradient of a, which is that of u and of hidden.
    """
    n, single, product = c.numel(), torch.float32, a.dtype
    arrays = (
        (a, product, 4 * n), (c, single, n), (c_next, single, n),
        (d_above, product, n), (d_next, product, n), (d_c, single, n), (d_a, product, 4 * n),
    )  # fmt: skip
    if (kernels := _on_gpu(c)) is not None:
        native.checked("gates.backward", "cuda", arrays)
        with torch.cuda.device_of(c):
            kernels.backward(a, c, c_next, d_above, d_next, d_c, d_a)
    elif (compiled := _compiled(c, a)) is not None:
        native.call(compiled.backward, tuple(c.shape), *arrays)
    else:
        backward_reference(a, c, c_next, d_above, d_next, d_c, d_a)


def forward_reference(
    u: Float[Tensor, "rows gates"],
    hidden: Float[Tensor, "rows gates"],
    c: Float[Tensor, "rows filters"],
    a: Float[Tensor, "rows gates"],
    c_next: Float[Tensor, "rows filters"],
    h_next: Float[Tensor, "rows filters"],
) -> None:
    """`forward` by its formulas."""
    torch.add(u, hidden, out=a)
    i, f, o, g = _gates(a, c.dtype)
    c_next.copy_(f * c + i * g)
    h_next.copy_(o * c_next.tanh())


def backward_reference(
    a: Tensor, c: Tensor, c_next: Tensor, d_above: Tensor, d_next: Tensor, d_c: Tensor, d_a: Tensor
) -> None:
    """`backward` by its formulas."""
    i, f, o, g = _gates(a, c.dtype)
    squashed = c_next.tanh()
    d_h = d_above.to(c.dtype) + d_next.to(c.dtype)
    d_c += d_h * o * (1 - squashed**2)
    d_i, d_f, d_o, d_g = d_c * g, d_c * c, d_h * squashed, d_c * i
    d_a.copy_(torch.cat([d_i * i * (1 - i), d_f * f * (1 - f), d_o * o * (1 - o), d_g * (1 - g**2)], dim=1))
    d_c *= f


def _gates(a: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    i, f, o, g = a.to(dtype).chunk(4, dim=1)
    return i.sigmoid(), f.sigmoid(), o.sigmoid(), g.tanh()


def _compiled(c: Tensor, a: Tensor) -> ctypes.CDLL | None:
    return native.library("gates", a.dtype) if c.device.type == "cpu" and c.dtype == torch.float32 else None


def _on_gpu(c: Tensor) -> ModuleType | None:
    """Places in a Triton kernel are 32-bit numbers."""
    return _triton() if c.is_cuda and c.dtype == torch.float32 and 4 * c.numel() < 2**31 else None


@functools.cache
def _triton() -> ModuleType | None:
    """The Triton kernels, where Triton is and the C compiler with which it builds what launches them."""
    if importlib.util.find_spec("triton") is None or native.compiler() is None:
        return None
    return importlib.import_module("metamemory.kernels.gates_triton")
