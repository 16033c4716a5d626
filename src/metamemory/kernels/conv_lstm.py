"""A ConvLSTM layer over a whole episode as one operation with its own backward pass.

The cell is Babu et al. 2021, eqs (1)-(5), after Shi et al. 2015 without peepholes:

    i, f, o = sigmoid(W_x * x_t + W_h * h_{t-1} + b)      g = tanh(W_x * x_t + W_h * h_{t-1} + b)
    c_t = f c_{t-1} + i g                                  h_t = o tanh(c_t)

Only `W_h * h_{t-1}` has to wait for the step before it. So the input convolution of all steps is done at
once by the caller and arrives here as `u`; the loop over time holds the hidden convolution and the gates,
and nothing else. Going back, the loop holds the gate gradients and the input gradient of the hidden
convolution; the weight gradient is one convolution over all steps at the end.

Convolutions can multiply in bfloat16: then what enters or leaves them (u, h, the pre-activations of the gates
and the gradients of these) is kept in bfloat16 as well, while gates, cells and their gradients are float32.

Memory kept for the backward pass, per layer and step: the pre-activations of four gates and h in the type of the
products, the cell in float32: 24 bytes a cell in float32, 14 in bfloat16, of which a layer has
batch * filters * height * width.

Shape legend: T steps, B batch, F filters, H height, W width. Gate order along channels: i, f, o, g.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.kernels import gates
from metamemory.kernels.operators import FULL, HALF, agree, define, described
from metamemory.refusals import first_order
from metamemory.shapes import Float


def conv_lstm_reference(
    u: Float[Tensor, "time batch gates height width"],
    w_h: Float[Tensor, "gates filters kernel kernel"],
    h: Float[Tensor, "batch filters height width"],
    c: Float[Tensor, "batch filters height width"],
) -> tuple[Float[Tensor, "time batch filters height width"], Float[Tensor, "batch filters height width"]]:
    """The same operation, one step after the other, differentiated by autograd: the oracle.

    Takes and returns what `conv_lstm` does; differentiable to any order.
    """
    hs = []
    for u_t in u.unbind():
        a = u_t + fn.conv2d(h.to(u.dtype), w_h.to(u.dtype), padding="same")
        i, f, o, g = a.to(c.dtype).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = (o.sigmoid() * c.tanh()).to(u.dtype)
        hs.append(h)
    return torch.stack(hs), c


def conv_lstm(
    u: Float[Tensor, "time batch gates height width"],
    w_h: Float[Tensor, "gates filters kernel kernel"],
    h: Float[Tensor, "batch filters height width"],
    c: Float[Tensor, "batch filters height width"],
) -> tuple[Float[Tensor, "time batch filters height width"], Float[Tensor, "batch filters height width"]]:
    """Run one ConvLSTM layer over T steps.

    Args:
        u: [T, B, 4F, H, W] input part of the gate pre-activations, `W_x * x + b`. Its type is the one that
            the hidden convolution multiplies in, and that of the hidden states.
        w_h: [4F, F, k, k] hidden kernel, k odd; the convolution keeps the size.
        h, c: [B, F, H, W] state before the first step.

    Returns:
        hs [T, B, F, H, W] of the type of u, and the last cell [B, F, H, W] of the type of c. The gradient of a
        gradient is refused by autograd with "once_differentiable"; `conv_lstm_reference` has it.

    Raises:
        UserError: sizes, types or devices do not go together; there is no step.
    """
    return _conv_lstm(u, w_h, h, c)


# Inside, channels lie last: maps are rows [N, channels] with N = B H W, in which gates are updated, or views of them
# that convolutions take. What is kept for the backward pass is [..., B, H, W, channels].


def _run(u: Tensor, w_h: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pre-activations [T, ...], and hidden states and cells before the first step and after each, [T + 1, ...]."""
    _check(u, w_h, h, c)
    n_steps, n_batch, _, *size = u.shape
    size = n_batch, *size
    u, h, c = _rows(u), _rows(h), _rows(c)
    kernel = w_h.to(u.dtype, memory_format=torch.channels_last)
    a = torch.empty_like(u)
    hs = u.new_empty(n_steps + 1, *h.shape)
    cs = c.new_empty(hs.shape)
    hs[0], cs[0] = h, c
    for t in range(n_steps):
        hidden = fn.conv2d(_maps(hs[t], size), kernel, padding="same")
        gates.forward(u[t], _rows(hidden), cs[t], a[t], cs[t + 1], hs[t + 1])
    return tuple(each.unflatten(-2, size) for each in (a, hs, cs))


def _run_back(
    w_h: Tensor, a: Tensor, hs: Tensor, cs: Tensor, d_hs: Tensor, d_c: Tensor, of_w_h: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, w_h (empty unless `of_w_h`), h and c; that of h has the type of hs."""
    size = hs.shape[1:4]
    a, hs, cs = (each.flatten(1, 3) for each in (a, hs, cs))
    # the input gradient of a convolution is a convolution with the kernel turned round and its channels swapped
    turned = w_h.to(hs.dtype).flip(-2, -1).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    d_hs, d_c = _rows(d_hs), _rows(d_c).clone()
    d_a, d_h = torch.empty_like(a), torch.zeros_like(hs[0])
    for t in reversed(range(len(a))):
        gates.backward(a[t], cs[t], cs[t + 1], d_hs[t], d_h, d_c, d_a[t])
        d_h = _rows(fn.conv2d(_maps(d_a[t], size), turned, padding="same"))
    d_a, d_w = _maps(d_a, size), w_h.new_empty(0)
    if of_w_h:
        before = _maps(hs[:-1], size).flatten(0, 1)
        d_w = fn.grad.conv2d_weight(before, w_h.shape, d_a.flatten(0, 1), padding=w_h.shape[-1] // 2)
        d_w = d_w.to(w_h.dtype).contiguous()
    return d_a, d_w, _maps(d_h, size), _maps(d_c, size)


def _answer(hs: Tensor, cs: Tensor) -> tuple[Tensor, Tensor]:
    """Maps of all steps, and the last cell."""
    return hs[1:].movedim(-1, -3), cs[-1].clone().movedim(-1, -3)


def _check(u: Tensor, w_h: Tensor, h: Tensor, c: Tensor) -> None:
    if u.dim() != 5 or h.dim() != 4 or w_h.dim() != 4 or len(u) == 0 or w_h.shape[-1] % 2 == 0:
        given = ", ".join(map(described, (u, w_h, h)))
        raise UserError(f"conv_lstm: u, w_h and h are {given}; at least one step, a kernel of odd size, as documented")
    n_batch, filters, *size = h.shape
    agree(
        "conv_lstm",
        u=(u, (len(u), n_batch, 4 * filters, *size), HALF + FULL),
        w_h=(w_h, (4 * filters, filters, w_h.shape[-1], w_h.shape[-1]), HALF + FULL),
        h=(h, (n_batch, filters, *size), HALF + FULL),
        c=(c, (n_batch, filters, *size), FULL),
    )


def _fake_run(u: Tensor, w_h: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    _check(u, w_h, h, c)
    (n_steps, n_batch, gates, *size), filters = u.shape, h.shape[1]
    states = n_steps + 1, n_batch, *size, filters
    return u.new_empty(n_steps, n_batch, *size, gates), u.new_empty(states), c.new_empty(states)


def _fake_run_back(
    w_h: Tensor, a: Tensor, hs: Tensor, cs: Tensor, d_hs: Tensor, d_c: Tensor, of_w_h: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    d_a, d_h, d_c = (each.new_empty(each.shape).movedim(-1, -3) for each in (a, hs[0], cs[0]))
    return d_a, w_h.new_empty(w_h.shape if of_w_h else 0), d_h, d_c


class _ConvLSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, w_h, h, c):
        a, hs, cs = _forward(u, w_h, h, c)
        ctx.save_for_backward(w_h, a, hs, cs)
        ctx.type_of_h = h.dtype
        return _answer(hs, cs)

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_hs, d_c):
        d_u, d_w, d_h, d_c = _backward(*ctx.saved_tensors, d_hs, d_c, ctx.needs_input_grad[1])
        return d_u, d_w if ctx.needs_input_grad[1] else None, d_h.to(ctx.type_of_h), d_c


_INPUTS = "Tensor u, Tensor w_h, Tensor h, Tensor c"
_forward = define(f"conv_lstm_forward({_INPUTS}) -> (Tensor, Tensor, Tensor)", _run, _fake_run)
_backward = define(
    "conv_lstm_backward(Tensor w_h, Tensor a, Tensor hs, Tensor cs, Tensor d_hs, Tensor d_c, bool of_w_h)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    _run_back,
    _fake_run_back,
)
_conv_lstm = define(
    f"conv_lstm({_INPUTS}) -> (Tensor, Tensor)",
    lambda *inputs: _answer(*_run(*inputs)[1:]),
    lambda *inputs: _answer(*_fake_run(*inputs)[1:]),
    _ConvLSTM,
    conv_lstm_reference,
)


def _rows(maps: Tensor) -> Tensor:
    """[..., B, channels, H, W] -> [..., B H W, channels], contiguous; no copy where channels lie last."""
    return maps.movedim(-3, -1).contiguous().flatten(-4, -2)


def _maps(rows: Tensor, size: tuple[int, ...]) -> Tensor:
    """The inverse of `_rows`, as a view: [..., B H W, channels] -> [..., B, channels, H, W], channels last."""
    return rows.unflatten(-2, size).movedim(-1, -3)
