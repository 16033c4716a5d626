"""SNAIL, the simple neural attentive meta-learner (Mishra et al. 2018).

    [embedding(x_t), y_seen_t] -> Attention(64, 32) -> TC(T, 128) -> Attention(256, 128) -> TC(T, 128)
                               -> Attention(512, 256) -> linear -> logits

    Attention(K, V):  z_t -> [z_t, sum_{j <= t} softmax_j(q_t k_j / sqrt(K)) v_j]     q, k, v affine in z
    TC(T, D):         ceil(log2 T) dense blocks, of dilations 1, 2, 4, ...
    dense block:      z_t -> [z_t, tanh(f_t) sigmoid(g_t)]         f_t, g_t = A z_t + B z_{t-dilation} + b

Convolutions in time gather what lies at fixed distances, attention what is alike at any; each adds to what it
was given, so that later blocks see everything. Blocks: section 3 of the paper. Sizes and the embedding (the
usual four convolutional blocks): its appendix, which we know only through public implementations.

A support set is shown as the paper has it: each label with its own sample, then a query without one, whose answer
alone is asked for. As an online learner it sees labels late and every step is answered, as in the paper's
reinforcement learning, where a step is shown the reward of the one before.

Departures. The paper's training draws the shots of an episode, 1 to 5; here they are those of the test, and many
queries are asked, each after the same support set. The paper prints dilations 2, 4, 8, ...: convolutions that
reach even distances only, not the step before, to which a label shown one step late belongs; only attention could
tell. From 1 on, ceil(log2 T) blocks reach the last 2^ceil(log2 T) steps, just enough for all T, so that we take
the print for a slip; `first_dilation` sets it.

Shape legend: T steps, B batch, C channels, which grow from block to block, K and V sizes of key and value.
"""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn.attention import attend
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Items, Range, Width
from metamemory.shapes import Float, Int


class Attended(NamedTuple):
    """Keys [S, B, K] and values [S, B, V], float32, of all S steps so far: this part of the state grows with them."""

    keys: Tensor
    values: Tensor


class SNAILState(NamedTuple):
    """What the blocks keep, in their order: `Attended` of an attention block; of a dense block the products
    B z [dilation, B, 2 D] float32 of the last steps, which are still to be used."""

    blocks: tuple[Attended | Tensor, ...]


class AttentionBlock(nn.Module):
    """z [T, B, C] -> [T, B, C + V]."""

    def __init__(self, channels: int, key: int, value: int):
        super().__init__()
        self.sizes = [key, key, value]
        self.affine = nn.Linear(channels, sum(self.sizes))
        self.out_channels = channels + value

    def initial_state(self, batch: int) -> Attended:
        empty = self.affine.weight.new_zeros
        return Attended(empty(0, batch, self.sizes[1]), empty(0, batch, self.sizes[2]))

    def forward(
        self, z: Float[Tensor, "time batch channels"], past: Attended
    ) -> tuple[Float[Tensor, "time batch more"], Attended]:
        q, k, v = self.affine(z).split(self.sizes, dim=-1)
        state = Attended(torch.cat([past.keys, k]), torch.cat([past.values, v]))
        read = attend(q[:, :, None], state.keys[:, :, None], state.values[:, :, None])[:, :, 0]  # one head
        return torch.cat([z, read], dim=-1), state


class DenseBlock(nn.Module):
    """z [T, B, C] -> [T, B, C + D]. Before the first step all is 0."""

    def __init__(self, channels: int, dilation: int, filters: int):
        super().__init__()
        self.dilation, self.filters = dilation, filters
        self.now = nn.Linear(channels, 2 * filters)  # A and b
        self.then = nn.Linear(channels, 2 * filters, bias=False)  # B
        self.out_channels = channels + filters

    def initial_state(self, batch: int) -> Tensor:
        return self.then.weight.new_zeros(self.dilation, batch, 2 * self.filters)

    def forward(
        self, z: Float[Tensor, "time batch channels"], past: Float[Tensor, "dilation batch outputs"]
    ) -> tuple[Float[Tensor, "time batch more"], Float[Tensor, "dilation batch outputs"]]:
        then = torch.cat([past, self.then(z)])  # multiplied before it is moved: nothing is padded or gathered
        f, g = (self.now(z) + then[: len(z)]).chunk(2, dim=-1)
        return torch.cat([z, f.tanh() * g.sigmoid()], dim=-1), then[-self.dilation :]


class SNAIL(Learner):
    """An embedding, three attention blocks with two blocks of causal convolutions between them, a classifier.

    Args:
        input_shape: (channel, height, width).
        n_way: labels.
        length: T, the steps that the convolutions reach over. Longer episodes are allowed: beyond it only
            attention reaches.
        attention: (key, value) sizes of the three attention blocks.
        tc_filters: D of the dense blocks.
        first_dilation: of each TC block.
        features, filters: of the embedding (`nn.Encoder`).

    Raises:
        UserError: a length below 2 (nothing to convolve), not three attention blocks, a dilation below 1.

    Example:
        >>> learner = SNAIL((1, 28, 28), n_way=5, length=25)
        >>> learner(torch.rand(25, 8, 1, 28, 28), torch.full((25, 8), -1)).shape
        torch.Size([25, 8, 5])
    """

    title = "SNAIL"
    paper = "mishra2018"
    delay = 0

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        length: Annotated[int, Range(least=2, most=16384)] = 45,
        attention: Annotated[Sequence[Annotated[Sequence[Width], Items(2, 2)]], Items(3, 3)] = (
            (64, 32),
            (256, 128),
            (512, 256),
        ),
        tc_filters: Width = 128,
        first_dilation: Width = 1,
        features: Width = 64,
        filters: Width = 64,
    ):
        super().__init__()
        self.labels = labels_for("snail", n_way, Classes)
        self.n_way = n_way = self.labels.n_way
        self.encoder = Encoder(input_shape, features, filters)
        channels = features + n_way
        self.blocks = nn.ModuleList()
        for place, (key, value) in enumerate(attention):
            if place > 0:
                for power in range(math.ceil(math.log2(length))):
                    self.blocks.append(DenseBlock(channels, first_dilation * 2**power, tc_filters))
                    channels = self.blocks[-1].out_channels
            self.blocks.append(AttentionBlock(channels, key, value))
            channels = self.blocks[-1].out_channels
        self.classifier = nn.Linear(channels, n_way)

    def initial_state(self, batch: int) -> SNAILState:
        return SNAILState(tuple(block.initial_state(batch) for block in self.blocks))

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: SNAILState
    ) -> tuple[Float[Tensor, "time batch n_way"], SNAILState]:
        z, states = torch.cat([self.encoder(x), one_hot(y_seen, self.n_way)], dim=-1), []
        for block, past in zip(self.blocks, state.blocks, strict=True):
            z, kept = block(z, past)
            states.append(kept)
        return self.classifier(z), SNAILState(tuple(states))
