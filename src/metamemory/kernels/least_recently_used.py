"""One step of an external memory with least recently used access (Santoro et al. 2016, sections 3.1-2, eqs (2)-(8)).

    w^lu_i = 1 for the R smallest of w^u_{t-1}, else 0                       least used slots
    w^w_r  = s_r w^r_{r,t-1} + (1 - s_r) w^lu                                where head r writes
    M_t(i) = (0 if i is the least used slot else M_{t-1}(i)) + sum_r w^w_r(i) k_r
    K_r(i) = k_r . M_t(i) / (|k_r| |M_t(i)|)     w^r_r = softmax_i beta K_r  where it reads
    w^u_t  = decay w^u_{t-1} + sum_r w^r_r + sum_r w^w_r                     usage
    read_r = sum_i w^r_r(i) M_t(i)

The paper has no strength beta of the keys: with beta = 1 its equation (3). Two more things can be otherwise than it
prints them, as public code has them:

    M_t(i) = ... + sum_r w^w_r(i) v_r                  values v of their own are written, and not the keys
    w^lu_{r,i} = 1 for the r-th smallest, else 0       each head has a least used slot of its own

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
from metamemory.refusals import first_order
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
    values: Float[Tensor, "batch heads width"] | None = None,
    own_slots: bool = False,
) -> tuple[Float[Tensor, "batch heads width"], Memory]:
    """One step as an operation with its own backward pass: reads [B, R, W] and the memory after it.

    Takes what `forward` does. The gradient of a gradient is refused by autograd with "once_differentiable";
    `access_reference` has it.
    """
    reads, *after = _access(keys, gates, *before, decay, strength, values, own_slots)
    return reads, Memory(*after)


def _check(keys: Tensor, gates: Tensor, slots: Tensor, reading: Tensor, usage: Tensor, values: Tensor | None) -> None:
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
        **({} if values is None else {"values": (values, keys.shape, types)}),
    )


def _run(
    keys: Tensor, gates: Tensor, slots: Tensor, reading: Tensor, usage: Tensor, decay: float, strength: float,
    values: Tensor | None, own_slots: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    """reads; slots, reading and usage after the step; and writing, norms, least."""
    reads, *written = _fake_run(keys, gates, slots, reading, usage, decay, strength, values, own_slots)
    before = Memory(slots.contiguous(), reading.contiguous(), usage.contiguous())
    after, found = Memory(*written[:3]), Access(*written[3:])
    values = None if values is None else values.contiguous()
    forward(keys.contiguous(), gates.contiguous(), before, decay, strength, after, found, reads, values, own_slots)
    return reads, *written


def _fake_run(
    keys: Tensor, gates: Tensor, slots: Tensor, reading: Tensor, usage: Tensor, decay: float, strength: float,
    values: Tensor | None, own_slots: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    _check(keys, gates, slots, reading, usage, values)
    after = (each.new_empty(each.shape) for each in (slots, reading, usage))
    found = reading.new_empty(reading.shape), usage.new_empty(usage.shape)
    return keys.new_empty(keys.shape), *after, *found, gates.new_empty(gates.shape, dtype=torch.int64)


def _run_back(
    d_reads: Tensor, d_slots: Tensor, d_reading: Tensor, strength: float, values: Tensor | None, own_slots: bool,
    keys: Tensor, gates: Tensor, *rest: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients of keys, gates, slots, reading and values (of no values, nothing); `rest` is the memory before and
    after, and what was found."""
    keys, gates, *rest = (each.contiguous() for each in (keys, gates, *rest))
    d_slots, d_reading = (each.clone(memory_format=torch.contiguous_format) for each in (d_slots, d_reading))
    d_keys, d_gates = torch.empty_like(keys), torch.empty_like(gates)
    values, d_values = (None, None) if values is None else (values.contiguous(), torch.empty_like(keys))
    backward(
        keys, gates, Memory(*rest[:3]), Memory(*rest[3:6]), Access(*rest[6:]), strength,
        d_reads.contiguous(), d_slots, d_reading, d_keys, d_gates, values, d_values, own_slots,
    )  # fmt: skip
    return d_keys, d_gates, d_slots, d_reading, keys.new_empty(0) if d_values is None else d_values


def _fake_run_back(
    d_reads: Tensor, d_slots: Tensor, d_reading: Tensor, strength: float, values: Tensor | None, own_slots: bool,
    keys: Tensor, gates: Tensor, *rest: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    nothing = keys.new_empty(0)
    shapes = (keys, gates, d_slots, d_reading, nothing if values is None else values)
    return tuple(each.new_empty(each.shape) for each in shapes)


def _formula(
    keys: Tensor, gates: Tensor, slots: Tensor, reading: Tensor, usage: Tensor, decay: float, strength: float,
    values: Tensor | None, own_slots: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    before = Memory(slots, reading, usage)
    reads, memory, _ = access_reference(keys, gates, before, decay, strength, values, own_slots)
    return reads, *memory


class _Access(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keys, gates, slots, reading, usage, decay, strength, values, own_slots):
        reads, *written = _forward(keys, gates, slots, reading, usage, decay, strength, values, own_slots)
        ctx.strength, ctx.own_slots = strength, own_slots
        ctx.save_for_backward(values, keys, gates, slots, reading, usage, *written)
        ctx.mark_non_differentiable(written[2])
        return reads, *written[:3]

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_reads, d_slots, d_reading, _):
        values, *kept = ctx.saved_tensors
        *gradients, d_values = _backward(d_reads, d_slots, d_reading, ctx.strength, values, ctx.own_slots, *kept)
        return *gradients, None, None, None, None if values is None else d_values, None


_MEMORY = "Tensor slots, Tensor reading, Tensor usage"
_INPUTS = f"Tensor keys, Tensor gates, {_MEMORY}, float decay, float strength, Tensor? values, bool own_slots"
_forward = define(
    f"access_forward({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)", _run, _fake_run
)
_backward = define(
    "access_backward(Tensor d_reads, Tensor d_slots, Tensor d_reading, float strength, Tensor? values, bool own_slots,"
    f" Tensor keys, Tensor gates, {_MEMORY}, Tensor slots_after, Tensor reading_after, Tensor usage_after,"
    " Tensor writing, Tensor norms, Tensor least) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
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
    values: Float[Tensor, "batch heads width"] | None = None, own_slots: bool = False,
) -> None:  # fmt: skip
    """One step: write to the memory, then read from it.

    Args:
        keys: [B, R, W] what each head looks for, and writes.
        gates: [B, R] s, from 0 (write to the least used slots) to 1 (to those read last).
        before: the memory as the step before left it.
        decay: of usage, from 0 to 1.
        strength: beta, above 0.
        after, found, reads: to be written; reads is [B, R, W]. All contiguous; nothing may overlap.
        values: [B, R, W] what each head writes in place of its key.
        own_slots: whether each head writes to one of the least used slots, in order, and not to all of them.
    """
    if (compiled := _compiled(keys, values, own_slots)) is not None:
        of = _counts(keys, before.usage)
        arrays = zip(
            (keys, values, gates, *before, *after, *found, reads),
            (of.keys, of.keys, of.gates, of.slots, of.reading, of.usage, of.slots, of.reading, of.usage,
             of.reading, of.usage, of.least, of.keys),
            strict=True,
        )  # fmt: skip
        numbers = *before.usage.shape, float(decay), float(strength)
        native.call(compiled.forward, numbers, *((tensor, *kind) for tensor, kind in arrays))
        return
    read, memory, access = access_reference(keys, gates, before, decay, strength, values, own_slots)
    for target, value in zip((reads, *after, *found), (read, *memory, *access), strict=True):
        target.copy_(value)


def backward(
    keys: Float[Tensor, "batch heads width"], gates: Float[Tensor, "batch heads"],
    before: Memory, after: Memory, found: Access, strength: float, d_reads: Float[Tensor, "batch heads width"],
    d_slots: Float[Tensor, "batch width slots"], d_reading: Float[Tensor, "batch heads slots"],
    d_keys: Float[Tensor, "batch heads width"], d_gates: Float[Tensor, "batch heads"],
    values: Float[Tensor, "batch heads width"] | None = None,
    d_values: Float[Tensor, "batch heads width"] | None = None,
    own_slots: bool = False,
) -> None:  # fmt: skip
    """The same step back.

    Args:
        keys, gates, before, after, found, strength, values, own_slots: what `forward` read and wrote.
        d_reads: [B, R, W] gradient of the reads.
        d_slots, d_reading: gradients of what `after` has; become those of what `before` has.
        d_keys, d_gates: to be written; d_values too, where there are values.
    """
    if (compiled := _compiled(keys, values, own_slots)) is not None:
        of = _counts(keys, before.usage)
        arrays = zip(
            (keys, values, gates, before.reading, after.slots, after.reading, *found,
             d_reads, d_slots, d_reading, d_keys, d_values, d_gates),
            (of.keys, of.keys, of.gates, of.reading, of.slots, of.reading, of.reading, of.usage, of.least,
             of.keys, of.slots, of.reading, of.keys, of.keys, of.gates),
            strict=True,
        )  # fmt: skip
        numbers = *before.usage.shape, float(strength)
        native.call(compiled.backward, numbers, *((tensor, *kind) for tensor, kind in arrays))
        return
    with torch.enable_grad():
        given = (keys, gates, before.slots, before.reading, *([] if values is None else [values]))
        inputs = [each.detach().requires_grad_() for each in given]
        memory = Memory(*inputs[2:4], before.usage)
        reads, memory, _ = access_reference(*inputs[:2], memory, 1.0, strength, *inputs[4:] or [None], own_slots)
        outputs = (reads, memory.slots, memory.reading)
        grads = torch.autograd.grad(outputs, inputs, (d_reads, d_slots, d_reading))
    targets = (d_keys, d_gates, d_slots, d_reading, d_values)
    for target, value in zip(targets, grads, strict=False):
        target.copy_(value)


def access_reference(
    keys: Float[Tensor, "batch heads width"],
    gates: Float[Tensor, "batch heads"],
    before: Memory,
    decay: float,
    strength: float,
    values: Float[Tensor, "batch heads width"] | None = None,
    own_slots: bool = False,
) -> tuple[Float[Tensor, "batch heads width"], Memory, Access]:
    """The formulas: reads, the memory after the step, and what was found on the way; differentiable."""
    n_heads = gates.shape[1]
    least = before.usage.argsort(dim=-1, stable=True)[:, :n_heads]
    if own_slots:
        fresh = torch.zeros_like(before.reading).scatter(2, least[..., None], 1.0)
    else:
        fresh = torch.zeros_like(before.usage).scatter(1, least, 1.0)[:, None]
    kept = torch.ones_like(before.usage).scatter(1, least[:, :1], 0.0)[:, None]
    s = gates[..., None]
    writing = s * before.reading + (1 - s) * fresh
    written = keys if values is None else values
    slots = kept * before.slots + written.transpose(1, 2) @ writing
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


def _compiled(keys: Tensor, values: Tensor | None, own_slots: bool) -> ctypes.CDLL | None:
    on_cpu = keys.device.type == "cpu" and keys.dtype == torch.float32
    if not on_cpu or not 1 <= keys.shape[1] <= MOST_HEADS or not keys.shape[2]:
        return None
    form = {"VALUES": int(values is not None), "OWN_SLOTS": int(own_slots)}
    return native.library("least_recently_used", torch.float32, HEADS=keys.shape[1], WIDTH=keys.shape[2], **form)
