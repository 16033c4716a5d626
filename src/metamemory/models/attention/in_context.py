"""A transformer that learns in its context, on inputs of any kind (Kirsch et al. 2022, section 3).

    z_t = E x_t + F y_seen_t + e                                        a token a step, x_t as a vector
    then the layers of `transformer`, and                               logits_t = W norm(z_t) + b

The paper's learner has no convolutions: where inputs are projected at random, pixels have no neighbours, and what is to
be learned about them has to be learned in the episode. Layers are those of `transformer`; sizes at the paper's scale
are those of public code that repeats the paper (4 layers, 256 wide, 8 heads).

Departure: rotary positions, where the paper's are added to tokens.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.models.attention.transformer import Layer, TransformerState
from metamemory.models.learner import Learner
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Range, Width
from metamemory.shapes import Float, Int


class InContextTransformer(Learner):
    """A linear layer, layers of causal attention, a classifier.

    Args:
        input_shape: of an input, of any number of axes.
        n_way: labels.
        layers: how many.
        width: of tokens.
        heads: of each layer; the width of one must be an even number.

    Raises:
        UserError: a width that cannot be shared out among the heads.

    Example:
        >>> learner = InContextTransformer((64,), n_way=10)
        >>> learner(torch.rand(25, 8, 64), torch.full((25, 8), -1)).shape
        torch.Size([25, 8, 10])
    """

    title = "Transformer on vectors"
    paper = "kirsch2022"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        layers: Annotated[int, Range(least=1, most=64)] = 4,
        width: Width = 256,
        heads: Width = 8,
    ):
        super().__init__()
        if width % (2 * heads):
            raise UserError(f"in_context: width is {width} and must be a multiple of {2 * heads}, twice the heads")
        self.labels = labels_for("in_context", n_way, Classes)
        self.n_way = n_way = self.labels.n_way
        self.token = nn.Linear(torch.Size(input_shape).numel() + n_way, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, n_way)

    def initial_state(self, batch: int) -> TransformerState:
        return TransformerState(tuple(layer.initial_state(batch) for layer in self.layers))

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Int[Tensor, "time batch"], state: TransformerState
    ) -> tuple[Float[Tensor, "time batch n_way"], TransformerState]:
        z = self.token(torch.cat([x.flatten(2), one_hot(y_seen, self.n_way).to(x.dtype)], dim=-1))
        states = []
        for layer, past in zip(self.layers, state.layers, strict=True):
            z, kept = layer(z, past)
            states.append(kept)
        return self.classifier(self.norm(z)), TransformerState(tuple(states))
