"""MANN: a memory-augmented neural network with least recently used access (Santoro et al. 2016, section 3).

    [x_t, y_seen_t] -> LSTM controller -> keys, gates -> memory -> reads          logits_t = W [h_t, reads_t] + b
                         ^                                           |
                         +---- h_{t-1}, reads_{t-1} -----------------+

    h_t, c_t = LSTM([x_t, y_seen_t], [h_{t-1}, reads_{t-1}], c_{t-1})
    k_r = tanh(W_k h_t + b_k)      s_r = sigmoid(W_s h_t + b_s)                   a key and a gate for each head r
    reads_t, M_t = access(k, s, M_{t-1})                                          see `kernels`

The controller binds a drawing to the label that comes a step later by writing both to a slot of the memory; the next
drawing of the class finds the slot again by its likeness. Writes go to slots that have not been used for long, so that
what was bound stays as long as there is room.

From the paper: the access rule, cosine addressing without a strength of the key, what is written being the key, reads
that go to the classifier and to the next state of the controller. From a close reading of its supplement: 128 slots of
40, 4 reads, 200 units, a usage decay of 0.99. Our choices: a gate for each head, emitted by the controller (the paper:
"a learnable sigmoid gate parameter"); tanh of the keys, as in public code; a first state of zeros, in which the lower
of slots equally used counts as less used; a forget bias of 1.

Shape legend: T steps, B batch, K ways, R heads, N slots, W width of a slot.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.kernels.least_recently_used import Memory
from metamemory.kernels.memory_network import memory_network
from metamemory.models.learner import Learner, one_hot


class MANNState(NamedTuple):
    """Controller [B, hidden], what was read last [B, R W], and the external memory; all float32."""

    h: Tensor
    c: Tensor
    reads: Tensor
    memory: Memory


class MANN(Learner):
    """An LSTM controller with an external memory.

    Args:
        input_shape: (channel, height, width).
        n_way: K, labels.
        hidden: units of the controller.
        slots, width: N and W, the size of the memory.
        heads: R, reads and writes a step, and slots that count as least used.
        decay: of usage, a step.
        forget_bias: added to the controller's forget gate at the start.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int,
        hidden: int = 200,
        slots: int = 128,
        width: int = 40,
        heads: int = 4,
        decay: float = 0.99,
        forget_bias: float = 1.0,
    ):
        super().__init__()
        self.n_way, self.slots, self.decay = n_way, slots, float(decay)
        self.heads_by_width = heads, width
        n_inputs = torch.Size(input_shape).numel() + n_way
        self.from_input = nn.Linear(n_inputs, 4 * hidden)
        self.from_state = nn.Linear(hidden + heads * width, 4 * hidden, bias=False)
        self.to_access = nn.Linear(hidden, heads * (width + 1))
        self.classifier = nn.Linear(hidden + heads * width, n_way)
        with torch.no_grad():  # as torch's own LSTM begins
            for weight in (*self.from_input.parameters(), *self.from_state.parameters()):
                weight.uniform_(-(hidden**-0.5), hidden**-0.5)
            self.from_input.bias[hidden : 2 * hidden] += forget_bias

    def initial_state(self, batch: int) -> MANNState:
        heads, width = self.heads_by_width
        zeros = self.classifier.weight.new_zeros
        memory = Memory(zeros(batch, self.slots, width), zeros(batch, heads, self.slots), zeros(batch, self.slots))
        hidden = self.to_access.in_features
        return MANNState(zeros(batch, hidden), zeros(batch, hidden), zeros(batch, heads * width), memory)

    def step(self, x_t: Tensor, y_seen_t: Tensor, state: MANNState) -> tuple[Tensor, MANNState]:
        logits, state = self._run(x_t[None], y_seen_t[None], state)
        return logits[0], state

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        return self._run(x, y_seen, self.initial_state(x.shape[1]))[0]

    def _run(self, x: Tensor, y_seen: Tensor, state: MANNState) -> tuple[Tensor, MANNState]:
        inputs = torch.cat([x.flatten(2), one_hot(y_seen, self.n_way)], dim=-1)
        weights = (self.from_state.weight, self.to_access.weight, self.to_access.bias)
        outputs, c, memory = memory_network(self.from_input(inputs), *weights, *state, self.decay)
        h, reads = outputs[-1].split([c.shape[1], state.reads.shape[1]], dim=-1)
        return self.classifier(outputs), MANNState(h, c, reads, memory)
