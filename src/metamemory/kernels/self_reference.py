"""Weights that write themselves: the self-referential weight matrix (Irie et al. 2022, equations (5) to (8)).

    y_t, q_t, k_t, b_t = x_t W_{t-1}                        answer, query, key, and what the rates are read of
    r_t = (softmax(q_t) - softmax(k_t)) W_{t-1}             what is at the query, less what is at the key
    W_t = W_{t-1} + softmax(k_t)^T (sigma(b_t) r_t)         the delta rule

W's columns are four blocks, of y, q, k and b, and each is written at a rate of its own, one of the four numbers of
sigma(b). So all that a step does, what it reads and at what rate it writes, is read of weights that it then writes.

Step by step in torch, the weights of every episode and head go through memory many times a step. C functions
(`self_reference.c`) keep those of one head in cache from the first step to the last. The backward pass goes back to the
weights of each step by taking off what was written, so that none but every sixteenth are kept. They are used on the
CPU, in float32; elsewhere, and where there is no compiler, the formulas below, which are their reference.

Shape legend: T steps, N heads of all episodes, D size of a head, V = 3 D + 4 columns.
"""

import ctypes

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.errors import UserError
from metamemory.kernels import native
from metamemory.kernels.operators import FULL, agree, define, described
from metamemory.refusals import first_order
from metamemory.shapes import Float

RATES = 4
EVERY = 16  # as delta.h has it
MOST_KEYS = 64  # of the C functions, which have the weights of a head on the stack


def self_reference(
    x: Float[Tensor, "time heads size"], weights: Float[Tensor, "heads size columns"]
) -> tuple[Float[Tensor, "time heads size"], Float[Tensor, "heads size columns"]]:
    """Answers to all steps, [T, N, D], and the weights after the last.

    Args:
        x: [T, N, D], at least one step.
        weights: [N, D, 3 D + 4], as they are before the first.

    Raises:
        UserError: sizes or types do not go together.
    """
    return _self_reference(x, weights)


def self_reference_reference(
    x: Float[Tensor, "time heads size"], weights: Float[Tensor, "heads size columns"]
) -> tuple[Float[Tensor, "time heads size"], Float[Tensor, "heads size columns"]]:
    """`self_reference` by its formulas."""
    y, weights, _ = _formulas(x, weights)
    return y, weights


_formula = self_reference_reference


def _formulas(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Answers, the weights after, and what steps keep: softmax(q), softmax(k), rates and r, [T, N, 2 D + 4 + V]."""
    size, answers, kept = x.shape[2], [], []
    blocks = torch.tensor([size, size, size, RATES], device=x.device)
    for x_t in x.unbind():
        y, q, k, b = (x_t[:, None] @ weights)[:, 0].split([size, size, size, RATES], dim=-1)
        q, k, rates = q.softmax(dim=-1), k.softmax(dim=-1), b.sigmoid()
        r = ((q - k)[:, None] @ weights)[:, 0]
        written = rates.repeat_interleave(blocks, dim=-1, output_size=r.shape[-1]) * r
        weights = torch.baddbmm(weights, k[:, :, None], written[:, None])
        answers.append(y)
        kept.append(torch.cat([q, k, rates, r], dim=-1))
    return torch.stack(answers), weights, torch.stack(kept)


def _columns(x: Tensor, weights: Tensor) -> int:
    """V, of tensors that go together."""
    if x.dim() != 3 or 0 in x.shape[::2]:
        raise UserError(f"self_reference: x is {described(x)}; it must be [time, heads, size], with at least one step")
    columns = 3 * x.shape[2] + RATES
    agree(
        "self_reference",
        x=(x, x.shape, FULL),
        weights=(weights, (*x.shape[1:], columns), (x.dtype,)),
    )
    return columns


def _fake_run(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    columns = _columns(x, weights)
    (steps, heads, size), marks = x.shape, (x.shape[0] - 1) // EVERY
    return (
        x.new_empty(x.shape),
        x.new_empty(weights.shape),
        x.new_empty(marks, heads, size, columns),
        x.new_empty(steps, heads, 2 * size + RATES + columns),
    )


def _run(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Answers and weights after; marks, the weights after every so many steps; and what each step keeps."""
    _columns(x, weights)
    compiled = _compiled(x)
    if compiled is None:
        y, after, kept = _formulas(x, weights)
        return y, after, x.new_zeros(_fake_run(x, weights)[2].shape), kept
    x, weights = x.contiguous(), weights.contiguous()
    y, after, marks, kept = _fake_run(x, weights)
    native.call(compiled.forward, tuple(x.shape[:2]), *_arrays(x, weights, y, after, marks, kept))
    return y, after, marks, kept


def _run_back(
    d_y: Tensor, d_after: Tensor, x: Tensor, weights: Tensor, after: Tensor, marks: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of x and of the weights before."""
    compiled = _compiled(x)
    if compiled is None:
        with torch.enable_grad():
            given = [each.detach().requires_grad_() for each in (x, weights)]
            return torch.autograd.grad(self_reference_reference(*given), given, (d_y, d_after))
    x, after, marks, kept, d_y = (each.contiguous() for each in (x, after, marks, kept, d_y))
    d_x, d_weights = torch.empty_like(x), d_after.clone(memory_format=torch.contiguous_format)
    native.call(compiled.backward, tuple(x.shape[:2]), *_arrays(x, after, marks, kept, d_y, d_x, d_weights))
    return d_x, d_weights


def _fake_run_back(
    d_y: Tensor, d_after: Tensor, x: Tensor, weights: Tensor, after: Tensor, marks: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(weights.shape)


def _arrays(*tensors: Tensor) -> list[native.Array]:
    return [(each, torch.float32, each.numel()) for each in tensors]


def _compiled(x: Tensor) -> ctypes.CDLL | None:
    if x.device.type != "cpu" or x.dtype != torch.float32 or x.shape[2] > MOST_KEYS:
        return None
    return native.library("self_reference", torch.float32, KEYS=x.shape[2])


class _SelfReference(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weights):
        y, after, marks, kept = _forward(x, weights)
        ctx.save_for_backward(x, weights, after, marks, kept)
        return y, after

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_y, d_after):
        return _backward(d_y, d_after, *ctx.saved_tensors)


_INPUTS = "Tensor x, Tensor weights"
_forward = define(f"self_reference_forward({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor)", _run, _fake_run)
_backward = define(
    f"self_reference_backward(Tensor d_y, Tensor d_after, {_INPUTS}, Tensor after, Tensor marks, Tensor kept)"
    " -> (Tensor, Tensor)",
    _run_back,
    _fake_run_back,
)
_self_reference = define(
    f"self_reference({_INPUTS}) -> (Tensor, Tensor)",
    lambda *inputs: _run(*inputs)[:2],
    lambda *inputs: _fake_run(*inputs)[:2],
    _SelfReference,
    self_reference_reference,
    widen=True,
)
