"""What a memory of least recently used access (Santoro et al. 2016) does in an episode: where it writes, where it
reads, what it counts as used.

For learners that declare `traces_memory`: their `network` is an `nn.memory_network`, and their state has its `memory`.
All of it is found from the states between steps, so that training knows nothing of it:

    w^r_t    is in the state, w^u_t too          sum_r w^w_r = w^u_t - decay w^u_{t-1} - sum_r w^r_r     (eq. 5 turned
    around)

A slot that is among the least used at step s *belongs to step s* from then on, until it is again at a later step,
whether or not the gate lets much be written there. How much is read at step t of what belongs to step s then tells
whether the memory finds again what it has bound.

Shape legend: T steps, B batch, R heads, N slots.
"""

import base64
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.shapes import Float
from metamemory.tasks.episode import Episode, Task
from metamemory.training.rollout import sampled

EPISODES = 50  # over which retrieval is averaged


class Trace(NamedTuple):
    """Of a batch of episodes, each [T, B, N]: weights summed over heads, usage after the step, and whether a slot was
    among the least used before it."""

    writing: Tensor
    reading: Tensor
    usage: Tensor
    least: Tensor


@torch.no_grad()
def trace(learner: Learner, episode: Episode) -> Trace:
    """What the memory did at each step of the episodes."""
    decay, heads = learner.network.decay, learner.network.heads
    state, steps = learner.initial_state(episode.x.shape[1]), []
    for x_t, y_seen_t in zip(episode.x, episode.y_seen, strict=True):
        before = state.memory.usage
        _, state = learner.step(x_t, y_seen_t, state)
        reading = state.memory.reading.sum(dim=1)
        writing = state.memory.usage - decay * before - reading
        least = torch.zeros_like(before).scatter(1, before.argsort(dim=-1, stable=True)[:, :heads], 1.0)
        steps.append((writing, reading, state.memory.usage, least.bool()))
    return Trace(*map(torch.stack, zip(*steps, strict=True)))


def read_of_step(found: Trace) -> Float[Tensor, "time time batch"]:
    """What share of all that is read at step t comes from slots that belong to step s, over the share of these slots in
    the memory: 1 is no preference. [t, s, B], nan where s has no slot any more, or s > t."""
    steps, _, slots = found.least.shape
    owner = torch.full_like(found.least[0], -1, dtype=torch.int64)
    shares = []
    for t in range(steps):
        owner = torch.where(found.least[t], t, owner)
        of_step = (owner[None] == torch.arange(steps, device=owner.device)[:, None, None]).double()  # [s, B, N]
        read = found.reading[t].double() / found.reading[t].double().sum(dim=-1, keepdim=True)
        shares.append((of_step * read).sum(dim=-1) / of_step.mean(dim=-1))  # 0 / 0 is nan
        shares[-1][t + 1 :] = torch.nan
    return torch.stack(shares)


def of_episode(learner: Learner, episode: Episode) -> dict[str, Any]:
    """The trace of the first episode, as plain values: base64 of float16 [T, N] each, with their shape, and
    `read_of_step` as rows of numbers, null where there is none."""
    found = trace(learner, episode)
    maps = {
        name: base64.b64encode(getattr(found, name)[:, 0].cpu().half().numpy().tobytes()).decode()
        for name in ("writing", "reading", "usage")
    }
    rows = read_of_step(found)[..., 0].tolist()
    return {
        "memory": {**maps, "shape": list(found.usage[:, 0].shape)},
        "read_of_step": [[None if each != each else round(each, 3) for each in row] for row in rows],
    }


@torch.no_grad()
def retrieval(learner: Learner, task: Task, seed: int) -> dict[str, Any]:
    """`read_of_step` on average over test episodes, at steps whose class was seen before: from slots of the steps at
    which an image of the same class was seen, of the steps after those, at which its label came, and of all others."""
    (episode,) = sampled(task, EPISODES, EPISODES, seed)
    share, y = read_of_step(trace(learner, episode)), episode.y
    same = y[:, None] == y[None]  # [t, s, B] or, of strings, [t, s, B, character]
    same = same if same.dim() == 3 else same.all(dim=-1)
    after = torch.cat([torch.zeros_like(same[:, :1]), same[:, :-1]], dim=1)  # the label of s - 1 came with s
    steps = torch.arange(len(y), device=y.device)
    counts = share.isfinite() & (steps[:, None] > steps)[..., None] & (episode.shot >= 1)[:, None]
    kinds = {"its label": after & ~same, "its drawing": same & ~after, "both": same & after, "other": ~same & ~after}
    return {"retrieval": {name: round(share[kind & counts].mean().item(), 4) for name, kind in kinds.items()}}
