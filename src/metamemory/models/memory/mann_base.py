"""MANN: a memory-augmented neural network with least recently used access (Santoro et al. 2016, section 3).

    [x_t, y_seen_t] -> controller -> keys, gates -> memory -> reads          logits_t = W [h_t, reads_t] + b
                         ^                                     |
                         +--- h_{t-1}, reads_{t-1} ------------+

The controller binds a drawing to the label that comes a step later by writing both to a slot of the memory; the next
drawing of the class finds the slot again by its likeness. Writes go to slots that have not been used for long, so that
what was bound stays as long as there is room. The formulas are in `nn.memory_network` and in the kernels below it.

From the paper: the access rule, cosine addressing without a strength of the key, what is written being the key, reads
that go to the classifier and to the next state of the controller, which is an LSTM or a feed-forward network. From a
close reading of its supplement: 128 slots of 40, 4 reads, 200 units, a usage decay of 0.99. Our choices: a gate for
each head, emitted by the controller (the paper: "a learnable sigmoid gate parameter"); tanh of the keys, as in public
code; a first state of zeros, in which the lower of slots equally used counts as less used; a forget bias of 1; a
feed-forward controller of one layer. Beyond the paper: a strength of the keys (`models.memory.mann_strength`).

Shape legend: T steps, B batch, K ways.
"""

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn.labels import Labels, labels_of
from metamemory.nn.memory_network import (
    FeedForwardMemoryNetwork,
    FeedForwardMemoryNetworkState,
    MemoryNetwork,
    MemoryNetworkState,
)

State = MemoryNetworkState | FeedForwardMemoryNetworkState


class MemoryAugmented(Learner):
    """A controller with an external memory, and a classifier.

    Args:
        input_shape: (channel, height, width), or (feature,).
        n_way: K, how many labels, or how they are written (`nn.labels`).
        hidden, slots, width, heads, decay, strength: of the `MemoryNetwork`.
        controller: "lstm" or "feedforward".
        forget_bias: of the LSTM.

    Raises:
        UserError: there are fewer slots than heads.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        hidden: int,
        slots: int,
        width: int,
        heads: int,
        decay: float,
        strength: float,
        controller: str,
        forget_bias: float = 1.0,
    ):
        super().__init__()
        if not 1 <= heads <= slots:
            raise UserError(f"mann: heads is {heads} and must be from 1 to {slots}, the slots")
        self.labels = labels_of(n_way)
        n_inputs = torch.Size(input_shape).numel() + self.labels.inputs
        if controller == "lstm":
            self.network = MemoryNetwork(n_inputs, hidden, slots, width, heads, decay, strength, forget_bias)
        else:
            self.network = FeedForwardMemoryNetwork(n_inputs, hidden, slots, width, heads, decay, strength)
        self.classifier = nn.Linear(self.network.out_features, self.labels.outputs)

    def initial_state(self, batch: int) -> State:
        return self.network.initial_state(batch)

    def run(self, x: Tensor, y_seen: Tensor, state: State) -> tuple[Tensor, State]:
        inputs = torch.cat([x.flatten(2), self.labels(y_seen)], dim=-1)
        outputs, state = self.network(inputs, state)
        return self.classifier(outputs), state
