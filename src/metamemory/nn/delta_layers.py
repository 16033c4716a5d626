"""Layers whose fast weights are written by the delta rule, step by step, in each of several heads.

    DeltaRule        what is read and written comes of slow weights            Schlag et al. 2021, section 4
    SelfReference    what is read and written comes of the fast weights        Irie et al. 2022, section 3

Each is followed by the two layers that a transformer has after attention (`FeedForward`). All are as the authors'
published code has them, IDSIA/modern-srwm.

Shape legend: T steps, B batch, H heads, D size of a head, W width = H D, V = 3 D + 4 columns.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.kernels.delta_rule import delta_rule
from metamemory.kernels.self_reference import RATES, self_reference
from metamemory.shapes import Float


class DeltaRule(nn.Module):
    """z_t + O y_t, where y is what `kernels.delta_rule` answers and q, k, v and the rate are linear in norm(z_t).

    Queries and keys are ELU(.) + 1, and each sums to 1; a rate is a logistic function.

    Args:
        width: W.
        heads: H.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.norm = nn.LayerNorm(width)
        self.told = nn.Linear(width, heads * (3 * self.size + 1), bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def initial_state(self, batch: int) -> Float[Tensor, "batch heads size size"]:
        """Weights of 0."""
        return self.out.weight.new_zeros(batch, self.heads, self.size, self.size)

    def forward(
        self, z: Float[Tensor, "time batch width"], fast: Float[Tensor, "batch heads size size"]
    ) -> tuple[Float[Tensor, "time batch width"], Float[Tensor, "batch heads size size"]]:
        told = self.told(self.norm(z)).view(len(z), -1, 3 * self.size + 1)  # [T, B H, 3 D + 1]
        q, k, v, rate = told.split([self.size, self.size, self.size, 1], dim=-1)
        y, after = delta_rule(_positive(q), _positive(k), v, rate[..., 0].sigmoid(), fast.flatten(0, 1))
        return z + self.out(y.view(z.shape)), after.view(fast.shape)


class SelfReference(nn.Module):
    """norm(z_t) + O y_t, where y is what `kernels.self_reference` answers to z_t.

    A state has what was written so far; that is added to the weights at the start, which are trained, so that a state
    of zeros is the start of an episode.

    Args:
        width: W.
        heads: H.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.norm = nn.LayerNorm(width)
        self.start = nn.Parameter(torch.empty(heads, self.size, 3 * self.size + RATES))
        nn.init.normal_(self.start, std=self.size**-0.5)
        self.out = nn.Linear(width, width, bias=False)

    def initial_state(self, batch: int) -> Float[Tensor, "batch heads size columns"]:
        """Nothing written."""
        return self.start.new_zeros(batch, *self.start.shape)

    def forward(
        self, z: Float[Tensor, "time batch width"], fast: Float[Tensor, "batch heads size columns"]
    ) -> tuple[Float[Tensor, "time batch width"], Float[Tensor, "batch heads size columns"]]:
        weights = (fast + self.start).flatten(0, 1)
        y, after = self_reference(z.view(len(z), -1, self.size), weights)
        return self.norm(z) + self.out(y.view(z.shape)), after.view(fast.shape) - self.start


class FeedForward(nn.Module):
    """z + the second of two layers of norm(z), with `hidden` ReLUs between. z [T, B, W] -> [T, B, W]."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, z: Float[Tensor, "time batch width"]) -> Float[Tensor, "time batch width"]:
        return z + self.down(fn.relu(self.up(self.norm(z))))


def _positive(x: Tensor) -> Tensor:
    """ELU(x) + 1, by its sum over the last axis."""
    x = fn.elu(x) + 1
    return x / x.sum(dim=-1, keepdim=True)
