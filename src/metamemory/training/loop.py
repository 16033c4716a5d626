"""Episodic training: draw a batch of episodes, sum the losses of their steps, one update (Babu et al. 2021,
section 3.4 and Algorithm 1).

A run can stop at any moment and go on later: the checkpoint holds the weights, the optimiser, the sampler's
generator, the position and everything that decides what happens next, so that N + N updates give bit for bit
what 2N do on the same processor with the same number of threads.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.kernels.memory import keep_freed_memory
from metamemory.models.learner import Learner
from metamemory.tasks import OnlineFewShot
from metamemory.training.evaluation import evaluate
from metamemory.training.files import write_atomically
from metamemory.training.progress import Progress

CHECKPOINT_SECONDS = 30.0  # between checkpoints
LOOK_EVERY = 20  # updates between looks at the loss; each look waits for the device


@dataclass(frozen=True)
class Training:
    """How long and how to train.

    Attributes:
        episodes: how many to train on, all stages of the curriculum together.
        batch_size: episodes an update.
        learning_rate: Adam's, after the warm-up.
        beta2: Adam's decay of the squared gradient, per update.
        warmup: episodes over which the learning rate rises from 0.
        cooldown: share of all episodes, at the end, over which it falls linearly to 0.
        clip_norm: the gradient of the summed loss is scaled down to this norm.
        advance_at: a stage of the curriculum ends when the running accuracy of steps with a labelled sample
            of their class lies this share of the way from chance to perfect.
        validations: how often to validate, evenly over the episodes.
        validation_episodes: episodes of a validation, the same each time.
    """

    episodes: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    beta2: float = 0.999
    warmup: int = 3200
    cooldown: float = 0.3
    clip_norm: float = 1.0
    advance_at: float = 0.6
    validations: int = 50
    validation_episodes: int = 200

    def rate(self, episodes: int) -> float:
        """The learning rate after so many episodes."""
        rise = min(1.0, (episodes + self.batch_size) / self.warmup) if self.warmup else 1.0
        left = (self.episodes - episodes) / self.episodes
        fall = min(1.0, left / self.cooldown) if self.cooldown else 1.0
        return self.learning_rate * rise * fall


@dataclass
class Position:
    """Where a training stands; all of it is in the checkpoint.

    Attributes:
        episodes, steps: seen so far.
        stage: of the curriculum.
        stage_updates: updates in this stage.
        seconds: trained so far, over all slices.
        loss, accuracy: running means over the last 50 updates or so: nats a step; share of right answers
            where a labelled sample of the class had been shown.
        history: one row a validation.
        best: the best validation accuracy so far; its weights are `best_weights`.
    """

    episodes: int = 0
    steps: int = 0
    stage: int = 0
    stage_updates: int = 0
    seconds: float = 0.0
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))
    accuracy: Tensor = field(default_factory=lambda: torch.zeros(()))
    history: list[dict] = field(default_factory=list)
    best: float = -1.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def train(
    learner: Learner,
    curriculum: Sequence[OnlineFewShot],
    validation: OnlineFewShot,
    settings: Training,
    seed: int,
    checkpoint: Path,
    minutes: float = math.inf,
) -> Position | None:
    """Train `learner` in place; leaves it with the weights that were best in validation.

    Args:
        curriculum: the tasks to train on, one stage after the other; the last is the task itself.
        validation: the task on validation classes.
        seed: of the episodes; the weights were drawn by the caller.
        checkpoint: file to go on from, if it is there, and to write to.
        minutes: stop at a checkpoint after so long.

    Returns:
        The position at the end, or None if the minutes ran out first.

    Raises:
        UserError: the loss is no longer finite; the checkpoint cannot be read or written.
    """
    keep_freed_memory()
    device = validation.images.device
    generator = torch.Generator(device).manual_seed(seed)
    optimiser = torch.optim.Adam(learner.parameters(), betas=(0.9, settings.beta2))
    at = Position(loss=torch.zeros((), device=device), accuracy=torch.zeros((), device=device))
    if checkpoint.exists():
        at = _restore(checkpoint, learner, optimiser, generator)
    began = saved = time.monotonic()
    seconds_before = at.seconds

    with Progress(settings.episodes, at.episodes) as progress:
        while at.episodes < settings.episodes:
            _update(learner, curriculum[at.stage], settings, optimiser, generator, at)
            at.seconds = seconds_before + time.monotonic() - began
            updates = at.episodes // settings.batch_size
            if updates % LOOK_EVERY == 0:
                _require_finite(at, settings)
                if _mastered(at, curriculum, settings):
                    at.stage, at.stage_updates = at.stage + 1, 0
                progress.show(at, curriculum[at.stage])
            if _due(at, settings):
                _validate(learner, validation, settings, seed, curriculum[at.stage], at)
            if time.monotonic() - saved > CHECKPOINT_SECONDS or time.monotonic() - began > 60 * minutes:
                _require_finite(at, settings)
                _save(checkpoint, learner, optimiser, generator, at)
                saved = time.monotonic()
                if saved - began > 60 * minutes and at.episodes < settings.episodes:
                    return None
    learner.load_state_dict(at.best_weights)
    return at


def _update(learner, task, settings, optimiser, generator, at: Position) -> None:
    learner.train()
    episode = task.sample(settings.batch_size, generator)
    logits = learner(episode.x, episode.y_seen)
    loss = fn.cross_entropy(logits.flatten(0, 1), episode.y.flatten(), ignore_index=-1, reduction="sum")
    optimiser.zero_grad(set_to_none=True)
    (loss / settings.batch_size).backward()
    torch.nn.utils.clip_grad_norm_(learner.parameters(), settings.clip_norm)
    for group in optimiser.param_groups:
        group["lr"] = settings.rate(at.episodes)
    optimiser.step()

    with torch.no_grad():
        right = (logits.argmax(dim=-1) == episode.y).float()
        told = (episode.shot >= 1).float()
        weight = 1 / min(at.stage_updates + 1, 50)  # a plain mean at first, then an exponential one
        at.loss = at.loss.lerp(loss.detach() / episode.y.numel(), weight)
        at.accuracy = at.accuracy.lerp((right * told).sum() / told.sum(), weight)
    at.episodes += settings.batch_size
    at.steps += episode.y.numel()
    at.stage_updates += 1


def _mastered(at: Position, curriculum: Sequence[OnlineFewShot], settings: Training) -> bool:
    chance = 1 / curriculum[at.stage].n_way
    above_chance = (at.accuracy.item() - chance) / (1 - chance)
    last = at.stage == len(curriculum) - 1
    return not last and at.stage_updates >= 50 and above_chance > settings.advance_at


def _due(at: Position, settings: Training) -> bool:
    """Whether this update crossed one of the evenly spaced validation points; the end is one."""
    done, before = at.episodes, at.episodes - settings.batch_size
    spacing = settings.episodes / settings.validations
    return done >= settings.episodes or done // spacing > before // spacing


def _validate(learner, validation, settings, seed, task, at: Position) -> None:
    by_shot = evaluate(learner, validation, settings.validation_episodes, 50, seed=10**6 + seed).by_shot
    told = sum(by_shot[1:]) / len(by_shot[1:])
    if told > at.best:
        at.best = told
        at.best_weights = {name: value.detach().clone() for name, value in learner.state_dict().items()}
    at.history.append(
        {
            "episodes": at.episodes,
            "seconds": round(at.seconds, 2),
            "n_way": task.n_way,
            "loss": round(at.loss.item(), 5),
            "training_accuracy": round(at.accuracy.item(), 5),
            **{f"accuracy_{shot}_shot": round(value, 5) for shot, value in enumerate(by_shot)},
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


def settings_of(mapping: dict, where: str) -> Training:
    """Training from plain values, refusing what it does not know."""
    known = {each.name for each in fields(Training)}
    if unknown := set(mapping) - known:
        raise UserError(f"{where}: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    if "episodes" not in mapping:
        raise UserError(f"{where}: episodes is missing")
    return Training(**mapping)
