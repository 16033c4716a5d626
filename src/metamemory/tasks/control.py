"""Tasks in which a learner acts and is paid, many side by side: a bandit whose arms swap, and a pole on a cart.

task.begin(batch, generator)                      -> state
task.act(state, action, generator)                -> state, payment [batch] from 0 to 1
task.seen(state)                                  -> what the learner sees, [batch, observation]
"""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from metamemory.refusals import Checked
from metamemory.settings import Count, Share
from metamemory.shapes import Float, Int

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, TICK = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # m/s2, kg, kg, m, N, s
FAR, LEANING = 2.4, math.radians(12)  # where the cart has left its track, m, and the pole has fallen
SCALE = (2.4, 3.0, 0.21, 3.0)  # of position, speed, angle and angular speed, as they are seen
LYING = 20  # steps for which a fallen pole lies
BEGINNING = 0.05  # largest of the four numbers at the start


class Bandit(NamedTuple):
    """The arm that pays best, and the step."""

    best: Tensor
    step: int


class SwappingBandit(Checked):
    """One of the arms pays with probability `good`, the others with `bad`; after every `period` steps it is another.

    Nothing is to be seen but what was paid, so that the learner sees a 1.

    Example:
        >>> task, generator = SwappingBandit(), torch.Generator().manual_seed(0)
        >>> state, paid = task.act(task.begin(8, generator), torch.zeros(8, dtype=torch.int64), generator)
        >>> paid.shape
        torch.Size([8])
    """

    actions, observation = 2, 1

    def __init__(self, period: Count = 25, good: Share = 0.9, bad: Share = 0.1):
        self.period, self.good, self.bad = period, good, bad

    def __str__(self) -> str:
        return "bandits whose arms swap"

    def begin(self, batch: int, generator: Generator) -> Bandit:
        return Bandit(torch.randint(self.actions, (batch,), generator=generator), 0)

    def act(
        self, state: Bandit, action: Int[Tensor, " batch"], generator: Generator
    ) -> tuple[Bandit, Float[Tensor, " batch"]]:
        chance = torch.where(action == state.best, self.good, self.bad)
        paid = (torch.rand(action.shape, generator=generator) < chance).float()
        step = state.step + 1
        swaps = step % self.period == 0
        return Bandit((state.best + 1) % self.actions if swaps else state.best, step), paid

    def seen(self, state: Bandit) -> Float[Tensor, "batch observation"]:
        return torch.ones(len(state.best), 1)


class Cart(NamedTuple):
    """Position, speed, angle and angular speed, [batch, 4]; and for how many steps yet the pole lies, [batch]."""

    x: Tensor
    lying: Tensor


class CartPole(Checked):
    """A pole on a cart that is pushed left or right (Barto et al. 1983), by its equations of motion, without friction.

    A step pays 1 while the pole stands. When it falls, or the cart leaves its track, it lies for `LYING` steps, which
    pay nothing, and is then put up again. While it lies, what is seen is 0 once, and then a pole that stands, another
    one in each step: only what is paid tells that it does not.
    """

    actions, observation = 2, 4

    def __str__(self) -> str:
        return "poles on carts"

    def begin(self, batch: int, generator: Generator) -> Cart:
        return Cart(self._upright(batch, generator), torch.zeros(batch, dtype=torch.int64))

    def act(
        self, state: Cart, action: Int[Tensor, " batch"], generator: Generator
    ) -> tuple[Cart, Float[Tensor, " batch"]]:
        position, speed, angle, turning = state.x.unbind(dim=1)
        force = FORCE * (2 * action - 1)
        mass = CART + POLE
        pushed = (force + POLE * HALF_LENGTH * turning**2 * angle.sin()) / mass
        turned = GRAVITY * angle.sin() - angle.cos() * pushed
        turned = turned / (HALF_LENGTH * (4 / 3 - POLE * angle.cos() ** 2 / mass))
        moved = pushed - POLE * HALF_LENGTH * turned * angle.cos() / mass
        x = torch.stack(
            [position + TICK * speed, speed + TICK * moved, angle + TICK * turning, turning + TICK * turned], dim=1
        )
        stood = state.lying == 0
        falls = stood & ((x[:, 0].abs() > FAR) | (x[:, 2].abs() > LEANING))
        lying = torch.where(falls, LYING, (state.lying - 1).clamp(min=0))
        x = torch.where(~stood[:, None], self._upright(len(x), generator), x)
        return Cart(torch.where(falls[:, None], 0.0, x), lying), (stood & ~falls).float()

    def seen(self, state: Cart) -> Float[Tensor, "batch observation"]:
        return state.x / torch.tensor(SCALE)

    def _upright(self, batch: int, generator: Generator) -> Tensor:
        return BEGINNING * (2 * torch.rand(batch, 4, generator=generator) - 1)
