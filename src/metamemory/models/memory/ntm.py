"""Neural Turing Machine (Graves, Wayne and Danihelka 2014), as a learner of the online few-shot protocol.

An LSTM, the controller, with a memory of N rows of width W beside it, which its heads write and read:

    h_t, c_t = LSTM([x_t, y_seen_t, r_{t-1}], h_{t-1}, c_{t-1})
    [k, beta, g, s, gamma] of every head, [e, a] of a write head = functions of h_t
    w_t     = sharpen(shift(interpolate(content(k, beta; M), w_{t-1}; g); s); gamma)      see `nn.addressing`
    M_t     = write(M_{t-1}, w_t, e, a)
    r_t     = read(M_t, w_t)
    logits_t = W [h_t, r_t] + b

Santoro et al. 2016 (section 4, Table 2) ran it on Omniglot as "MANN with NTM access": what is read goes to the
classifier and to the next step. Babu et al. 2021 (Table 1) report an NTM, of which they say only that
Santoro et al. "use a LSTM and a NTM with read and write protocols" for this task; it may be what is MANN here. The
sizes here, 200 units and a memory of 128 x 40, are those that others report of Santoro's supplement, which we have not
seen.

Our choices, where the papers say nothing: flattened pixels and the one-hot label as input, as in the LSTM
baseline; a step writes before it reads, and read heads address M_t, so that what has just been written can be
found at once; beta = softplus, g = sigmoid, s = softmax, gamma = 1 + softplus, e = sigmoid, a = tanh of linear
functions of h_t (Graves et al. give the ranges of all but a); M_0, h_0, c_0, r_0 = 0, and every head starts at
the first row. The cosine is that of `nn.addressing`, which has a floor under the lengths.

Shape legend: T steps, B batch, K ways, R read heads, V write heads, N rows, W width of a row.
"""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn import addressing
from metamemory.nn.labels import WRITTEN, Labels, amplify_labels, labels_for
from metamemory.settings import NotNegative, Number, Range, Width
from metamemory.shapes import Float, Shaped


class NTMState(NamedTuple):
    """All float32; constant in size.

    Attributes:
        h, c: of the controller, [B, hidden].
        r: what was read, [B, R, W].
        w_write, w_read: weights of the heads, [B, V, N] and [B, R, N].
        memory: [B, N, W].
    """

    h: Tensor
    c: Tensor
    r: Tensor
    w_write: Tensor
    w_read: Tensor
    memory: Tensor


class NTM(Learner):
    """An LSTM that writes to and reads from a memory.

    Args:
        input_shape: (channel, height, width).
        n_way: K, how many labels, or how they are written (`nn.labels`).
        hidden: units of the controller.
        rows, width: N and W of the memory.
        read_heads, write_heads: R and V.
        reach: rows by which a head can move in a step, each way.
        forget_bias: of the controller's forget gate at the start.
        label_gain: how many times larger than the others the weights are drawn that read the label.

    Raises:
        UserError: a memory or a number of heads of nothing; a reach that goes around the memory.

    Example:
        >>> learner = NTM((1, 20, 20), n_way=5)
        >>> learner(torch.rand(25, 8, 1, 20, 20), torch.full((25, 8), -1)).shape
        torch.Size([25, 8, 5])
    """

    title = "NTM"
    paper = "graves2014"
    external_memory = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        hidden: Width = 200,
        rows: Width = 128,
        width: Width = 40,
        read_heads: Width = 1,
        write_heads: Width = 1,
        reach: Annotated[int, Range(least=0)] = 1,
        forget_bias: Number = 1.0,
        label_gain: NotNegative = 1.0,
    ):
        super().__init__()
        sizes = {"rows": rows, "width": width, "read_heads": read_heads, "write_heads": write_heads}
        if empty := [name for name, size in sizes.items() if size < 1]:
            raise UserError(f"ntm: {', '.join(empty)} must be at least 1")
        if not 0 <= 2 * reach < rows:
            raise UserError(f"ntm: reach is {reach} and must be from 0 to {(rows - 1) // 2}, less than half the rows")
        self.labels = labels_for("ntm", n_way, *WRITTEN)
        self.hidden, self.rows, self.width = hidden, rows, width
        self.read_heads, self.write_heads = read_heads, write_heads
        # The gates' product with the input and with what the step before left, in the order i, f, g, o.
        self.from_input = nn.Linear(torch.Size(input_shape).numel() + self.labels.inputs, 4 * hidden)
        self.from_before = nn.Linear(hidden + read_heads * width, 4 * hidden, bias=False)
        nn.init.constant_(self.from_input.bias.data[hidden : 2 * hidden], forget_bias)
        # Of every head k, beta, g, s, gamma; the write heads come first. Then e and a of every write head.
        self.address_sizes = [width, 1, 1, 2 * reach + 1, 1]
        self.address = nn.Linear(hidden, (write_heads + read_heads) * sum(self.address_sizes))
        self.erase_add = nn.Linear(hidden, write_heads * 2 * width)
        self.classifier = nn.Linear(hidden + read_heads * width, self.labels.outputs)
        amplify_labels(self.from_input.weight, self.labels, label_gain)

    def initial_state(self, batch: int) -> NTMState:
        def zeros(*size: int) -> Tensor:
            return self.classifier.weight.new_zeros(batch, *size)

        def first_row(heads: int) -> Tensor:
            return fn.pad(zeros(heads, 1) + 1, (0, self.rows - 1))

        return NTMState(
            h=zeros(self.hidden),
            c=zeros(self.hidden),
            r=zeros(self.read_heads, self.width),
            w_write=first_row(self.write_heads),
            w_read=first_row(self.read_heads),
            memory=zeros(self.rows, self.width),
        )

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Shaped[Tensor, "time batch *label"], state: NTMState
    ) -> tuple[Float[Tensor, "time batch outputs"], NTMState]:
        u, h, r = self.from_input(torch.cat([x.flatten(2), self.labels(y_seen)], dim=-1)), [], []  # u [T, B, 4 hidden]
        for u_t in u.unbind():  # only what needs the step before is left to the loop
            state = self._recur(u_t, state)
            h.append(state.h)
            r.append(state.r)
        return self.classifier(torch.cat([torch.stack(h), torch.stack(r).flatten(-2)], dim=-1)), state

    def _recur(self, u_t: Tensor, state: NTMState) -> NTMState:
        before = torch.cat([state.h, state.r.flatten(1)], dim=-1)
        i, f, g, o = (u_t + self.from_before(before)).chunk(4, dim=-1)
        c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()

        heads = self.address(h).unflatten(-1, (self.write_heads + self.read_heads, -1))
        k, beta, g, s, gamma = heads.split(self.address_sizes, dim=-1)
        every = (k, fn.softplus(beta), g.sigmoid(), s.softmax(dim=-1), 1 + fn.softplus(gamma))
        of_write, of_read = zip(
            *(each.split([self.write_heads, self.read_heads], dim=1) for each in every), strict=True
        )
        erase, add = self.erase_add(h).unflatten(-1, (self.write_heads, -1)).chunk(2, dim=-1)

        w_write = _weights(state.memory, state.w_write, *of_write)
        memory = addressing.write(state.memory, w_write, erase.sigmoid(), add.tanh())
        w_read = _weights(memory, state.w_read, *of_read)
        return NTMState(h, c, addressing.read(w_read, memory), w_write, w_read, memory)


def _weights(memory: Tensor, previous: Tensor, k: Tensor, beta: Tensor, g: Tensor, s: Tensor, gamma: Tensor) -> Tensor:
    """Where a head points now. memory [B, N, W], previous [B, H, N] -> [B, H, N]."""
    content = addressing.by_content(k, beta, memory)
    return addressing.sharpen(addressing.shift(addressing.interpolate(content, previous, g), s), gamma)
