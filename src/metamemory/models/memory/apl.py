"""Adaptive posterior learning, APL (Ramalho and Garnelo 2019; the APL row of Babu et al. 2021, Table 1).

A memory of labelled embeddings in which only what surprised is written, and a decoder that reads the nearest ones.

    e_t = LayerNorm(CNN(x_t))                         p_t = softmax(decoder(e_t, the N nearest in memory))
    when the label y of a sample is shown:            write (e, y) if -log p(y) > ratio * ln K

p is what was answered when the sample was seen. The decoder is relational self-attention: a row a neighbour, of its
embedding e_j, an embedding of its label, the query and a weight w = softmax(-|e_t - e_j|^2) over the neighbours; then
`layers` times

    a <- a + attention(a)        a <- a + LayerNorm(W relu(a))        and at last logits = W' sum_j w_j a_j

From their code: 5 neighbours by squared Euclidean distance, ratio 0.75, labels of 32 features, 5 layers of 2 heads with
keys and values of 256, the oldest item overwritten when the memory is full, and no gradient into the memory. Because of
the last, what is written and which neighbours are found are constants of an episode. So they are found first, step by
step and without gradients, and then the decoder runs once more, with gradients, over all steps together.

Our choices and departures: the four-block encoder that the other methods have (theirs is residual, with 16
convolutions); trained on the sum of losses over short episodes (theirs: on a random half of the batches of long
streams); the query learns from its distances too (theirs: from its embedding alone); layer normalisation of each
neighbour by itself (theirs: of all N together, blank ones included, where the memory holds fewer; here those are masked
and an empty memory gives all answers the same probability); no noise on the images. Like the other methods that file
samples under their class it keeps the last `delay` embeddings until their labels come, and what it answered for them.

Shape legend: T steps, B batch, K ways, D features, M slots of the memory, N neighbours, V = heads * size.
"""

import math
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn.delay_buffer import until_labelled
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for
from metamemory.settings import NotNegative, Range, Width
from metamemory.shapes import Bool, Float, Int

NEVER = -1e9  # logit of what must get no weight: finite, so that a row of nothing else has no nan


class Labelled(NamedTuple):
    """Embeddings [..., M or N, D] float32 with labels [..., M or N] int64; -1 where there is none."""

    e: Tensor
    y: Tensor


class APLState(NamedTuple):
    """Embeddings without a label yet [delay, B, D] and log p answered for them [delay, B, K], float32; the memory;
    how many items have been written [B] int64."""

    waiting: Tensor
    answered: Tensor
    memory: Labelled
    written: Tensor


class APL(Learner):
    """A memory of surprises, read by attention over the nearest.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label.
        filters: channels of each block of the encoder.
        features: D.
        slots: M, items that the memory holds; theirs 10,000, for streams far longer than ours.
        neighbours: N.
        surprise: a sample is written if -log p(y) is above this share of ln K, that is, if p(y) < K^-surprise: at
            0.75, below 0.02 for the 200 classes of their code, below 0.30 for five.
        label_features: of the embedding of a label.
        layers, heads, size: of the decoder; size is that of a head's keys and values.

    Raises:
        UserError: more neighbours than slots.

    Example:
        >>> learner = APL((1, 28, 28), n_way=5)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "APL"
    paper = "ramalho2019"
    external_memory = True
    needs_delay = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 64,
        features: Width = 64,
        slots: Width = 128,
        neighbours: Width = 5,
        surprise: NotNegative = 0.75,
        label_features: Width = 32,
        layers: Annotated[int, Range(least=1, most=64)] = 5,
        heads: Width = 2,
        size: Width = 256,
    ):
        super().__init__()
        if neighbours > slots:
            raise UserError(f"apl: {neighbours} neighbours from a memory of {slots} slots")
        self.labels = labels_for("apl", n_way, Classes)
        self.n_way, self.delay, self.features = self.labels.n_way, delay, features
        self.slots, self.neighbours = slots, neighbours
        self.threshold = surprise * math.log(self.n_way)  # nats
        self.encoder = nn.Sequential(Encoder(input_shape, features, filters), nn.LayerNorm(features))
        self.decoder = Decoder(features, self.n_way, label_features, layers, heads, size)

    def initial_state(self, batch: int) -> APLState:
        weight = self.decoder.classifier.weight
        return APLState(
            waiting=weight.new_zeros(self.delay, batch, self.features),
            answered=weight.new_zeros(self.delay, batch, self.n_way),
            memory=Labelled(
                weight.new_zeros(batch, self.slots, self.features),
                weight.new_full((batch, self.slots), -1, dtype=torch.int64),
            ),
            written=weight.new_zeros(batch, dtype=torch.int64),
        )

    def step(
        self, x_t: Float[Tensor, "batch channel height width"], y_seen_t: Int[Tensor, " batch"], state: APLState
    ) -> tuple[Float[Tensor, "batch n_way"], APLState]:
        logits, _, state = self._step(self.encoder(x_t), y_seen_t, state)
        return logits, state

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: APLState
    ) -> tuple[Float[Tensor, "time batch n_way"], APLState]:
        e, found = self.encoder(x), []  # [T, B, D]
        with torch.no_grad():
            for e_t, y_seen_t in zip(e.unbind(), y_seen.unbind(), strict=True):
                _, nearest, state = self._step(e_t, y_seen_t, state)
                found.append(nearest)
        return self.decoder(e, Labelled(*map(torch.stack, zip(*found, strict=True)))), state

    def _step(self, e_t: Tensor, y_seen_t: Tensor, state: APLState) -> tuple[Tensor, Labelled, APLState]:
        """The answer to e_t [B, D], the neighbours it comes from, and the next state."""
        log_p_shown = state.answered[0].gather(1, y_seen_t.clamp(min=0)[:, None])[:, 0]  # [B]
        surprised = (y_seen_t >= 0) & (-log_p_shown > self.threshold)
        memory = self._write(state.memory, state.waiting[0], y_seen_t, surprised, state.written)

        nearest = self._nearest(e_t, memory)
        logits = self.decoder(e_t, nearest)

        _, waiting = until_labelled(state.waiting, e_t[None])
        _, answered = until_labelled(state.answered, logits.log_softmax(dim=-1)[None])
        return logits, nearest, APLState(waiting, answered, memory, state.written + surprised)

    def _write(self, memory: Labelled, e: Tensor, y: Tensor, surprised: Tensor, written: Tensor) -> Labelled:
        """The memory with (e, y) in the next slot of those episodes that were surprised."""
        slot = torch.arange(self.slots, device=e.device) == (written % self.slots)[:, None]  # [B, M]
        here = slot & surprised[:, None]
        return Labelled(
            torch.where(here[..., None], e.detach()[:, None], memory.e), torch.where(here, y[:, None], memory.y)
        )

    def _nearest(self, e: Tensor, memory: Labelled) -> Labelled:
        """The N nearest items in memory, with label -1 where it holds fewer."""
        d = (memory.e - e[:, None]).square().sum(dim=-1).masked_fill(memory.y < 0, torch.inf)  # [B, M]
        slots = d.topk(self.neighbours, largest=False).indices  # [B, N]
        return Labelled(memory.e.gather(1, slots[..., None].expand(-1, -1, self.features)), memory.y.gather(1, slots))


class Decoder(nn.Module):
    """From a query and its labelled neighbours to logits: the equations at the top of this file."""

    def __init__(self, features: int, n_way: int, label_features: int, layers: int, heads: int, size: int):
        super().__init__()
        self.label = nn.Embedding(n_way + 1, label_features)  # the first is that of no label
        self.first = nn.Linear(2 * features + label_features + 1, heads * size)
        self.attention = nn.ModuleList(Attention(heads, size) for _ in range(layers))
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Linear(heads * size, heads * size), nn.LayerNorm(heads * size))
            for _ in range(layers)
        )
        self.classifier = nn.Linear(heads * size, n_way)

    def forward(self, e: Float[Tensor, "*lead features"], nearest: Labelled) -> Float[Tensor, "*lead n_way"]:
        """e [..., D], nearest [..., N] -> logits [..., K]; zeros where there is no neighbour at all."""
        there = nearest.y >= 0  # [..., N]
        query = e[..., None, :].expand_as(nearest.e)
        d = (query - nearest.e).square().sum(dim=-1)
        w = d.neg().masked_fill(~there, NEVER).softmax(dim=-1)[..., None]  # [..., N, 1]
        a = self.first(torch.cat([nearest.e, self.label(nearest.y + 1), query, w], dim=-1))  # [..., N, V]
        for attention, mlp in zip(self.attention, self.mlp, strict=True):
            a = a + attention(a, there)
            a = a + mlp(a)
        logits = self.classifier((w * a).sum(dim=-2))
        return logits * there.any(dim=-1, keepdim=True)


class Attention(nn.Module):
    """Multi-head dot-product self-attention, with layer normalisation of queries, keys and values together."""

    def __init__(self, heads: int, size: int):
        super().__init__()
        self.heads, self.scale = heads, size**-0.5
        self.qkv = nn.Sequential(nn.Linear(heads * size, 3 * heads * size), nn.LayerNorm(3 * heads * size))

    def forward(
        self, a: Float[Tensor, "*lead neighbours width"], there: Bool[Tensor, "*lead neighbours"]
    ) -> Float[Tensor, "*lead neighbours width"]:
        """a [..., N, V], there [..., N]: rows that can be looked at -> [..., N, V]."""
        q, k, v = self.qkv(a).unflatten(-1, (3, self.heads, -1)).transpose(-4, -2).unbind(dim=-3)  # [..., h, N, size]
        attention = (q @ k.mT * self.scale).masked_fill(~there[..., None, None, :], NEVER).softmax(dim=-1)
        return (attention @ v).transpose(-3, -2).flatten(-2)
