"""An LSTM controller with an external memory, over a whole episode, as one operation with its own backward pass.

    h_t, c_t = LSTM(u_t + W_s [h_{t-1}, reads_{t-1}], c_{t-1})
    [k, s] = W_a h_t + b_a         reads_t, M_t = access(tanh k, sigmoid s, M_{t-1})

or, where what is written is not the key but a value of its own,

    [k, v, s] = W_a h_t + b_a      reads_t, M_t = access(tanh k, sigmoid s, M_{t-1}, tanh v)

Every step has to wait for the one before it, but for the input part u, which arrives here for all steps at once. In the
loop are two matrix products, one gate update and one access to the memory, each there and back; the gradients of the
weights are one product over all steps at the end.

Memory kept for the backward pass, a step and episode: 4 (N (W + 2 R + 2) + 6 H + 2 R W) bytes and a few; 31 kB with 128
slots of 40, 4 heads and 200 units. Values take 4 R W more.

Shape legend: T steps, B batch, H units of the controller, R heads, N slots, W width of a slot, P parts of what heads
are told: keys, or keys and values.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.errors import UserError
from metamemory.kernels import gates, least_recently_used
from metamemory.kernels.least_recently_used import Access, Memory
from metamemory.kernels.operators import FULL, agree, define, described
from metamemory.refusals import first_order
from metamemory.shapes import Float


def memory_network_reference(
    u: Float[Tensor, "time batch gates"],
    w_state: Float[Tensor, "gates outputs"],
    w_access: Float[Tensor, "access units"], b_access: Float[Tensor, " access"],
    h: Float[Tensor, "batch units"], c: Float[Tensor, "batch units"], reads: Float[Tensor, "batch reads"],
    memory: Memory, decay: float, strength: float, own_slots: bool = False,
) -> tuple[Float[Tensor, "time batch outputs"], Float[Tensor, "batch units"], Memory]:  # fmt: skip
    """The same operation by its formulas, differentiated by autograd: the oracle.

    Takes and returns what `memory_network` does.
    """
    outputs = []
    for u_t in u.unbind():
        i, f, o, g = (u_t + torch.cat([h, reads], dim=-1) @ w_state.T).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        told, s = _split(h @ w_access.T + b_access, memory)
        keys, values = _parts(told.tanh())
        read, memory, _ = least_recently_used.access_reference(
            keys, s.sigmoid(), memory, decay, strength, values, own_slots
        )
        reads = read.flatten(1)
        outputs.append(torch.cat([h, reads], dim=-1))
    return torch.stack(outputs), c, memory


def memory_network(
    u: Float[Tensor, "time batch gates"],
    w_state: Float[Tensor, "gates outputs"],
    w_access: Float[Tensor, "access units"], b_access: Float[Tensor, " access"],
    h: Float[Tensor, "batch units"], c: Float[Tensor, "batch units"], reads: Float[Tensor, "batch reads"],
    memory: Memory, decay: float, strength: float, own_slots: bool = False,
) -> tuple[Float[Tensor, "time batch outputs"], Float[Tensor, "batch units"], Memory]:  # fmt: skip
    """Run the controller and its memory over T steps.

    Args:
        u: [T, B, 4H] input part of the controller's pre-activations, gates in the order i, f, o, g.
        w_state: [4H, H + R W]; w_access: [R (W + 1), H], keys before gates, or [R (2 W + 1), H], keys before values
            before gates: values are then written and not the keys; b_access: [R (W + 1)] or [R (2 W + 1)].
        h, c, reads: [B, H], [B, H], [B, R W] state before the first step.
        memory: the external memory before the first step.
        decay: of usage, a step.
        strength: beta, of the keys.
        own_slots: whether each head has a least used slot of its own.

    Returns:
        h and reads of all steps, [T, B, H + R W]; the last cell; the last memory. The gradient of a gradient is refused
        by autograd with "once_differentiable"; `memory_network_reference` has it.
    """
    weights = w_state, w_access, b_access
    outputs, c, *last = _memory_network(u, *weights, h, c, reads, *memory, decay, strength, own_slots)
    return outputs, c, Memory(*last)


def _split(p: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """[B, R (P W + 1)] -> keys, and values if there are any, [P, B, R, W]; and gates [B, R]."""
    heads, width = memory.reading.shape[1], memory.slots.shape[1]
    return p[:, :-heads].unflatten(1, (-1, heads, width)).transpose(0, 1), p[:, -heads:]


def _parts(told: Tensor) -> tuple[Tensor, Tensor | None]:
    """[P, B, R, W] -> keys, and values or None."""
    return told[0], told[1] if len(told) == 2 else None


def _check(
    u: Tensor, w_state: Tensor, w_access: Tensor, b_access: Tensor, h: Tensor, c: Tensor, reads: Tensor, *memory: Tensor
) -> None:
    slots, reading, usage = memory
    if u.dim() != 3 or h.dim() != 2 or slots.dim() != 3 or reading.dim() != 3 or len(u) == 0:
        given = ", ".join(map(described, (u, h, slots, reading)))
        raise UserError(f"memory_network: u, h, slots, reading are {given}; at least one step, sizes as documented")
    (batch, units), heads, width, types = h.shape, reading.shape[1], slots.shape[1], (u.dtype,)
    parts = _number_of_parts(w_access, heads, width) if w_access.dim() == 2 else 1
    agree(
        "memory_network",
        u=(u, (len(u), batch, 4 * units), FULL),
        w_state=(w_state, (4 * units, units + heads * width), types),
        w_access=(w_access, (heads * (parts * width + 1), units), types),
        b_access=(b_access, (heads * (parts * width + 1),), types),
        h=(h, (batch, units), types),
        c=(c, (batch, units), types),
        reads=(reads, (batch, heads * width), types),
        slots=(slots, (batch, width, usage.shape[-1]), types),
        reading=(reading, (batch, heads, usage.shape[-1]), types),
        usage=(usage, (batch, usage.shape[-1]), types),
    )
    if not 1 <= heads <= usage.shape[1] or not width:
        raise UserError(f"memory_network: {heads} heads, {usage.shape[1]} slots of {width}; every head needs a slot")


def _number_of_parts(w_access: Tensor, heads: int, width: int) -> int:
    """P, by the rows of W_a."""
    return 2 if len(w_access) > heads * (width + 1) else 1


def _fake_run(u, w_state, w_access, b_access, h, c, reads, slots, reading, usage, decay, strength, own_slots):
    """Outputs, cells and memories before the first step and after each, [T + 1, ...]; and of every step, [T, ...], a,
    keys and values [T, P, B, R, W], gates and what was found. Not yet filled."""
    _check(u, w_state, w_access, b_access, h, c, reads, slots, reading, usage)
    (n_steps, n_batch), n_heads = u.shape[:2], reading.shape[1]
    out = h.new_empty(n_steps + 1, n_batch, w_state.shape[1])
    states = (each.new_empty(n_steps + 1, *each.shape) for each in (c, slots, reading, usage))
    n_width = slots.shape[1]
    told = _number_of_parts(w_access, n_heads, n_width), n_batch, n_heads, n_width
    a, told, s = (u.new_empty(n_steps, *size) for size in (u.shape[1:], told, (n_batch, n_heads)))
    found = (u.new_empty(n_steps, *each.shape) for each in (reading, usage))
    return out, *states, a, told, s, *found, u.new_empty(n_steps, n_batch, n_heads, dtype=torch.int64)


def _run(u, w_state, w_access, b_access, h, c, reads, slots, reading, usage, decay, strength, own_slots):
    kept = _fake_run(u, w_state, w_access, b_access, h, c, reads, slots, reading, usage, decay, strength, own_slots)
    out, cs, memory, a, told, s, found = *kept[:2], Memory(*kept[2:5]), *kept[5:8], Access(*kept[8:])
    for buffer, first in zip(
        (out, cs, *memory), (torch.cat([h, reads], dim=-1), c, slots, reading, usage), strict=True
    ):
        buffer[0] = first
    u = u.contiguous()
    h_t, read_t = h.new_empty(h.shape), torch.empty_like(told[0, 0])
    flat_read_t = read_t.flatten(1)
    # views of every step, made at once: made one by one, they would take a good part of the loop's time
    steps = zip(
        *(each.unbind() for each in (u, out[:-1], out[1:], cs[:-1], cs[1:], a, told, s)),
        _parts_by_step(told),
        *(_by_step(each) for each in (_before(memory), _after(memory), found)),
        strict=True,
    )
    to_state, to_access = w_state.T, w_access.T
    for u_t, out_before, out_t, c_before, c_t, a_t, told_t, s_t, (k_t, v_t), before, after, found_t in steps:
        gates.forward(u_t, out_before @ to_state, c_before, a_t, c_t, h_t)
        p, g = _split(torch.addmm(b_access, h_t, to_access), before)
        torch.tanh(p, out=told_t)
        torch.sigmoid(g, out=s_t)
        least_recently_used.forward(k_t, s_t, before, decay, strength, after, found_t, read_t, v_t, own_slots)
        torch.cat([h_t, flat_read_t], dim=-1, out=out_t)
    return kept


def _run_back(d_out, d_c, d_slots, d_reading, strength, own_slots, w_state, w_access, out, cs, *rest):
    """Gradients of all tensors that went in, but usage."""
    memory, (a, told, s), found = Memory(*rest[:3]), rest[3:6], Access(*rest[6:])
    n_steps, (n_batch, n_units), heads = len(a), cs.shape[1:], s.shape[2]
    d_c, d_slots, d_reading = (each.clone(memory_format=torch.contiguous_format) for each in (d_c, d_slots, d_reading))
    d_told, d_s, d_reads = torch.empty_like(told[0]), torch.empty_like(s[0]), torch.empty_like(told[0, 0])
    d_keys, d_values = _parts(d_told)
    d_a, d_p = torch.empty_like(a), told.new_empty(n_steps, n_batch, len(w_access))
    d_next = torch.zeros_like(out[0])  # of h and reads, by way of the step after
    slope_told, slope_s = 1 - told.square(), s * (1 - s)  # of tanh and sigmoid
    d_activated = d_p[..., :-heads].unflatten(-1, (-1, *told.shape[3:])).transpose(1, 2)  # [T, P, B, R, W]
    steps = zip(
        *(each.unbind() for each in (d_out, a, cs[:-1], cs[1:], s, slope_told, slope_s, d_a)),
        *(each.unbind() for each in (d_activated, d_p[..., -heads:], d_p)),
        _parts_by_step(told),
        *(_by_step(each) for each in (_before(memory), _after(memory), found)),
        strict=True,
    )
    for (
        d_out_t, a_t, c_before, c_t, s_t, slope_told_t, slope_s_t, d_a_t, d_activated_t, d_g, d_p_t, (k_t, v_t),
        before, after, found_t,
    ) in reversed(list(steps)):  # fmt: skip
        d_next += d_out_t
        d_reads.copy_(d_next[:, n_units:].view_as(d_reads))
        least_recently_used.backward(
            k_t, s_t, before, after, found_t, strength, d_reads, d_slots, d_reading, d_keys, d_s, v_t, d_values,
            own_slots,
        )  # fmt: skip
        torch.mul(d_told, slope_told_t, out=d_activated_t)
        torch.mul(d_s, slope_s_t, out=d_g)
        gates.backward(a_t, c_before, c_t, d_next[:, :n_units].contiguous(), d_p_t @ w_access, d_c, d_a_t)
        torch.mm(d_a_t, w_state, out=d_next)
    d_w_state = d_a.flatten(0, 1).T @ out[:-1].flatten(0, 1)
    d_w_access = d_p.flatten(0, 1).T @ out[1:, :, :n_units].flatten(0, 1)
    d_h, d_reads = (each.contiguous() for each in d_next.split([n_units, out.shape[-1] - n_units], dim=-1))
    return d_a, d_w_state, d_w_access, d_p.sum(dim=(0, 1)), d_h, d_c, d_reads, d_slots, d_reading


def _fake_run_back(d_out, d_c, d_slots, d_reading, strength, own_slots, w_state, w_access, out, cs, *rest):
    a, (_, batch, units) = rest[3], cs.shape
    like = w_state.new_empty
    weights = like(w_state.shape), like(w_access.shape), like(len(w_access))
    reads = like(batch, out.shape[-1] - units)
    return (
        like(a.shape),
        *weights,
        like(batch, units),
        like(d_c.shape),
        reads,
        like(d_slots.shape),
        like(d_reading.shape),
    )


def _answer(out: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
    """Outputs of all steps; the last cell, slots, reading and usage."""
    return out[1:], *(each[-1].clone() for each in states)


def _formula(u, w_state, w_access, b_access, h, c, reads, slots, reading, usage, *rule):
    state, memory = (h, c, reads), Memory(slots, reading, usage)
    outputs, c, last = memory_network_reference(u, w_state, w_access, b_access, *state, memory, *rule)
    return outputs, c, *last


class _MemoryNetwork(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, w_state, w_access, b_access, h, c, reads, slots, reading, usage, *rule):
        kept = _forward(u, w_state, w_access, b_access, h, c, reads, slots, reading, usage, *rule)
        ctx.rule = rule[1:]  # usage, and its decay, take no part in gradients
        ctx.save_for_backward(w_state, w_access, *kept)
        answer = _answer(*kept[:5])
        ctx.mark_non_differentiable(answer[-1])
        return answer

    @staticmethod
    @first_order
    @once_differentiable
    def backward(ctx, d_out, d_c, d_slots, d_reading, _):
        gradients = _backward(d_out, d_c, d_slots, d_reading, *ctx.rule, *ctx.saved_tensors)
        return *gradients, None, None, None, None


_INPUTS = (
    "Tensor u, Tensor w_state, Tensor w_access, Tensor b_access, Tensor h, Tensor c, Tensor reads, Tensor slots,"
    " Tensor reading, Tensor usage, float decay, float strength, bool own_slots"
)
_forward = define(f"memory_network_forward({_INPUTS}) -> ({', '.join(['Tensor'] * 11)})", _run, _fake_run)
_backward = define(
    "memory_network_backward(Tensor d_out, Tensor d_c, Tensor d_slots, Tensor d_reading, float strength,"
    " bool own_slots, Tensor w_state, Tensor w_access, Tensor out, Tensor cs, Tensor slots, Tensor reading,"
    " Tensor usage, Tensor a, Tensor told, Tensor s, Tensor writing, Tensor norms, Tensor least)"
    f" -> ({', '.join(['Tensor'] * 9)})",
    _run_back,
    _fake_run_back,
)
_memory_network = define(
    f"memory_network({_INPUTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    lambda *inputs: _answer(*_run(*inputs)[:5]),
    lambda *inputs: _answer(*_fake_run(*inputs)[:5]),
    _MemoryNetwork,
    _formula,
    widen=True,
)


def _before(memory: Memory) -> Memory:
    """Of every step, what it starts from."""
    return Memory(*(each[:-1] for each in memory))


def _after(memory: Memory) -> Memory:
    """Of every step, what it leaves."""
    return Memory(*(each[1:] for each in memory))


def _parts_by_step(told: Tensor) -> list[tuple[Tensor, Tensor | None]]:
    """Keys, and values or None, a step each."""
    keys, *values = told.unbind(1)
    return list(zip(keys.unbind(), values[0].unbind() if values else [None] * len(keys), strict=True))


def _by_step(fields: Memory | Access) -> list[Memory | Access]:
    """The same, a step each."""
    return [type(fields)(*step) for step in zip(*(each.unbind() for each in fields), strict=True)]
