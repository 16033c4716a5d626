"""An LSTM controller with an external memory, over a whole episode, as one operation with its own backward pass.

    h_t, c_t = LSTM(u_t + W_s [h_{t-1}, reads_{t-1}], c_{t-1})
    [k, s] = W_a h_t + b_a         reads_t, M_t = access(tanh k, sigmoid s, M_{t-1})

Every step has to wait for the one before it, but for the input part u, which arrives here for all steps at once. In the
loop are two matrix products, one gate update and one access to the memory, each there and back; the gradients of the
weights are one product over all steps at the end.

Memory kept for the backward pass, a step and episode: 4 (N (W + 2 R + 2) + 6 H + 2 R W) bytes and a few; 31 kB with 128
slots of 40, 4 heads and 200 units.

Shape legend: T steps, B batch, H units of the controller, R heads, N slots, W width of a slot.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metamemory.kernels import gates, least_recently_used
from metamemory.kernels.least_recently_used import Access, Memory
from metamemory.shapes import Float


def memory_network_reference(
    u: Float[Tensor, "time batch gates"],
    w_state: Float[Tensor, "gates outputs"],
    w_access: Float[Tensor, "access units"], b_access: Float[Tensor, " access"],
    h: Float[Tensor, "batch units"], c: Float[Tensor, "batch units"], reads: Float[Tensor, "batch reads"],
    memory: Memory, decay: float, strength: float,
) -> tuple[Float[Tensor, "time batch outputs"], Float[Tensor, "batch units"], Memory]:  # fmt: skip
    """The same operation by its formulas, differentiated by autograd: the oracle.

    Takes and returns what `memory_network` does.
    """
    outputs = []
    for u_t in u.unbind():
        i, f, o, g = (u_t + torch.cat([h, reads], dim=-1) @ w_state.T).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        keys, s = _split(h @ w_access.T + b_access, memory)
        read, memory, _ = least_recently_used.access_reference(keys.tanh(), s.sigmoid(), memory, decay, strength)
        reads = read.flatten(1)
        outputs.append(torch.cat([h, reads], dim=-1))
    return torch.stack(outputs), c, memory


def memory_network(
    u: Float[Tensor, "time batch gates"],
    w_state: Float[Tensor, "gates outputs"],
    w_access: Float[Tensor, "access units"], b_access: Float[Tensor, " access"],
    h: Float[Tensor, "batch units"], c: Float[Tensor, "batch units"], reads: Float[Tensor, "batch reads"],
    memory: Memory, decay: float, strength: float,
) -> tuple[Float[Tensor, "time batch outputs"], Float[Tensor, "batch units"], Memory]:  # fmt: skip
    """Run the controller and its memory over T steps.

    Args:
        u: [T, B, 4H] input part of the controller's pre-activations, gates in the order i, f, o, g.
        w_state: [4H, H + R W]; w_access: [R (W + 1), H], keys before gates; b_access: [R (W + 1)].
        h, c, reads: [B, H], [B, H], [B, R W] state before the first step.
        memory: the external memory before the first step.
        decay: of usage, a step.
        strength: beta, of the keys.

    Returns:
        h and reads of all steps, [T, B, H + R W]; the last cell; the last memory. The gradient of a gradient is refused
        by autograd with "once_differentiable"; `memory_network_reference` has it.
    """
    weights = w_state, w_access, b_access
    outputs, c, *last = _MemoryNetwork.apply(u, *weights, h, c, reads, *memory, decay, strength)
    return outputs, c, Memory(*last)


def _split(p: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """[B, R (W + 1)] -> keys [B, R, W] and gates [B, R]."""
    heads, width = memory.reading.shape[1], memory.slots.shape[1]
    return p[:, : heads * width].unflatten(1, (heads, width)), p[:, heads * width :]


class _MemoryNetwork(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, w_state, w_access, b_access, h, c, reads, slots, reading, usage, decay, strength):
        (n_steps, n_batch), n_heads = u.shape[:2], reading.shape[1]

        def over_time(first: Tensor) -> Tensor:
            """A buffer for the state before the first step, and after each."""
            buffer = first.new_empty(n_steps + 1, *first.shape)
            buffer[0] = first
            return buffer

        out = over_time(torch.cat([h, reads], dim=-1))
        cs, memory = over_time(c), Memory(*map(over_time, (slots, reading, usage)))
        h_t, read_t, a = torch.empty_like(h), reads.new_empty(n_batch, n_heads, slots.shape[1]), torch.empty_like(u)
        keys, s = u.new_empty(n_steps, *read_t.shape), u.new_empty(n_steps, n_batch, n_heads)
        flat_read_t = read_t.flatten(1)
        found = Access(
            torch.empty_like(memory.reading[1:]),
            torch.empty_like(memory.usage[1:]),
            torch.empty_like(s, dtype=torch.int64),
        )
        # views of every step, made at once: made one by one, they would take a good part of the loop's time
        steps = zip(
            *(each.unbind() for each in (u, out[:-1], out[1:], cs[:-1], cs[1:], a, keys, s)),
            *(_by_step(each) for each in (_before(memory), _after(memory), found)),
            strict=True,
        )
        to_state, to_access = w_state.T, w_access.T
        for u_t, out_before, out_t, c_before, c_t, a_t, k_t, s_t, before, after, found_t in steps:
            gates.forward(u_t, out_before @ to_state, c_before, a_t, c_t, h_t)
            k, g = _split(torch.addmm(b_access, h_t, to_access), before)
            torch.tanh(k, out=k_t)
            torch.sigmoid(g, out=s_t)
            least_recently_used.forward(k_t, s_t, before, decay, strength, after, found_t, read_t)
            torch.cat([h_t, flat_read_t], dim=-1, out=out_t)
        ctx.strength = strength
        ctx.save_for_backward(w_state, w_access, a, cs, out, keys, s, *memory, *found)
        last = [each[-1].clone() for each in (cs, *memory)]
        ctx.mark_non_differentiable(last[-1])
        return out[1:], *last

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out, d_c, d_slots, d_reading, _):
        w_state, w_access, a, cs, out, keys, s, *rest = ctx.saved_tensors
        memory, found = Memory(*rest[:3]), Access(*rest[3:])
        n_steps, (n_batch, n_units) = len(a), cs.shape[1:]
        d_c, d_slots, d_reading = (
            each.clone(memory_format=torch.contiguous_format) for each in (d_c, d_slots, d_reading)
        )
        d_keys, d_s, d_reads = torch.empty_like(keys[0]), torch.empty_like(s[0]), torch.empty_like(keys[0])
        n_keys = d_keys[0].numel()
        d_a, d_p = torch.empty_like(a), keys.new_empty(n_steps, n_batch, len(w_access))
        d_next = torch.zeros_like(out[0])  # of h and reads, by way of the step after
        slope_k, slope_s = 1 - keys.square(), s * (1 - s)  # of tanh and sigmoid
        steps = zip(
            *(each.unbind() for each in (d_out, a, cs[:-1], cs[1:], keys, s, slope_k, slope_s, d_a)),
            *(each.unbind() for each in d_p.split([n_keys, d_p.shape[-1] - n_keys], dim=-1)),
            d_p.unbind(),
            *(_by_step(each) for each in (_before(memory), _after(memory), found)),
            strict=True,
        )
        for (
            d_out_t, a_t, c_before, c_t, k_t, s_t, slope_k_t, slope_s_t, d_a_t, d_k, d_g, d_p_t, before, after, found_t,
        ) in reversed(list(steps)):  # fmt: skip
            d_next += d_out_t
            d_reads.copy_(d_next[:, n_units:].view_as(d_reads))
            least_recently_used.backward(
                k_t, s_t, before, after, found_t, ctx.strength, d_reads, d_slots, d_reading, d_keys, d_s
            )  # fmt: skip
            torch.mul(d_keys.flatten(1), slope_k_t.flatten(1), out=d_k)
            torch.mul(d_s, slope_s_t, out=d_g)
            gates.backward(a_t, c_before, c_t, d_next[:, :n_units].contiguous(), d_p_t @ w_access, d_c, d_a_t)
            torch.mm(d_a_t, w_state, out=d_next)
        d_w_state = d_a.flatten(0, 1).T @ out[:-1].flatten(0, 1)
        d_w_access = d_p.flatten(0, 1).T @ out[1:, :, :n_units].flatten(0, 1)
        d_h, d_reads = d_next.split([n_units, out.shape[-1] - n_units], dim=-1)
        return (
            d_a, d_w_state, d_w_access, d_p.sum(dim=(0, 1)), d_h, d_c, d_reads, d_slots, d_reading, None, None, None
        )  # fmt: skip


def _before(memory: Memory) -> Memory:
    """Of every step, what it starts from."""
    return Memory(*(each[:-1] for each in memory))


def _after(memory: Memory) -> Memory:
    """Of every step, what it leaves."""
    return Memory(*(each[1:] for each in memory))


def _by_step(fields: Memory | Access) -> list[Memory | Access]:
    """The same, a step each."""
    return [type(fields)(*step) for step in zip(*(each.unbind() for each in fields), strict=True)]
