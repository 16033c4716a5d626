"""One step of an external memory with least recently used access (Santoro et al. 2016, sections 3.1-2, eqs (2)-(8)).

    w^lu_i = 1 for the R smallest of w^u_{t-1}, else 0                       least used slots
    w^w_r  = s_r w^r_{r,t-1} + (1 - s_r) w^lu                                where head r writes
    M_t(i) = (0 if i is the least used slot else M_{t-1}(i)) + sum_r w^w_r(i) k_r
    K_r(i) = k_r . M_t(i) / (|k_r| |M_t(i)|)     w^r_r = softmax_i beta K_r  where it reads
    w^u_t  = decay w^u_{t-1} + sum_r w^r_r + sum_r w^w_r                     usage
    read_r = sum_i w^r_r(i) M_t(i)

The paper has no strength beta of the keys: with beta = 1 its equation (3).

Usage only decides which slots are least used, so no gradient flows through it. Of equal usages the lower slot counts
as less used. A norm of 0 has no direction: its cosines are 0, and its own gradient is left out.

In plain torch this is some thirty small operations a step, each of which takes longer to be called than to be done; on
the CPU it is one C function there and one back (`least_recently_used.c`), which sweep the memory once; elsewhere the
formulas are used.

Shape legend: B batch, R heads, N slots, W width of a slot.
"""

import ctypes
import functools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.errors import UserError
from metamemory.kernels import native
from metamemory.kernels.operators import FULL, agree, define, described
from metamemory.shapes import Float

TINY = 1e-6  # beside the product of two norms
MOST_HEADS = 64  # of the C functions, which have an array on the stack with a place for each


class Memory(NamedTuple):
    """An external memory between two steps, float32.

    Attributes:
        slots: [B, W, N] what is stored, M, a column a slot: loops run over slots, of which there are more.
        reading: [B, R, N] where each head read last, w^r.
        usage: [B, N] w^u.
    """

    slots: Tensor
    reading: Tensor
    usage: Tensor


class Access(NamedTuple):
    """What a step found, which the backward pass needs.

    Attributes:
        writing: [B, R, N] w^w.
        norms: [B, N] of the slots after the step.
        least: [B, R] int64, the least used slots, the very least first.
    """

    writing: Tensor
    norms: Tensor
    least: Tensor


def access(
    keys: Float[Tensor, "batch heads width"],
    gates: Float[Tensor, "batch heads"],
    before: Memory,
    decay: float,
    strength: float,
) -> tuple[Float[Tensor, "batch heads width"], Memory]:
    """One step as an operation with its own backward pass: reads [B, R, W] and the memory after it.

    Takes what `forward` does. The gradient of a gradient is refused by autograd with "once_differentiable";
    `access_reference` has it.
    """
    reads, *after = _access(keys, gates, *before, decay, strength)
    return reads, Memory(*after)


def _check(keys: Tensor, gates: Tensor, slots: Tensor, reading: Tensor, usage: Tensor) -> None:
    """Whether they go together, and every head has a slot."""
    if keys.dim() != 3 or usage.dim() != 2 or not 1 <= keys.shape[1] <= usage.shape[1]:
        found = f"keys {described(keys)} and usage {described(usage)}"
        raise UserError(f"access: {found}; they must be [batch, heads, width] and [batch, slots], a slot a head")
    (batch, heads, width), n_slots, types = keys.shape, usage.shape[1], (keys.dtype,)
    agree(
        "access",
        keys=(keys, keys.shape, FULL),
        gates=(gates, (batch, heads), types),
        slots=(slots, (batch, width, n_slots), types),
        reading=(reading, (batch, heads, n_slots), types),
        usage=(usage, (batch, n_slots), types),
    )


def _run(
    keys: Tensor, gates: Tensor, slots: Tensor, reading: Tensor, usage: Tensor, decay: float, strength: float
) -> tuple[Tensor, ...]:
    """reads; slots, reading and usage after the step; and writing, norms, least."""
    reads, *written = _fake_run(keys, gates, slots, reading, usage, decay, strength)
    before = Memory(slots.contiguous(), reading.contiguous(), usage.contiguous())
    after, found = Memory(*written[:3]), Access(*written[3:])
    forward(keys.contiguous(), gates.contiguous(), before, decay, strength, after, found, reads)
    return reads, *written


def _fake_run(
    keys: Tensor, gates: Tensor, slots: Tensor, reading: Tensor, usage: Tensor, decay: float, strength: float
) -> tuple[Tensor, ...]:
    _check(keys, gates, slots, reading, usage)
    after = (each.new_empty(each.shape) for each in (slots, reading, usage))
    found = reading.new_empty(reading.shape), usage.new_empty(usage.shape)
    return keys.new_empty(keys.shape), *after, *found, gates.new_empty(gates.shape, dtype=torch.int64)


def _run_back(
    d_reads: Tensor, d_slots: Tensor, d_reading: Tensor, strength: float, keys: Tensor, gates: Tensor, *rest: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of keys, gates, slots and reading; `rest` is the memory before and after, and what was found."""
    keys, gates, *rest = (each.contiguous() for each in (keys, gates, *rest))
    d_slots, d_reading = (each.clone(memory_format=torch.contiguous_format) for each in (d_slots, d_reading))
    d_keys, d_gates = torch.empty_like(keys), torch.empty_like(gates)
    backward(
        keys, gates, Memory(*rest[:3]), Memory(*rest[3:6]), Access(*rest[6:]), strength,
        d_reads.contiguous(), d_slots, d_reading, d_keys, d_gates,
    )  # fmt: skip
    return d_keys, d_gates, d_slots, d_reading


def _fake_run_back(
    d_reads: Tensor, d_slots: Tensor, d_reading: Tensor, strength: float, keys: Tensor, gates: Tensor, *rest: Tensor
) -> tuple[Tensor, ...]:
    return tuple(each.new_empty(each.shape) for each in (keys, gates, d_slots, d_reading))


def _formula(
    keys: Tensor, gates: Tensor, slots: Tensor, reading: Tensor, usage: Tensor, decay: float, strength: float
) -> tuple[Tensor, ...]:
    reads, memory, _ = access_reference(keys, gates, Memory(slots, reading, usage), decay, strength)
    return reads, *memory


class _Access(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keys, gates, slots, reading, usage, decay, strength):
        reads, *written = _forward(keys, gates, slots, reading, usage, decay, strength)
        ctx.strength = strength
        ctx.save_for_backward(keys, gates, slots, reading, usage, *written)
        ctx.mark_non_differentiable(written[2])
        return reads, *written[:3]

    @staticmethod
    @once_differentiable
    def backward(ctx, d_reads, d_slots, d_reading, _):
        return *_backward(d_reads, d_slots, d_reading, ctx.strength, *ctx.saved_tensors), None, None, None


_MEMORY = "Tensor slots, Tensor reading, Tensor usage"
_INPUTS = f"Tensor keys, Tensor gates, {_MEMORY}, float decay, float strength"
_forward = define(
    f"access_forward({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)", _run, _fake_run
)
_backward = define(
    f"access_backward(Tensor d_reads, Tensor d_slots, Tensor d_reading, float strength, Tensor keys, Tensor gates,"
    f" {_MEMORY}, Tensor slots_after, Tensor reading_after, Tensor usage_after, Tensor writing, Tensor norms,"
    " Tensor least) -> (Tensor, Tensor, Tensor, Tensor)",
    _run_back,
    _fake_run_back,
)
_access = define(
    f"access({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor)",
    lambda *inputs: _run(*inputs)[:4],
    lambda *inputs: _fake_run(*inputs)[:4],
    _Access,
    _formula,
    widen=True,
)


def forward(
    keys: Float[Tensor, "batch heads width"], gates: Float[Tensor, "batch heads"],
    before: Memory, decay: float, strength: float,
    after: Memory, found: Access, reads: Float[Tensor, "batch heads width"],
) -> None:  # fmt: skip
    """One step: write to the memory, then read from it.

    Args:
        keys: [B, R, W] what each head writes, and looks for.
        gates: [B, R] s, from 0 (write to the least used slots) to 1 (to those read last).
        before: the memory as the step before left it.
        decay: of usage, from 0 to 1.
        strength: beta, above 0.
        after, found, reads: to be written; reads is [B, R, W]. All contiguous; nothing may overlap.
    """
    if (compiled := _compiled(keys)) is not None:
        of = _counts(keys, before.usage)
        arrays = zip(
            (keys, gates, *before, *after, *found, reads),
            (of.keys, of.gates, of.slots, of.reading, of.usage, of.slots, of.reading, of.usage,
             of.reading, of.usage, of.least, of.keys),
            strict=True,
        )  # fmt: skip
        numbers = *before.usage.shape, float(decay), float(strength)
        native.call(compiled.forward, numbers, *((tensor, *kind) for tensor, kind in arrays))
        return
    read, memory, access = access_reference(keys, gates, before, decay, strength)
    for target, value in zip((reads, *after, *found), (read, *memory, *access), strict=True):
        target.copy_(value)


def backward(
    keys: Float[Tensor, "batch heads width"], gates: Float[Tensor, "batch heads"],
    before: Memory, after: Memory, found: Access, strength: float, d_reads: Float[Tensor, "batch heads width"],
    d_slots: Float[Tensor, "batch width slots"], d_reading: Float[Tensor, "batch heads slots"],
    d_keys: Float[Tensor, "batch heads width"], d_gates: Float[Tensor, "batch heads"],
) -> None:  # fmt: skip
    """The same step back.

    Args:
        keys, gates, before, after, found, strength: what `forward` read and wrote.
        d_reads: [B, R, W] gradient of the reads.
        d_slots, d_reading: gradients of what `after` has; become those of what `before` has.
        d_keys, d_gates: to be written.
    """
    if (compiled := _compiled(keys)) is not None:
        of = _counts(keys, before.usage)
        arrays = zip(
            (keys, gates, before.reading, after.slots, after.reading, *found,
             d_reads, d_slots, d_reading, d_keys, d_gates),
            (of.keys, of.gates, of.reading, of.slots, of.reading, of.reading, of.usage, of.least,
             of.keys, of.slots, of.reading, of.keys, of.gates),
            strict=True,
        )  # fmt: skip
        numbers = *before.usage.shape, float(strength)
        native.call(compiled.backward, numbers, *((tensor, *kind) for tensor, kind in arrays))
        return
    with torch.enable_grad():
        inputs = [each.detach().requires_grad_() for each in (keys, gates, before.slots, before.reading)]
        reads, memory, _ = access_reference(*inputs[:2], Memory(*inputs[2:], before.usage), 1.0, strength)
        outputs = (reads, memory.slots, memory.reading)
        grads = torch.autograd.grad(outputs, inputs, (d_reads, d_slots, d_reading))
    for target, value in zip((d_keys, d_gates, d_slots, d_reading), grads, strict=True):
        target.copy_(value)


def access_reference(
    keys: Float[Tensor, "batch heads width"],
    gates: Float[Tensor, "batch heads"],
    before: Memory,
    decay: float,
    strength: float,
) -> tuple[Float[Tensor, "batch heads width"], Memory, Access]:
    """The formulas: reads, the memory after the step, and what was found on the way; differentiable."""
    n_heads = gates.shape[1]
    least = before.usage.argsort(dim=-1, stable=True)[:, :n_heads]
    fresh = torch.zeros_like(before.usage).scatter(1, least, 1.0)[:, None]
    kept = torch.ones_like(before.usage).scatter(1, least[:, :1], 0.0)[:, None]
    s = gates[..., None]
    writing = s * before.reading + (1 - s) * fresh
    slots = kept * before.slots + keys.transpose(1, 2) @ writing
    norms = _norm(slots, dim=1)
    cosines = keys @ slots / (_norm(keys, dim=2)[..., None] * norms[:, None] + TINY)
    reading = (strength * cosines).softmax(dim=-1)
    usage = decay * before.usage + (reading + writing).detach().sum(dim=1)
    return reading @ slots.transpose(1, 2), Memory(slots, reading, usage), Access(writing, norms, least)


def _norm(x: Tensor, dim: int) -> Tensor:
    """Where it is 0, so is its gradient."""
    squares = x.square().sum(dim=dim)
    return squares.where(squares > 0, 1).sqrt() * (squares > 0)


class _Counts(NamedTuple):
    """Type and number of elements of what the C functions take."""

    keys: tuple[torch.dtype, int]
    gates: tuple[torch.dtype, int]
    slots: tuple[torch.dtype, int]
    reading: tuple[torch.dtype, int]
    usage: tuple[torch.dtype, int]
    least: tuple[torch.dtype, int]


@functools.lru_cache
def _counts_of(batch: int, heads: int, width: int, slots: int) -> _Counts:
    keys, gates = batch * heads * width, batch * heads
    real = ((torch.float32, count) for count in (keys, gates, batch * width * slots, gates * slots, batch * slots))
    return _Counts(*real, (torch.int64, gates))


def _counts(keys: Tensor, usage: Tensor) -> _Counts:
    return _counts_of(*keys.shape, usage.shape[1])


def _compiled(keys: Tensor) -> ctypes.CDLL | None:
    on_cpu = keys.device.type == "cpu" and keys.dtype == torch.float32
    if not on_cpu or not 1 <= keys.shape[1] <= MOST_HEADS or not keys.shape[2]:
        return None
    return native.library("least_recently_used", torch.float32, HEADS=keys.shape[1], WIDTH=keys.shape[2])
