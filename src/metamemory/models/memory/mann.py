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
feed-forward controller of one layer.

Beyond the paper: a strength of the keys, w^r(i) = softmax_i beta cosine(k, M(i)). A cosine lies between -1 and 1.
Without a strength no row can be preferred to another by more than e^2, and in a memory of 128 rows a perfect match gets
a few per cent of a read: what is read is nearly the mean of the memory. With beta of 10 a match can be all of it. The
Neural Turing Machine (Graves et al. 2014, eq. 5) has a strength that the controller emits; here it is a constant.

Public code differs from the printed equations, and each difference is a setting. In all three that we read: a value of
its own is written, and not the key (`written`); usage fades by 0.95 a step (`decay`); the memory is full of 1e-6 at
first (`initial_memory`). In one of them (tristandeleu/ntm-one-shot): each head has a least used slot of its own, the
first head the very least used, and does not write to all of them (`own_slots`). In the two others the key is looked for
in the memory as it was before the write of the step, which is no setting here.

Shape legend: T steps, B batch, K ways.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn.labels import WRITTEN, Labels, amplify_labels, labels_for
from metamemory.nn.memory_network import (
    FeedForwardMemoryNetwork,
    FeedForwardMemoryNetworkState,
    MemoryNetwork,
    MemoryNetworkState,
)
from metamemory.settings import Among, NotNegative, Number, Share, Width
from metamemory.shapes import Float, Shaped

State = MemoryNetworkState | FeedForwardMemoryNetworkState


class MANN(Learner):
    """A controller with an external memory, and a classifier.

    Args:
        input_shape: (channel, height, width), or (feature,).
        n_way: K, how many labels, or how they are written (`nn.labels`).
        hidden, slots, width, heads, decay, strength, own_slots, initial_memory: of the `MemoryNetwork`.
        written: "key", or "value", which the controller emits beside it.
        controller: "lstm", or "feedforward", which remembers nothing itself.
        forget_bias: of the LSTM.
        label_gain: how many times larger than the others the weights are drawn that read the label.

    Raises:
        UserError: there are fewer slots than heads; there is no such controller, or nothing such to be written.

    Example:
        >>> learner = MANN((1, 20, 20), n_way=5)
        >>> learner(torch.rand(50, 16, 1, 20, 20), torch.full((50, 16), -1)).shape
        torch.Size([50, 16, 5])
    """

    title = "MANN"
    paper = "santoro2016"
    external_memory = traces_memory = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        hidden: Width = 200,
        slots: Width = 128,
        width: Width = 40,
        heads: Width = 4,
        decay: Share = 0.99,
        strength: NotNegative = 1.0,
        controller: Annotated[str, Among("lstm", "feedforward")] = "lstm",
        forget_bias: Number = 1.0,
        label_gain: NotNegative = 1.0,
        written: Annotated[str, Among("key", "value")] = "key",
        own_slots: bool = False,
        initial_memory: NotNegative = 0.0,
    ):
        super().__init__()
        if heads > slots:
            raise UserError(f"mann: heads is {heads} and must be from 1 to {slots}, the slots")
        self.labels = labels_for("mann", n_way, *WRITTEN)
        sizes = torch.Size(input_shape).numel() + self.labels.inputs, hidden, slots, width, heads
        form = {"values": written == "value", "own_slots": own_slots, "initial_memory": initial_memory}
        if controller == "lstm":
            self.network = MemoryNetwork(*sizes, decay, strength, forget_bias, **form)
        else:
            self.network = FeedForwardMemoryNetwork(*sizes, decay, strength, **form)
        self.classifier = nn.Linear(self.network.out_features, self.labels.outputs)
        amplify_labels(self.network.from_input.weight, self.labels, label_gain)

    def initial_state(self, batch: int) -> State:
        return self.network.initial_state(batch)

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Shaped[Tensor, "time batch *label"], state: State
    ) -> tuple[Float[Tensor, "time batch outputs"], State]:
        inputs = torch.cat([x.flatten(2), self.labels(y_seen)], dim=-1)
        outputs, state = self.network(inputs, state)
        return self.classifier(outputs), state
