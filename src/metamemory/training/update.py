"""One update: a fresh batch of episodes, the gradient of their loss, one step of an optimiser (Babu et al. 2021,
Algorithm 1); and the settings that say how."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.settings import Count, Decay, Index, NotNegative, Positive, Share, declared
from metamemory.tasks.episode import Score, Task

OPTIMISERS = ("adam", "rmsprop", "sgd")


@dataclass(frozen=True)
class Training:
    """How long and how to train.

    Attributes:
        episodes: how many to train on, all stages of the curriculum together.
        batch_size: episodes an update.
        optimiser: "adam", "rmsprop" or "sgd".
        learning_rate: after the warm-up.
        beta2: decay of the squared gradient, per update, in Adam and RMSProp.
        momentum: share of the last step in the next, in SGD and RMSProp.
        weight_decay: share of a weight that is added to its gradient.
        warmup: episodes over which the learning rate rises from 0.
        cooldown: share of all episodes, at the end, over which it falls linearly to 0.
        curriculum_rate: share of the learning rate before the last stage of the curriculum.
        clip_norm: the gradient of the summed loss is scaled down to this norm.
        advance_at: a stage of the curriculum is mastered when the running accuracy lies this share of the way
            from chance to perfect.
        validations: how often to validate, evenly over the episodes.
        validation_episodes: episodes of a validation, the same each time.

    Raises:
        UserError: there is no such optimiser.
    """

    episodes: int
    batch_size: int = 32
    optimiser: str = "adam"
    learning_rate: float = 1e-3
    beta2: float = 0.999
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: int = 3200
    cooldown: float = 0.3
    curriculum_rate: float = 1.0
    clip_norm: float = 1.0
    advance_at: float = 0.6
    validations: int = 50
    validation_episodes: int = 200

    def __post_init__(self):
        if self.optimiser not in OPTIMISERS:
            raise UserError(f"training: optimiser is {self.optimiser!r}; choose from {', '.join(OPTIMISERS)}")

    def rate(self, episodes: int, last_stage: bool) -> float:
        """The learning rate after so many episodes, in the last stage of the curriculum or before."""
        rise = min(1.0, (episodes + self.batch_size) / self.warmup) if self.warmup else 1.0
        left = (self.episodes - episodes) / self.episodes
        fall = min(1.0, left / self.cooldown) if self.cooldown else 1.0
        return self.learning_rate * rise * fall * (1.0 if last_stage else self.curriculum_rate)


# Kinds and ranges of its fields, beside the class: a range is no part of what is computed, nor of a run's digest.
SETTINGS = declared(
    Training,
    episodes=Count,
    batch_size=Count,
    optimiser=Literal[OPTIMISERS],
    learning_rate=Positive,
    beta2=Decay,
    momentum=Share,
    weight_decay=NotNegative,
    warmup=Index,
    cooldown=Share,
    curriculum_rate=Positive,
    clip_norm=Positive,
    advance_at=Share,
    validations=Count,
    validation_episodes=Count,
)


def settings_of(section: Mapping[str, Any]) -> Training:
    """The section `training` of a configuration.

    Raises:
        UserError: a setting is unknown, the episodes are missing, there is no such optimiser.
    """
    known = {each.name for each in fields(Training)}
    if unknown := set(section) - known:
        raise UserError(f"training: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    if "episodes" not in section:
        raise UserError("training: episodes is missing")
    return Training(**section)


def update(
    learner: Learner, task: Task, settings: Training, optimiser: torch.optim.Optimizer, generator: Generator
) -> Score:
    """One update on a fresh batch of episodes, all of it on the device; how the learner did in it before."""
    score = task.score(learner, task.sample(settings.batch_size, generator))
    optimiser.zero_grad(set_to_none=True)
    score.loss.backward()
    torch.nn.utils.clip_grad_norm_(learner.parameters(), settings.clip_norm)
    optimiser.step()
    return Score(score.loss.detach(), score.accuracy)


def optimiser_of(learner: Learner, settings: Training, rate: float | Tensor) -> torch.optim.Optimizer:
    """The optimiser of all parameters of the learner; its rate can change within a captured update if it is a
    tensor."""
    shared = {"params": learner.parameters(), "lr": rate, "weight_decay": settings.weight_decay}
    capturable = isinstance(rate, Tensor)
    if settings.optimiser == "sgd":  # always capturable
        return torch.optim.SGD(**shared, momentum=settings.momentum)
    if settings.optimiser == "rmsprop":
        return torch.optim.RMSprop(**shared, alpha=settings.beta2, momentum=settings.momentum, capturable=capturable)
    return torch.optim.Adam(**shared, betas=(0.9, settings.beta2), capturable=capturable)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, in place where it is a tensor."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
