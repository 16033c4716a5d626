"""Episodic training: draw a batch of episodes, sum the losses of their steps, one update (Babu et al. 2021,
section 3.4 and Algorithm 1).

A run can stop at any moment and go on later: the checkpoint holds the weights, the optimiser, the sampler's
generator, the position and everything that decides what happens next, so that N + N updates give bit for bit
what 2N do on the same processor with the same number of threads.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import Generator, Tensor

from metamemory.errors import UserError
from metamemory.kernels.memory import keep_freed_memory
from metamemory.models.learner import Learner
from metamemory.tasks.episode import Score, Task
from metamemory.training.files import write_atomically
from metamemory.training.graph import CapturedUpdate
from metamemory.training.progress import Progress
from metamemory.training.update import Training, optimiser_of, set_rate, update

CHECKPOINT_SECONDS = 30.0  # between checkpoints
LOOK_EVERY = 20  # updates between looks at the loss; each look waits for the device


@dataclass(frozen=True)
class Stage:
    """A part of the curriculum: a task, and for how many episodes; None is until it is mastered."""

    task: Task
    episodes: int | None = None


@dataclass
class Position:
    """Where a training stands; all of it is in the checkpoint.

    Attributes:
        episodes, steps: seen so far.
        stage: of the curriculum.
        stage_updates: updates in this stage.
        seconds: trained so far, over all slices.
        loss, accuracy: running means over the last 50 updates or so: nats a step; share of right answers
            where the right one could be known.
        history: one row a validation.
        best: the highest validation_score of a validation so far; its weights are `best_weights`.
    """

    episodes: int = 0
    steps: int = 0
    stage: int = 0
    stage_updates: int = 0
    seconds: float = 0.0
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))
    accuracy: Tensor = field(default_factory=lambda: torch.zeros(()))
    history: list[dict] = field(default_factory=list)
    best: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def train(
    learner: Learner,
    curriculum: Sequence[Stage],
    validate: Callable[[Learner], tuple[float, dict[str, float]]],
    settings: Training,
    seed: int,
    checkpoint: Path,
    minutes: float = math.inf,
) -> Position | None:
    """Train `learner` in place; leaves it with the weights that were best in validation.

    Args:
        curriculum: what to train on, one stage after the other; the last is the task itself, to the end.
        validate: gives the learner's validation_score, higher for better, and what the learning curve is to show of it.
        seed: of the episodes; the weights were drawn by the caller.
        checkpoint: file to go on from, if it is there, and to write to.
        minutes: stop at a checkpoint after so long.

    Returns:
        The position at the end, or None if the minutes ran out first.

    Raises:
        UserError: the loss is no longer finite; the checkpoint cannot be read or written.
    """
    keep_freed_memory()
    device = curriculum[0].task.device
    generator = Generator(device).manual_seed(seed)
    on_gpu = device.type == "cuda"
    rate = torch.zeros((), device=device) if on_gpu else 0.0
    optimiser = optimiser_of(learner, settings, rate)
    advance = CapturedUpdate() if on_gpu else update
    at = Position(loss=torch.zeros((), device=device), accuracy=torch.zeros((), device=device))
    if checkpoint.exists():
        at = _restore(checkpoint, learner, optimiser, generator)
    began = saved = time.monotonic()
    seconds_before = at.seconds

    with Progress(settings.episodes, at.episodes) as progress:
        while at.episodes < settings.episodes:
            task = curriculum[at.stage].task
            set_rate(optimiser, settings.rate(at.episodes, last_stage=at.stage == len(curriculum) - 1))
            learner.train()
            _count(advance(learner, task, settings, optimiser, generator), task, settings, at)
            at.seconds = seconds_before + time.monotonic() - began
            updates = at.episodes // settings.batch_size
            if updates % LOOK_EVERY == 0:
                _require_finite(at, settings)
                progress.show(at, str(task))
            if _over(curriculum, settings, at):
                at.stage, at.stage_updates = at.stage + 1, 0
            if _due(at, settings):
                _validate(learner, validate, at)
            if time.monotonic() - saved > CHECKPOINT_SECONDS or time.monotonic() - began > 60 * minutes:
                _require_finite(at, settings)
                _save(checkpoint, learner, optimiser, generator, at)
                saved = time.monotonic()
                if saved - began > 60 * minutes and at.episodes < settings.episodes:
                    return None
    learner.load_state_dict(at.best_weights)
    return at


def _count(score: Score, task: Task, settings: Training, at: Position) -> None:
    weight = 1 / min(at.stage_updates + 1, 50)  # a plain mean at first, then an exponential one
    at.loss = at.loss.lerp(score.loss / task.length, weight)
    at.accuracy = at.accuracy.lerp(score.accuracy, weight)
    at.episodes += settings.batch_size
    at.steps += settings.batch_size * task.length
    at.stage_updates += 1


def _over(curriculum: Sequence[Stage], settings: Training, at: Position) -> bool:
    """Whether the stage gives way to the next."""
    stage = curriculum[at.stage]
    if at.stage == len(curriculum) - 1:
        return False
    if stage.episodes is not None:
        return at.stage_updates * settings.batch_size >= stage.episodes
    if at.stage_updates < 50 or at.stage_updates % LOOK_EVERY:
        return False
    return at.accuracy.item() - stage.task.chance > settings.advance_at * (1 - stage.task.chance)


def _due(at: Position, settings: Training) -> bool:
    """Whether this update crossed one of the evenly spaced validation points; the end is one."""
    done, before = at.episodes, at.episodes - settings.batch_size
    spacing = settings.episodes / settings.validations
    return done >= settings.episodes or done // spacing > before // spacing


def _validate(learner: Learner, validate: Callable, at: Position) -> None:
    validation_score, row = validate(learner)
    if validation_score > at.best:
        at.best = validation_score
        at.best_weights = {name: value.detach().clone() for name, value in learner.state_dict().items()}
    at.history.append(
        {
            "episodes": at.episodes,
            "seconds": round(at.seconds, 2),
            "stage": at.stage + 1,
            "loss": round(at.loss.item(), 5),
            "training_accuracy": round(at.accuracy.item(), 5),
            **{name: round(value, 5) for name, value in row.items()},
        }
    )


def _require_finite(at: Position, settings: Training) -> None:
    if not at.loss.isfinite():
        raise UserError(
            f"training: the loss is {at.loss.item()} near episode {at.episodes}; lower training.learning_rate "
            f"({settings.learning_rate}) or training.clip_norm ({settings.clip_norm})"
        )


def _save(path: Path, learner, optimiser, generator, at: Position) -> None:
    state = {
        "learner": learner.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": generator.get_state(),
        "position": {each.name: getattr(at, each.name) for each in fields(at)},
    }
    write_atomically(path, lambda temporary: torch.save(state, temporary))


def _restore(path: Path, learner, optimiser, generator) -> Position:
    device = next(learner.parameters()).device
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        learner.load_state_dict(state["learner"])
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["generator"].cpu())
        return Position(**state["position"])
    except Exception as error:  # a damaged file can fail in as many ways as there are bytes in it
        raise UserError(f"cannot go on from {path}: {error}; delete it to train from the start") from error
