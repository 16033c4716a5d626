"""DeltaNet (Schlag et al. 2021): layers whose fast weights are written by the delta rule.

    z_t = U [CNN(x_t), y_seen_t] + a                                   a token a step
    z   = z + O delta_rule(q, k, v, rate)                              q, k, v, rate linear in norm(z), in each layer
    z   = z + MLP(norm(z))
    logits_t = W z_t + b

As Irie et al. (2022, section 4.1) compare it with their self-referential weight matrix, in their published code: an
embedding of four convolutions, the label written beside it, and no positions, for what comes first is written first.
Where a support set is streamed each label comes with its own image, and a query with none.

Our choices: the null label adds nothing (their code shows label 0). Departures: no dropout, which they have for
photographs only.
"""

from typing import Annotated, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn.delta_layers import DeltaRule, FeedForward
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Range, Width
from metamemory.shapes import Float, Int


class FastWeights(NamedTuple):
    """The fast weights of each layer, [batch, heads, size, columns] float32."""

    layers: tuple[Tensor, ...]


class DeltaNet(Learner):
    """An embedding, layers of fast weights, a classifier.

    Args:
        input_shape: (channel, height, width).
        n_way: labels.
        layers: how many.
        width: of tokens.
        heads: of each layer, which share out the width.
        expansion: units of an MLP, times the width.
        filters: of the embedding (`nn.Encoder`).

    Raises:
        UserError: a width that cannot be shared out among the heads.

    Example:
        >>> learner = DeltaNet((1, 28, 28), n_way=5)
        >>> learner(torch.rand(25, 8, 1, 28, 28), torch.full((25, 8), -1)).shape
        torch.Size([25, 8, 5])
    """

    title = "DeltaNet"
    paper = "schlag2021"
    delay = 0
    layer: ClassVar[type[nn.Module]] = DeltaRule

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        layers: Annotated[int, Range(least=1, most=64)] = 2,
        width: Width = 256,
        heads: Width = 16,
        expansion: Annotated[int, Range(least=1, most=64)] = 4,
        filters: Width = 64,
    ):
        super().__init__()
        if width % heads:
            raise UserError(f"{self.name}: width is {width} and must be a multiple of {heads}, the heads")
        self.labels = labels_for(self.name, n_way, Classes)
        self.n_way = n_way = self.labels.n_way
        self.encoder = Encoder(input_shape, None, filters)
        self.token = nn.Linear(self.encoder.out_features + n_way, width)
        self.fast = nn.ModuleList(self.layer(width, heads) for _ in range(layers))
        self.slow = nn.ModuleList(FeedForward(width, expansion * width) for _ in range(layers))
        self.classifier = nn.Linear(width, n_way)

    def initial_state(self, batch: int) -> FastWeights:
        return FastWeights(tuple(layer.initial_state(batch) for layer in self.fast))

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: FastWeights
    ) -> tuple[Float[Tensor, "time batch n_way"], FastWeights]:
        features, states = self.encoder(x), []
        z = self.token(torch.cat([features, one_hot(y_seen, self.n_way).to(features.dtype)], dim=-1))
        for fast, slow, before in zip(self.fast, self.slow, state.layers, strict=True):
            z, after = fast(z, before)
            z = slow(z)
            states.append(after)
        return self.classifier(z), FastWeights(tuple(states))
