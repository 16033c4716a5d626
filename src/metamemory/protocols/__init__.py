"""The experiments, one a file: each turns a configuration and a seed into a trained learner and its scores.

A file `experiments/name.py` has a function `conduct(config, method, seed, context) -> Outcome | None`; None
says that the minutes ran out and that the same call goes on.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from metamemory.models.learner import Learner


@dataclass(frozen=True)
class Context:
    """Where and for how long an experiment runs.

    Attributes:
        device: for tensors and learner.
        data: folder of the prepared data sets.
        checkpoint: file to resume from and to write to.
        minutes: to stop after, at a checkpoint.
    """

    device: torch.device
    data: Path
    checkpoint: Path
    minutes: float = math.inf


@dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        learner: as evaluated.
        metrics: name -> number; accuracies are shares of 1.
        by_shot: rows of shot, accuracy and the ends of its 95 % interval over episodes.
        history: rows of the learning curve, at most 200; empty where nothing is trained.
        example: one test episode and the answers to it, as plain values.
        facts: for the manifest.
    """

    learner: Learner
    metrics: dict[str, float]
    by_shot: list[dict[str, float]]
    history: list[dict[str, float]] = field(default_factory=list)
    example: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
