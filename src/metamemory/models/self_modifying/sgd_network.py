"""A network trained by stochastic gradient descent, the rule that learned rules are compared with.

    h <- relu(W h + b) of each layer but the last        V <- beta V + grad L        theta <- theta - alpha V

L is the mean cross-entropy of a minibatch. Nothing is trained: the rate alpha and the momentum beta are the best of
`candidates`, all pairs of `rates` and `momenta`, by accuracy in validation; `chosen` is the place of that pair. Weights
begin as torch's linear layers do, uniform within 1 / sqrt(inputs).
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.models.self_modifying.learned_rule import LearnedRule, Network, samples_last
from metamemory.nn.labels import Labels
from metamemory.settings import Count, Items, Positive, Share, Width
from metamemory.shapes import Float, Int


class SGDNetwork(LearnedRule):
    """A perceptron trained by stochastic gradient descent, with or without momentum.

    Args:
        input_shape: of one input.
        n_way: K.
        delay: steps between a sample and its label, where samples come one at a time.
        hidden: units of the layers between inputs and answers.
        minibatch: M.
        rates: alpha, from which to choose.
        momenta: beta, from which to choose.
    """

    title = "SGD, its best rate"
    paper = "sandler2021"
    trained_by = "nothing"
    differentiates = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        delay: int = 1,
        hidden: Annotated[Sequence[Width], Items()] = (64, 32),
        minibatch: Count = 128,
        rates: Annotated[Sequence[Positive], Items(least=1, distinct=True)] = (0.001, 0.01, 0.1, 1.0),
        momenta: Annotated[Sequence[Share], Items(least=1, distinct=True)] = (0.0, 0.9),
    ):
        super().__init__(input_shape, n_way, delay, minibatch)
        self.sizes = (self.inputs, *hidden, self.n_way)
        self.pairs = list(product(rates, momenta))
        self.register_buffer("chosen", torch.zeros((), dtype=torch.int64))

    @property
    def candidates(self) -> int:
        return len(self.pairs)

    def choose(self, candidate: int) -> None:
        self.chosen.fill_(candidate)

    @property
    def rate_and_momentum(self) -> tuple[float, float]:
        """Those chosen."""
        return self.pairs[int(self.chosen)]

    def start(self, batch: int) -> Network:
        """Weights and biases [B, I, J] and [B, J] of each layer, then their V."""
        draw = self._random_numbers(torch.zeros((), device=self.chosen.device))
        weights: list[Tensor] = []
        for ins, outs in zip(self.sizes, self.sizes[1:], strict=False):
            weights += [draw(batch, ins, outs) / math.sqrt(ins), draw(batch, outs) / math.sqrt(ins)]
        return (*weights, *(torch.zeros_like(each) for each in weights))

    def learn(
        self, x: Float[Tensor, "samples batch *shape"], y: Int[Tensor, "samples batch"], network: Network
    ) -> tuple[Float[Tensor, "samples batch n_way"], Network]:
        half = len(network) // 2
        rate, momentum = (0.0, 0.0) if self.chosen.is_meta else self.rate_and_momentum
        with torch.enable_grad():
            theta = [each.detach().requires_grad_() for each in network[:half]]
            logits = self._logits(samples_last(x), theta)
            # a network's loss depends on its own weights only: the gradient of the sum is that of each
            loss = fn.cross_entropy(logits.flatten(0, 1), y.T.flatten(), reduction="sum") / len(y)
            gradients = torch.autograd.grad(loss, theta)
        velocity = [momentum * v + gradient for v, gradient in zip(network[half:], gradients, strict=True)]
        moved = [each.detach() - rate * v for each, v in zip(theta, velocity, strict=True)]
        return logits.detach().transpose(0, 1), (*moved, *velocity)

    def answer(
        self, x: Float[Tensor, "samples batch *shape"], network: Network
    ) -> Float[Tensor, "samples batch n_way"]:
        return self._logits(samples_last(x), network[: len(network) // 2]).transpose(0, 1)

    def _logits(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """x [B, M, I] -> [B, M, K]."""
        h, last = x, len(weights) - 2
        for at in range(0, len(weights), 2):
            h = torch.baddbmm(weights[at + 1][:, None], h, weights[at])
            h = h if at == last else h.relu()
        return h
