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
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.kernels import native
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
    reads, *after = _Access.apply(keys, gates, *before, decay, strength)
    return reads, Memory(*after)


class _Access(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keys, gates, slots, reading, usage, decay, strength):
        keys, gates = keys.contiguous(), gates.contiguous()
        before, after = Memory(slots, reading, usage), Memory(*map(torch.empty_like, (slots, reading, usage)))
        found = Access(
            torch.empty_like(reading), torch.empty_like(usage), torch.empty_like(gates, dtype=torch.int64)
        )  # fmt: skip
        reads = torch.empty_like(keys)
        forward(keys, gates, before, decay, strength, after, found, reads)
        ctx.strength = strength
        ctx.save_for_backward(keys, gates, *before, *after, *found)
        ctx.mark_non_differentiable(after.usage)
        return reads, *after

    @staticmethod
    @once_differentiable
    def backward(ctx, d_reads, d_slots, d_reading, _):
        keys, gates, *rest = ctx.saved_tensors
        d_slots, d_reading = (each.clone(memory_format=torch.contiguous_format) for each in (d_slots, d_reading))
        d_keys, d_gates = torch.empty_like(keys), torch.empty_like(gates)
        backward(
            keys, gates, Memory(*rest[:3]), Memory(*rest[3:6]), Access(*rest[6:]), ctx.strength,
            d_reads.contiguous(), d_slots, d_reading, d_keys, d_gates,
        )  # fmt: skip
        return d_keys, d_gates, d_slots, d_reading, None, None, None


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
        factors = float(decay), float(strength)
        native.call(compiled.forward, *after.usage.shape, *factors, keys, gates, *before, *after, *found, reads)
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
        saved = (keys, gates, before.reading, after.slots, after.reading, *found)
        gradients = d_reads, d_slots, d_reading, d_keys, d_gates
        native.call(compiled.backward, *after.usage.shape, float(strength), *saved, *gradients)
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


def _compiled(keys: Tensor) -> ctypes.CDLL | None:
    on_cpu = keys.device.type == "cpu" and keys.dtype == torch.float32
    if not on_cpu or keys.shape[1] > MOST_HEADS:
        return None
    return native.library("least_recently_used", torch.float32, HEADS=keys.shape[1], WIDTH=keys.shape[2])
