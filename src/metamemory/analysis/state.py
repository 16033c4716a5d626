"""What a trained learner does with its memory: how sure it is, what each part of its state is worth, what moves it.

`parts` and what follows it are for learners that declare `layered_state`: their state has `cl`, a ConvLSTM's hidden
state and cell for each of `n_layers` layers, and `lstm`, those of an LSTM above.

Shape legend: T steps, B batch, K ways.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.shapes import Bool, Float
from metamemory.tasks.episode import Episode

State = Any  # of a learner with a layered state
BINS = 10  # of equal width, for the calibration error


def calibration_error(confidence: Float[Tensor, " answer"], right: Bool[Tensor, " answer"]) -> float:
    """Expected calibration error: the mean distance, over answers, between how sure the learner was and how often it
    was right when it was about as sure (Naeini et al. 2015; Guo et al. 2017, eq. 3).

    confidence [n] float, the probability given to the answer; right [n] bool.
    """
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    count = torch.bincount(bins, minlength=BINS)
    sure = torch.bincount(bins, confidence.double(), minlength=BINS)
    hits = torch.bincount(bins, right.double(), minlength=BINS)
    return ((sure - hits).abs().sum() / count.sum()).item()


def parts(learner: Learner) -> list[str]:
    """Parts of the state, from the first layer up."""
    return [*(f"CL-{layer}" for layer in range(1, learner.n_layers + 1)), "LSTM"]


def replaced(state: State, other: State, part: str) -> State:
    """`state` with one part taken from `other`."""
    if part == "LSTM":
        return state._replace(lstm=other.lstm)
    at = int(part.removeprefix("CL-")) - 1
    return state._replace(cl=(*state.cl[:at], other.cl[at], *state.cl[at + 1 :]))


@torch.no_grad()
def answers(
    learner: Learner, episode: Episode, alter: Callable[[int, State], State] = lambda t, state: state
) -> Float[Tensor, "time batch n_way"]:
    """Step through an episode, with the state changed by `alter(t, state)` before step t: logits [T, B, K]."""
    state, logits = learner.initial_state(episode.x.shape[1]), []
    for t, (x_t, y_seen_t) in enumerate(zip(episode.x, episode.y_seen, strict=True)):
        logits_t, state = learner.step(x_t, y_seen_t, alter(t, state))
        logits.append(logits_t)
    return torch.stack(logits)


def reset(learner: Learner, part: str) -> Callable[[int, State], State]:
    """For `answers`: the part is reset before every step."""
    return lambda t, state: replaced(state, learner.initial_state(state.lstm[0].shape[1]), part)


def frozen(part: str, after: int) -> Callable[[int, State], State]:
    """For `answers`: from step `after` on the part stays what it was then."""
    kept: list[State] = []

    def alter(t: int, state: State) -> State:
        if t == after:
            kept.append(state)
        return replaced(state, kept[-1], part) if t >= after else state

    return alter


@torch.no_grad()
def moved_by_labels(learner: Learner, episode: Episode) -> dict[str, list[float]]:
    """How far the label of each step moves each part of the state, beside the same step with the null label.

    Part -> T numbers: the norm of the difference over the norm of the state, mean over the batch.
    """
    state = learner.initial_state(episode.x.shape[1])
    null = torch.full_like(episode.y_seen[0], -1)
    moved: dict[str, list[float]] = {part: [] for part in parts(learner)}
    for x_t, y_seen_t in zip(episode.x, episode.y_seen, strict=True):
        untold = learner.step(x_t, null, state)[1]
        state = learner.step(x_t, y_seen_t, state)[1]
        for part, told, other in zip(moved, _vectors(state), _vectors(untold), strict=True):
            share = (told - other).norm(dim=1) / told.norm(dim=1).clamp(min=1e-12)
            moved[part].append(share.mean().item())
    return moved


def _vectors(state: State) -> list[Tensor]:
    """Each part as one vector an episode, [B, ...]: its hidden state and its cell."""
    every = [*state.cl, [each[0] for each in state.lstm]]
    return [torch.cat([each.flatten(1).float() for each in part], dim=1) for part in every]


def by_shot(values: dict[str, Tensor], shot: Tensor, n_shots: int, measure: Callable[..., float]) -> list[float]:
    """`measure` of the values at each shot: values and shot [T, B]."""
    return [measure(**{name: each[shot == k] for name, each in values.items()}) for k in range(n_shots)]


def told_apart(logits: Float[Tensor, "time batch n_way"], episode: Episode) -> dict[str, Any]:
    """confidence and right, [T, B], of the answers to an episode."""
    confidence, answer = logits.softmax(dim=-1).max(dim=-1)
    return {"confidence": confidence, "right": answer == episode.y}
