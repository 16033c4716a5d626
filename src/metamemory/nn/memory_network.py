"""A controller with an external memory of least recently used access (Santoro et al. 2016, section 3).

    h_t, c_t = LSTM(x_t, [h_{t-1}, reads_{t-1}], c_{t-1})                an LSTM, or a feed-forward layer, which has no
    h_t = tanh(W_x x_t + W_r reads_{t-1} + b)                            memory of its own
    k_r = tanh(W_k h_t + b_k)      s_r = sigmoid(W_s h_t + b_s)          a key and a gate for each head r
    v_r = tanh(W_v h_t + b_v)                                            what it writes, if not its key
    reads_t, M_t = access(k, s, M_{t-1}, v)                              see `kernels.least_recently_used`

Shape legend: T steps, B batch, H units, R heads, N slots, W width of a slot.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.kernels.least_recently_used import Memory, access
from metamemory.kernels.memory_network import memory_network
from metamemory.shapes import Float


class MemoryNetworkState(NamedTuple):
    """Controller h, c [B, H], what was read last [B, R W], and the external memory; all float32."""

    h: Tensor
    c: Tensor
    reads: Tensor
    memory: Memory


class MemoryNetwork(nn.Module):
    """Controller and memory, over whole episodes.

    Args:
        in_features: of an input.
        hidden: H, units of the controller.
        slots, width: N and W, the size of the memory.
        heads: R, reads and writes a step, and slots that count as least used.
        decay: of usage, a step.
        strength: beta, of the keys.
        forget_bias: of the controller's forget gate, added at the start.
        values: whether heads write values of their own, and not their keys.
        own_slots: whether each head writes to a least used slot of its own, and not to all of them.
        initial_memory: what the memory is filled with at first.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        slots: int,
        width: int,
        heads: int,
        decay: float,
        strength: float,
        forget_bias: float,
        values: bool = False,
        own_slots: bool = False,
        initial_memory: float = 0.0,
    ):
        super().__init__()
        self.slots, self.width, self.heads = slots, width, heads
        self.decay, self.strength = float(decay), float(strength)
        self.own_slots, self.initial_memory = own_slots, float(initial_memory)
        self.from_input = nn.Linear(in_features, 4 * hidden)
        self.from_state = nn.Linear(hidden + heads * width, 4 * hidden, bias=False)
        self.to_access = nn.Linear(hidden, heads * ((2 if values else 1) * width + 1))
        with torch.no_grad():  # as torch's own LSTM begins
            for weight in (*self.from_input.parameters(), *self.from_state.parameters()):
                weight.uniform_(-(hidden**-0.5), hidden**-0.5)
            self.from_input.bias[hidden : 2 * hidden] += forget_bias

    @property
    def out_features(self) -> int:
        """H + R W."""
        return self.from_state.in_features

    def initial_state(self, batch: int) -> MemoryNetworkState:
        def zeros(*shape: int) -> Tensor:
            return self.to_access.weight.new_zeros(batch, *shape)

        hidden = self.to_access.in_features
        slots = zeros(self.width, self.slots) + self.initial_memory
        memory = Memory(slots, zeros(self.heads, self.slots), zeros(self.slots))
        return MemoryNetworkState(zeros(hidden), zeros(hidden), zeros(self.heads * self.width), memory)

    def forward(
        self, x: Float[Tensor, "time batch inputs"], state: MemoryNetworkState
    ) -> tuple[Float[Tensor, "time batch outputs"], MemoryNetworkState]:
        """[T, B, in_features] -> h and reads of every step [T, B, H + R W], and the state after the last."""
        weights = (self.from_state.weight, self.to_access.weight, self.to_access.bias)
        rule = self.decay, self.strength, self.own_slots
        outputs, c, memory = memory_network(self.from_input(x), *weights, *state, *rule)
        h, reads = outputs[-1].split([c.shape[1], state.reads.shape[1]], dim=-1)
        return outputs, MemoryNetworkState(h, c, reads, memory)


class FeedForwardMemoryNetworkState(NamedTuple):
    """What was read last [B, R W], and the external memory; all float32."""

    reads: Tensor
    memory: Memory


class FeedForwardMemoryNetwork(nn.Module):
    """The same with a feed-forward controller: all that one step knows of another went through the memory.

    Args:
        in_features, hidden, slots, width, heads, decay, strength: of `MemoryNetwork`.
        values, own_slots, initial_memory: of the same.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        slots: int,
        width: int,
        heads: int,
        decay: float,
        strength: float,
        values: bool = False,
        own_slots: bool = False,
        initial_memory: float = 0.0,
    ):
        super().__init__()
        self.slots, self.width, self.heads = slots, width, heads
        self.decay, self.strength = float(decay), float(strength)
        self.own_slots, self.initial_memory = own_slots, float(initial_memory)
        self.from_input = nn.Linear(in_features, hidden)
        self.from_reads = nn.Linear(heads * width, hidden, bias=False)
        self.to_access = nn.Linear(hidden, heads * ((2 if values else 1) * width + 1))

    @property
    def out_features(self) -> int:
        """H + R W."""
        return self.to_access.in_features + self.heads * self.width

    def initial_state(self, batch: int) -> FeedForwardMemoryNetworkState:
        def zeros(*shape: int) -> Tensor:
            return self.to_access.weight.new_zeros(batch, *shape)

        slots = zeros(self.width, self.slots) + self.initial_memory
        memory = Memory(slots, zeros(self.heads, self.slots), zeros(self.slots))
        return FeedForwardMemoryNetworkState(zeros(self.heads * self.width), memory)

    def forward(
        self, x: Float[Tensor, "time batch inputs"], state: FeedForwardMemoryNetworkState
    ) -> tuple[Float[Tensor, "time batch outputs"], FeedForwardMemoryNetworkState]:
        """[T, B, in_features] -> h and reads of every step [T, B, H + R W], and the state after the last."""
        (reads, memory), outputs = state, []
        for u_t in self.from_input(x).unbind():
            h = (u_t + self.from_reads(reads)).tanh()
            told, gates = self.to_access(h).split([self.to_access.out_features - self.heads, self.heads], dim=-1)
            keys, *values = told.tanh().unflatten(-1, (-1, self.heads, self.width)).unbind(-3)
            rule = self.decay, self.strength, *(values or [None]), self.own_slots
            found, memory = access(keys, gates.sigmoid(), memory, *rule)
            reads = found.flatten(1)
            outputs.append(torch.cat([h, reads], dim=-1))
        return torch.stack(outputs), FeedForwardMemoryNetworkState(reads, memory)
