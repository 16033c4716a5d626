"""A causal transformer over the steps of an episode: today's natural comparison, not one of the papers'.

    z_t = embedding(x_t) + E y_seen_t                            a token a step
    z   = z + O attend(rotate(q), rotate(k), v)                  q, k, v linear in norm(z), in each of the layers
    z   = z + MLP(norm(z))
    logits_t = W norm(z_t) + b

Vaswani et al. 2017 with the normalisation before each part (Xiong et al. 2020) and rotary positions (Su et
al. 2021). Positions are needed: which drawing a label belongs to is told by nothing but its distance. Rotary
ones enter as distances only and have no table that could end, so that an episode can be longer than any in
training; ALiBi could as well, but fades with distance, and here an old sample is worth as much as a new one.
In a support set labels come with their samples, as for the other learners that attend to or write tokens.

All sizes are our choice; the embedding is that of SNAIL and the prototype methods.

Shape legend: T steps, B batch, H heads, D size of a head, W width = H D.
"""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn.attention import attend, rotate
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Range, Width
from metamemory.shapes import Float, Int


class LayerState(NamedTuple):
    """Rotated keys and values of all S steps so far, each [S, B, H, D] float32: the state grows with the episode."""

    keys: Tensor
    values: Tensor


class TransformerState(NamedTuple):
    """One `LayerState` a layer."""

    layers: tuple[LayerState, ...]


class Layer(nn.Module):
    """Attention and an MLP, each added to what it was given. z [T, B, W] -> [T, B, W]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def initial_state(self, batch: int) -> LayerState:
        empty = self.out.weight.new_zeros(0, batch, self.heads, self.out.in_features // self.heads)
        return LayerState(empty, empty)

    def forward(
        self, z: Float[Tensor, "time batch width"], past: LayerState
    ) -> tuple[Float[Tensor, "time batch width"], LayerState]:
        q, k, v = self.qkv(self.norm_1(z)).unflatten(-1, (3, self.heads, -1)).unbind(dim=2)
        start = len(past.keys)
        state = LayerState(torch.cat([past.keys, rotate(k, start)]), torch.cat([past.values, v]))
        z = z + self.out(attend(rotate(q, start), *state).flatten(2))
        return z + self.down(fn.gelu(self.up(self.norm_2(z)))), state


class Transformer(Learner):
    """An embedding, layers of causal attention, a classifier.

    Args:
        input_shape: (channel, height, width).
        n_way: labels.
        layers: how many.
        width: W, of tokens.
        heads: H, of each layer; W / H must be an even number.
        filters: of the embedding (`nn.Encoder`).

    Raises:
        UserError: a width that cannot be shared out among the heads.

    Example:
        >>> learner = Transformer((1, 28, 28), n_way=5)
        >>> learner(torch.rand(25, 8, 1, 28, 28), torch.full((25, 8), -1)).shape
        torch.Size([25, 8, 5])
    """

    title = "Transformer"
    paper = "vaswani2017"
    delay = 0

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        layers: Annotated[int, Range(least=1, most=64)] = 4,
        width: Width = 128,
        heads: Width = 4,
        filters: Width = 64,
    ):
        super().__init__()
        if width % (2 * heads):
            raise UserError(f"transformer: width is {width} and must be a multiple of {2 * heads}, twice the heads")
        self.labels = labels_for("transformer", n_way, Classes)
        self.n_way = n_way = self.labels.n_way
        self.encoder = Encoder(input_shape, width, filters)
        self.label = nn.Linear(n_way, width, bias=False)  # the null label adds nothing
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, n_way)

    def initial_state(self, batch: int) -> TransformerState:
        return TransformerState(tuple(layer.initial_state(batch) for layer in self.layers))

    def run(
        self,
        x: Float[Tensor, "time batch channel height width"],
        y_seen: Int[Tensor, "time batch"],
        state: TransformerState,
    ) -> tuple[Float[Tensor, "time batch n_way"], TransformerState]:
        embedded, states = self.encoder(x), []
        z = embedded + self.label(one_hot(y_seen, self.n_way).to(embedded.dtype))
        for layer, past in zip(self.layers, state.layers, strict=True):
            z, kept = layer(z, past)
            states.append(kept)
        return self.classifier(self.norm(z)), TransformerState(tuple(states))
