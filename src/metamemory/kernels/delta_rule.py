"""Weights that are written by the delta rule (Schlag et al. 2021, equations (21) to (25)).

    v'_t = k_t W_{t-1}                                     what the weights have at the key
    W_t  = W_{t-1} + k_t^T rate_t (v_t - v'_t)             replaced, as far as the rate says, by the value
    y_t  = q_t W_t                                         what they have at the query

Step by step in torch, the weights of every episode and head go through memory many times a step. C functions
(`delta_rule.c`) keep those of one head in cache from the first step to the last. The backward pass goes back to the
weights of each step by taking off what was written, so that none but every sixteenth are kept. They are used on the
CPU, in float32; elsewhere, and where there is no compiler, the formulas below, which are their reference.

Shape legend: T steps, N heads of all episodes, D size of a key, V size of a value.
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

EVERY = 16  # as delta.h has it
MOST_KEYS = 64  # of the C functions, which have the weights of a head on the stack


def delta_rule(
    q: Float[Tensor, "time heads size"],
    k: Float[Tensor, "time heads size"],
    v: Float[Tensor, "time heads values"],
    rates: Float[Tensor, "time heads"],
    weights: Float[Tensor, "heads size values"],
) -> tuple[Float[Tensor, "time heads values"], Float[Tensor, "heads size values"]]:
    """Answers to all steps, [T, N, V], and the weights after the last.

    Args:
        q, k: [T, N, D], at least one step.
        v: [T, N, V].
        rates: [T, N].
        weights: [N, D, V], as they are before the first.

    Raises:
        UserError: sizes or types do not go together.
    """
    return _delta_rule(q, k, v, rates, weights)


def delta_rule_reference(
    q: Float[Tensor, "time heads size"],
    k: Float[Tensor, "time heads size"],
    v: Float[Tensor, "time heads values"],
    rates: Float[Tensor, "time heads"],
    weights: Float[Tensor, "heads size values"],
) -> tuple[Float[Tensor, "time heads values"], Float[Tensor, "heads size values"]]:
    """`delta_rule` by its formulas."""
    y, weights, _ = _formulas(q, k, v, rates, weights)
    return y, weights


_formula = delta_rule_reference


def _formulas(q: Tensor, k: Tensor, v: Tensor, rates: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Answers, the weights after, and v - v' of each step, [T, N, V]."""
    answers, kept = [], []
    for q_t, k_t, v_t, rate_t in zip(q.unbind(), k.unbind(), v.unbind(), rates.unbind(), strict=True):
        missing = v_t - (k_t[:, None] @ weights)[:, 0]
        weights = torch.baddbmm(weights, k_t[:, :, None], (rate_t[:, None] * missing)[:, None])
        answers.append((q_t[:, None] @ weights)[:, 0])
        kept.append(missing)
    return torch.stack(answers), weights, torch.stack(kept)


def _check(q: Tensor, k: Tensor, v: Tensor, rates: Tensor, weights: Tensor) -> None:
    """Whether they go together."""
    if q.dim() != 3 or v.dim() != 3 or 0 in (*q.shape[::2], v.shape[2]):
        found = f"q is {described(q)} and v {described(v)}"
        raise UserError(f"delta_rule: {found}; they must be [time, heads, size], with at least one step")
    types = (q.dtype,)
    agree(
        "delta_rule",
        q=(q, q.shape, FULL),
        k=(k, q.shape, types),
        v=(v, (*q.shape[:2], v.shape[2]), types),
        rates=(rates, q.shape[:2], types),
        weights=(weights, (*q.shape[1:], v.shape[2]), types),
    )


def _fake_run(q: Tensor, k: Tensor, v: Tensor, rates: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    _check(q, k, v, rates, weights)
    marks = (q.shape[0] - 1) // EVERY
    return v.new_empty(v.shape), v.new_empty(weights.shape), v.new_empty(marks, *weights.shape), v.new_empty(v.shape)


def _run(q: Tensor, k: Tensor, v: Tensor, rates: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """Answers and weights after; marks, the weights after every so many steps; and v - v' of each step."""
    y, after, marks, missing = _fake_run(q, k, v, rates, weights)
    compiled = _compiled(q, v)
    if compiled is None:
        y, after, missing = _formulas(q, k, v, rates, weights)
        return y, after, marks.zero_(), missing
    given = (each.contiguous() for each in (q, k, v, rates, weights))
    native.call(compiled.forward, tuple(q.shape[:2]), *_arrays(*given, y, after, marks, missing))
    return y, after, marks, missing


def _run_back(
    d_y: Tensor, d_after: Tensor, q: Tensor, k: Tensor, v: Tensor, rates: Tensor, weights: Tensor,
    after: Tensor, marks: Tensor, missing: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients of q, k, v, the rates and the weights before."""
    compiled = _compiled(q, v)
    if compiled is None:
        with torch.enable_grad():
            given = [each.detach().requires_grad_() for each in (q, k, v, rates, weights)]
            return torch.autograd.grad(delta_rule_reference(*given), given, (d_y, d_after))
    given = [each.contiguous() for each in (q, k, rates, after, marks, missing, d_y)]
    found = [each.new_empty(each.shape) for each in (q, k, v, rates)]
    d_weights = d_after.clone(memory_format=torch.contiguous_format)
    native.call(compiled.backward, tuple(q.shape[:2]), *_arrays(*given, *found, d_weights))
    return *found, d_weights


def _fake_run_back(
    d_y: Tensor, d_after: Tensor, q: Tensor, k: Tensor, v: Tensor, rates: Tensor, weights: Tensor,
    after: Tensor, marks: Tensor, missing: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    return tuple(each.new_empty(each.shape) for each in (q, k, v, rates, weights))


def _arrays(*tensors: Tensor) -> list[native.Array]:
    return [(each, torch.float32, each.numel()) for each in tensors]


def _compiled(q: Tensor, v: Tensor) -> ctypes.CDLL | None:
    if q.device.type != "cpu" or q.dtype != torch.float32 or max(q.shape[2], v.shape[2]) > MOST_KEYS:
        return None
    return native.library("delta_rule", torch.float32, KEYS=q.shape[2], LONG=v.shape[2])


class _DeltaRule(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, rates, weights):
        y, after, marks, missing = _forward(q, k, v, rates, weights)
        ctx.save_for_backward(q, k, v, rates, weights, after, marks, missing)
        return y, after

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_y, d_after):
        return _backward(d_y, d_after, *ctx.saved_tensors)


_INPUTS = "Tensor q, Tensor k, Tensor v, Tensor rates, Tensor weights"
_forward = define(f"delta_rule_forward({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor)", _run, _fake_run)
_backward = define(
    f"delta_rule_backward(Tensor d_y, Tensor d_after, {_INPUTS}, Tensor after, Tensor marks, Tensor missing)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _run_back,
    _fake_run_back,
)
_delta_rule = define(
    f"delta_rule({_INPUTS}) -> (Tensor, Tensor)",
    lambda *inputs: _run(*inputs)[:2],
    lambda *inputs: _fake_run(*inputs)[:2],
    _DeltaRule,
    delta_rule_reference,
    widen=True,
)
