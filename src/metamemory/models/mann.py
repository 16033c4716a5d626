"""MANN: a memory-augmented neural network with least recently used access (Santoro et al. 2016, section 3).

    [x_t, y_seen_t] -> LSTM controller -> keys, gates -> memory -> reads          logits_t = W [h_t, reads_t] + b
                         ^                                           |
                         +---- h_{t-1}, reads_{t-1} -----------------+

The controller binds a drawing to the label that comes a step later by writing both to a slot of the memory; the next
drawing of the class finds the slot again by its likeness. Writes go to slots that have not been used for long, so that
what was bound stays as long as there is room. The formulas are in `nn.memory_network` and in the kernels below it.

From the paper: the access rule, cosine addressing without a strength of the key, what is written being the key, reads
that go to the classifier and to the next state of the controller. From a close reading of its supplement: 128 slots of
40, 4 reads, 200 units, a usage decay of 0.99. Our choices: a gate for each head, emitted by the controller (the paper:
"a learnable sigmoid gate parameter"); tanh of the keys, as in public code; a first state of zeros, in which the lower
of slots equally used counts as less used; a forget bias of 1.

Shape legend: T steps, B batch, K ways.
"""

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner, one_hot
from metamemory.nn.memory_network import MemoryNetwork, MemoryNetworkState


class MANN(Learner):
    """An LSTM controller with an external memory, and a classifier.

    Args:
        input_shape: (channel, height, width).
        n_way: K, labels.
        hidden, slots, width, heads, decay, forget_bias: of the `MemoryNetwork`.
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
        self.n_way = n_way
        n_inputs = torch.Size(input_shape).numel() + n_way
        self.network = MemoryNetwork(n_inputs, hidden, slots, width, heads, decay, forget_bias)
        self.classifier = nn.Linear(self.network.out_features, n_way)

    def initial_state(self, batch: int) -> MemoryNetworkState:
        return self.network.initial_state(batch)

    def step(self, x_t: Tensor, y_seen_t: Tensor, state: MemoryNetworkState) -> tuple[Tensor, MemoryNetworkState]:
        logits, state = self._run(x_t[None], y_seen_t[None], state)
        return logits[0], state

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        return self._run(x, y_seen, self.initial_state(x.shape[1]))[0]

    def _run(self, x: Tensor, y_seen: Tensor, state: MemoryNetworkState) -> tuple[Tensor, MemoryNetworkState]:
        inputs = torch.cat([x.flatten(2), one_hot(y_seen, self.n_way)], dim=-1)
        outputs, state = self.network(inputs, state)
        return self.classifier(outputs), state
