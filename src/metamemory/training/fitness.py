"""Search among networks by what they were paid while they acted, without any optimiser of weights.

Fitness-monotonic execution, as this study reads the abstract of Kirsch and Schmidhuber (2022), for the paper's own rule
is not at hand: there are some candidates, each with the mean of what it was paid. In each generation one is executed
for a lifetime, the more probably the better it was paid:

    candidate m is executed with probability softmax(sharpness f_m)
    f_m  <-  the mean of all its lifetimes
    what it has made of itself is a new candidate, in place of that with the lowest f, and begins with the f of this
    lifetime

So better networks are executed more often, and what they become is kept while it is paid for. Hill climbing is what it
is compared with: one network, a random step of it each generation, which is kept if it was paid no less. It begins with
the best of the same candidates.

Both execute each candidate once, and then one network a generation. Many searches go side by side. Shape legend: R
searches, M candidates of each.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

Lifetime = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # encoder, weights [R, ...] -> weights after, fitness [R]


class Generation(NamedTuple):
    """What was executed was paid `paid` [R]; `best` [R, ...] are the weights with the highest f."""

    paid: Tensor
    best: Tensor


class Monotonic:
    """Fitness-monotonic execution.

    Args:
        live: a lifetime of R networks.
        encoder: of each search, [R, ...], which stays.
        weights: [M, R, ...]; each is executed once.
        sharpness: of the choice.
        generator: of all choices.
    """

    def __init__(self, live: Lifetime, encoder: Tensor, weights: Tensor, sharpness: float, generator: Generator):
        self.live, self.encoder, self.sharpness, self.generator = live, encoder, sharpness, generator
        found = [live(encoder, each) for each in weights]
        self.weights = torch.stack([after for after, _ in found])
        self.fitness = torch.stack([paid for _, paid in found])
        self.lives = torch.ones_like(self.fitness)
        self.searches = torch.arange(weights.shape[1])

    def step(self) -> Generation:
        """One generation."""
        odds = (self.sharpness * self.fitness.T).softmax(dim=-1)
        chosen = torch.multinomial(odds, 1, generator=self.generator)[:, 0], self.searches
        after, paid = self.live(self.encoder, self.weights[chosen])
        self.lives[chosen] += 1
        self.fitness[chosen] += (paid - self.fitness[chosen]) / self.lives[chosen]
        worst = self.fitness.argmin(dim=0), self.searches
        self.weights[worst], self.fitness[worst], self.lives[worst] = after, paid, 1.0
        return Generation(paid, self.weights[self.fitness.argmax(dim=0), self.searches])


class Climbing:
    """Hill climbing; arguments as those of `Monotonic`, and `deviation` of a step."""

    def __init__(self, live: Lifetime, encoder: Tensor, weights: Tensor, deviation: float, generator: Generator):
        self.live, self.encoder, self.deviation, self.generator = live, encoder, deviation, generator
        self.fitness, best = torch.stack([live(encoder, each)[1] for each in weights]).max(dim=0)
        self.weights = weights[best, torch.arange(weights.shape[1])]

    def step(self) -> Generation:
        """One generation."""
        moved = self.weights + self.deviation * torch.randn(self.weights.shape, generator=self.generator)
        _, paid = self.live(self.encoder, moved)
        kept = paid >= self.fitness
        self.weights[kept], self.fitness[kept] = moved[kept], paid[kept]
        return Generation(paid, self.weights.clone())


def lifetime(policy: Any, task: Any, steps: int, state: Any, generator: Generator) -> tuple[Any, Tensor]:
    """So many steps of networks that act.

    Args:
        policy: a learner whose answers are actions; the last number that it sees is what was paid.
        task: as `tasks.control` has them.
        state: of the policy, of B networks.

    Returns:
        The state after them, and what was paid a step in the mean, [B].
    """
    batch = len(state[0])
    place, total = task.begin(batch, generator), torch.zeros(batch)
    action, paid = torch.full((batch,), -1), torch.zeros(batch)
    for _ in range(steps):
        answer, state = policy.step(torch.cat([task.seen(place), paid[:, None]], dim=-1), action, state)
        action = torch.multinomial(answer.softmax(dim=-1), 1, generator=generator)[:, 0]
        place, paid = task.act(place, action, generator)
        total = total + paid
    return state, total / steps
