"""A policy whose weights write themselves while it acts, for fitness-monotonic execution (Kirsch and Schmidhuber 2022).

    z_t = tanh([ x_t , r_{t-1} , a_{t-1} ] E)                      what is seen, what was paid, what was done
    y_t, W_{t+1} = self_reference(z_t, W_t)                        see `kernels.self_reference`
    action_t drawn with softmax(gain y_t)                          of as many numbers of y as there are actions

No weight is trained. E is random and stays. W, of D (3 D + 4) numbers, is what is searched for. Where `modifies`, it
changes itself, and says so how it is changed further. The paper's network is not known to this study.

Shape legend: B networks, I numbers seen, A actions, D size of the matrix.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from metamemory.kernels.self_reference import RATES, self_reference
from metamemory.models.learner import Learner
from metamemory.nn.labels import Classes, Labels, labels_for
from metamemory.settings import Positive, Width
from metamemory.shapes import Float, Int


class PolicyState(NamedTuple):
    """E [B, I + A, D] and W [B, D, 3 D + 4]."""

    encoder: Tensor
    weights: Tensor


class SelfModifyingPolicy(Learner):
    """A self-referential weight matrix that acts.

    Args:
        input_shape: (I,), of which the last number is what was paid.
        n_way: A.
        size: D, at least A.
        gain: of answers.
        modifies: whether W changes while it acts.
        spread: standard deviation of W at the start, times the root of D.

    Example:
        >>> policy = SelfModifyingPolicy((5,), n_way=2)
        >>> state = policy.initial_state(3)
        >>> answers, after = policy.step(torch.rand(3, 5), torch.tensor([-1, -1, -1]), state)
        >>> answers.shape, torch.equal(after.weights, state.weights)
        (torch.Size([3, 2]), False)
    """

    title = "Self-modifying policy"
    paper = "kirsch2022"
    answers = "action"
    trained_by = "nothing"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_way: int | Labels,
        size: Width = 16,
        gain: Positive = 4.0,
        modifies: bool = True,
        spread: Positive = 1.0,
    ):
        super().__init__()
        self.labels = labels_for(self.name, n_way, Classes)
        self.actions, self.size = self.labels.n_way, max(size, self.labels.n_way)
        self.gain, self.modifies, self.spread = gain, modifies, spread

    def drawn(self, batch: int, generator: Generator | None = None) -> PolicyState:
        """Random ones."""
        reads = self.input_shape[0] + self.actions
        encoder = torch.randn(batch, reads, self.size, generator=generator)
        weights = torch.randn(batch, self.size, 3 * self.size + RATES, generator=generator)
        return PolicyState(encoder, self.spread * weights / self.size**0.5)

    def initial_state(self, batch: int) -> PolicyState:
        return self.drawn(batch, Generator().manual_seed(0))

    def step(
        self, x_t: Float[Tensor, "batch features"], y_seen_t: Int[Tensor, " batch"], state: PolicyState
    ) -> tuple[Float[Tensor, "batch actions"], PolicyState]:
        """`y_seen_t` is the last action; -1 before the first."""
        seen = torch.cat([x_t, self.labels(y_seen_t)], dim=-1)
        z = (seen[:, None] @ state.encoder)[:, 0].tanh()
        y, after = self_reference(z[None], state.weights)
        state = state._replace(weights=after) if self.modifies else state
        return self.gain * y[0, :, : self.actions], state
