"""Episodic training: draw a batch of episodes, sum the losses of their steps, one update (Babu et al. 2021,
section 3.4 and Algorithm 1).

A run can stop at any moment and go on later: the checkpoint holds the weights, the optimiser, the sampler's
generator and the global ones, the position and everything that decides what happens next, so that N + N updates
give bit for bit what 2N do on the same processor with the same number of threads. The last checkpoint is of the end:
where the test or the record fails, no training is done again. The caller deletes it.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from metamemory.errors import UserError
from metamemory.kernels.memory import keep_freed_memory
from metamemory.models.learner import Learner
from metamemory.tasks.episode import Score, Task
from metamemory.training.checkpoint import Checkpoint, generators, restore_generators
from metamemory.training.graph import CapturedUpdate
from metamemory.training.interruption import Interruption
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
        checkpoint: file to go on from, if it is there, and to write to (see `Checkpoint`).
        minutes: stop at a checkpoint after so long.

    Returns:
        The position at the end, or None if the minutes ran out first.

    Raises:
        UserError: the loss, the weights or a validation are no longer finite; the checkpoint cannot be written.
        Interrupted: a signal has come, and what was trained until then is in the checkpoint.
    """
    keep_freed_memory()
    device = curriculum[0].task.device
    generator = Generator(device).manual_seed(seed)
    optimiser, advance = _optimiser_and_update(learner, settings, device)
    kept = Checkpoint(checkpoint)
    zero = torch.zeros((), device=device)
    at = _restore(kept, learner, optimiser, generator) or Position(loss=zero, accuracy=zero)
    began = saved = time.monotonic()
    seconds_before = at.seconds
    with Progress(settings.episodes, at.episodes) as progress, Interruption() as interruption:
        while at.episodes < settings.episodes:
            task = curriculum[at.stage].task
            set_rate(optimiser, settings.rate(at.episodes, last_stage=at.stage == len(curriculum) - 1))
            learner.train()
            _count(advance(learner, task, settings, optimiser, generator), task, settings, at)
            at.seconds = seconds_before + time.monotonic() - began
            if at.episodes // settings.batch_size % LOOK_EVERY == 0:
                _require_finite(at, settings)
                progress.show(at, str(task))
            if _over(curriculum, settings, at):
                at.stage, at.stage_updates = at.stage + 1, 0
            if _due(at, settings):
                _require_finite(at, settings, learner)
                _validate(learner, validate, at)
            out_of_time = time.monotonic() - began > 60 * minutes
            stops = out_of_time or interruption.number is not None or at.episodes >= settings.episodes
            if stops or time.monotonic() - saved > CHECKPOINT_SECONDS:
                _require_finite(at, settings, learner)
                kept.write(_state(learner, optimiser, generator, at))
                saved = time.monotonic()
            interruption.act()
            if out_of_time and at.episodes < settings.episodes:
                return None
    learner.load_state_dict(at.best_weights)
    return at


def _optimiser_and_update(
    learner: Learner, settings: Training, device: torch.device
) -> tuple[torch.optim.Optimizer, Callable[..., Score]]:
    """On a GPU an update is captured, and reads its learning rate from a tensor."""
    if device.type == "cuda":
        return optimiser_of(learner, settings, torch.zeros((), device=device)), CapturedUpdate()
    return optimiser_of(learner, settings, 0.0), update


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
    if not math.isfinite(validation_score):
        raise UserError(f"training: the validation at episode {at.episodes} gives {validation_score}; {_what(row)}")
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


def _what(row: dict[str, float]) -> str:
    """What of a validation is no number."""
    lost = [name for name, value in row.items() if not math.isfinite(value)]
    return f"{', '.join(lost) or 'its score'} cannot be worked out of what the learner answers"


def _require_finite(at: Position, settings: Training, learner: Learner | None = None) -> None:
    """Refuse a loss that is no number or, where a learner is given, weights that are none: those of the last update
    have not met a loss yet."""
    wrong = None if at.loss.isfinite() else f"the loss is {at.loss.item()}"
    if wrong is None and learner is not None and not all(each.isfinite().all() for each in learner.parameters()):
        wrong = "weights are not finite"
    if wrong:
        raise UserError(
            f"training: {wrong} near episode {at.episodes}; lower training.learning_rate "
            f"({settings.learning_rate}) or training.clip_norm ({settings.clip_norm})"
        )


def _state(learner: Learner, optimiser: torch.optim.Optimizer, generator: Generator, at: Position) -> dict[str, Any]:
    return {
        "learner": learner.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": generator.get_state(),
        "generators": generators(generator.device),
        "position": {each.name: getattr(at, each.name) for each in fields(at)},
    }


def _restore(
    kept: Checkpoint, learner: Learner, optimiser: torch.optim.Optimizer, generator: Generator
) -> Position | None:
    """Go on from the last checkpoint that is whole; None, and all as it was, where there is none."""
    untouched = None
    for path, state in kept.states(generator.device):
        untouched = untouched or copy.deepcopy(_state(learner, optimiser, generator, Position()))
        try:
            position = Position(**state["position"])
            _put(state, learner, optimiser, generator)
        except Exception as error:  # of a file that is whole, but not of this training
            _put(untouched, learner, optimiser, generator)
            kept.refuse(path, error)
        else:
            return position
    return None


def _put(state: dict[str, Any], learner: Learner, optimiser: torch.optim.Optimizer, generator: Generator) -> None:
    learner.load_state_dict(state["learner"])
    optimiser.load_state_dict(state["optimiser"])
    generator.set_state(state["generator"].cpu())
    if "generators" in state:  # older checkpoints have none
        restore_generators(state["generators"], generator.device)
