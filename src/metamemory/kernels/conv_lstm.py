"""A ConvLSTM layer over a whole episode as one operation with its own backward pass.

The cell is Babu et al. 2021, eqs (1)-(5), after Shi et al. 2015 without peepholes:

    i, f, o = sigmoid(W_x * x_t + W_h * h_{t-1} + b)      g = tanh(W_x * x_t + W_h * h_{t-1} + b)
    c_t = f c_{t-1} + i g                                  h_t = o tanh(c_t)

Only `W_h * h_{t-1}` has to wait for the step before it. So the input convolution of all steps is done at
once by the caller and arrives here as `u`; the loop over time holds the hidden convolution and the gates,
and nothing else. Going back, the loop holds the gate gradients and the input gradient of the hidden
convolution; the weight gradient is one convolution over all steps at the end.

Convolutions can multiply in bfloat16: then what only enters convolutions (u, h and the gradients of both) is
kept in bfloat16 as well, while gates, cells and the sums over time stay in float32.

Memory kept for the backward pass, per layer and step: the four gates and the cell in float32 and h in the
type of the products, i.e. (20 + 4 or 2) * batch * filters * height * width bytes.

Shape legend: T steps, B batch, F filters, H height, W width. Gate order along channels: i, f, o, g.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as fn


def conv_lstm_reference(u: Tensor, w_h: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The same operation, one step after the other, differentiated by autograd: the oracle.

    Takes and returns what `conv_lstm` does; differentiable to any order.
    """
    hs = []
    for u_t in u.unbind():
        a = u_t + fn.conv2d(h, w_h, padding="same")
        i, f, o, g = a.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        hs.append(h)
    return torch.stack(hs), c


def conv_lstm(u: Tensor, w_h: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Run one ConvLSTM layer over T steps.

    Args:
        u: [T, B, 4F, H, W] input part of the gate pre-activations, `W_x * x + b`. Its type is the one that
            the hidden convolution multiplies in, and that of the hidden states.
        w_h: [4F, F, k, k] hidden kernel, k odd; the convolution keeps the size.
        h, c: [B, F, H, W] state before the first step.

    Returns:
        hs [T, B, F, H, W] of the type of u, and the last cell [B, F, H, W] of the type of c. The gradient of a
        gradient is refused by autograd with "once_differentiable"; `conv_lstm_reference` has it.
    """
    return _ConvLSTM.apply(u, w_h, h, c)


class _ConvLSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, w_h, h, c):
        n_steps, n_batch, four_f, height, width = u.shape
        filters = four_f // 4
        w = w_h.to(u.dtype)
        hs = u.new_empty(n_steps, n_batch, filters, height, width)
        cs = c.new_empty(hs.shape)
        gates = c.new_empty(n_steps, n_batch, 4, filters, height, width)
        squashed = torch.empty_like(c)
        c_t, h_t = c, h.to(u.dtype)
        for t in range(n_steps):
            a = gates[t].view(n_batch, four_f, height, width)
            torch.add(fn.conv2d(h_t, w, padding="same"), u[t], out=a)
            a[:, : 3 * filters].sigmoid_()
            a[:, 3 * filters :].tanh_()
            i, f, o, g = gates[t].unbind(dim=1)
            c_t = torch.mul(f, c_t, out=cs[t]).addcmul_(i, g)
            h_t = hs[t].copy_(torch.tanh(c_t, out=squashed).mul_(o))
        ctx.save_for_backward(w_h, h, c, hs, cs, gates)
        return hs, c_t.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, d_hs, d_c):
        w_h, h, c, hs, cs, gates = ctx.saved_tensors
        n_steps, n_batch, filters, height, width = hs.shape
        pad = w_h.shape[-1] // 2
        w = w_h.to(hs.dtype)
        d_u = hs.new_empty(n_steps, n_batch, 4 * filters, height, width)
        d_a = gates.new_empty(n_batch, 4, filters, height, width)
        d_i, d_f, d_o, d_g = d_a.unbind(dim=1)
        d_h, d_c, tanh_c = torch.zeros_like(c), d_c.clone(), torch.empty_like(c)
        for t in reversed(range(n_steps)):
            i, f, o, g = gates[t].unbind(dim=1)
            d_h += d_hs[t]
            torch.tanh(cs[t], out=tanh_c)
            torch.mul(d_h, tanh_c, out=d_o)
            d_h *= o
            d_c += torch.ops.aten.tanh_backward(d_h, tanh_c)
            torch.mul(d_c, g, out=d_i)
            torch.mul(d_c, cs[t - 1] if t else c, out=d_f)
            torch.mul(d_c, i, out=d_g)
            d_c *= f
            # through the non-linearities, the three sigmoid gates in one sweep
            torch.ops.aten.sigmoid_backward.grad_input(d_a[:, :3], gates[t, :, :3], grad_input=d_a[:, :3])
            torch.ops.aten.tanh_backward.grad_input(d_g, g, grad_input=d_g)
            d_u[t].copy_(d_a.flatten(1, 2))
            d_h = fn.grad.conv2d_input(h.shape, w, d_u[t], padding=pad).to(c.dtype)
        d_w = None
        if ctx.needs_input_grad[1]:
            before = torch.cat([h[None].to(hs.dtype), hs[:-1]]).flatten(0, 1)
            d_w = fn.grad.conv2d_weight(before, w.shape, d_u.flatten(0, 1), padding=pad).to(w_h.dtype)
        return d_u, d_w, d_h.to(h.dtype), d_c
