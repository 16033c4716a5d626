"""What all protocols have in common, and what passes between them and the engine."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.models import learner_class
from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols import facts
from metamemory.tasks.episode import Task
from metamemory.training.loop import Stage
from metamemory.training.rollout import Rollout, rollout
from metamemory.training.update import Training, settings_of

Row = dict[str, int | float]


@dataclass(frozen=True)
class Context:
    """Where, on what and for how long a run is done.

    Attributes:
        device: for tensors and learner.
        checkpoint: file to resume from and to write to.
        minutes: to stop after, at a checkpoint.
        images: the data set, loaded; None where the task draws its own inputs.
        trained: file of the weights that the run begins with; None for freshly drawn ones.
        before_training: is called with the learner as built, to refuse what could not be recorded.
    """

    device: torch.device
    checkpoint: Path
    minutes: float = math.inf
    images: ImageSet | None = None
    trained: Path | None = None
    before_training: Callable[[Learner], None] | None = None


@dataclass(frozen=True)
class Findings:
    """What the evaluation of a learner found.

    Attributes:
        metrics: name -> number; accuracies are shares of 1.
        scores: rows of numbers with the ends of their 95 % intervals, in most protocols one a shot.
        example: one test episode and the answers to it, as plain values.
        facts: for the manifest, beside those of all protocols.
    """

    metrics: Row
    scores: list[Row]
    example: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a run leaves.

    Attributes:
        learner: as evaluated.
        metrics, scores, example: see `Findings`.
        history: rows of the learning curve, at most 200; empty where nothing is trained.
        facts: for the manifest.
    """

    learner: Learner
    metrics: Row
    scores: list[Row]
    history: list[Row] = field(default_factory=list)
    example: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Protocol:
    """How a learner is trained, evaluated and recorded on one kind of task.

    A file `protocols/<name>.py` holds one subclass, which says what is its own; `conduct` does what is the same for
    all.

    Args:
        config: of the run, with the sections `learner` (its name), `data` (name, split, size), `task`, `curriculum`
            (stages before the task: changes to it, and `episodes` where a stage does not end by mastery), `training`
            (of `Training`), `evaluation` (episodes, batch_size), `model` (the learner's own settings).
        seed: of the weights and of the training episodes.
        context: where it is done.

    Attributes:
        tasks: classes of the tasks whose settings `task` and `curriculum` may have.
        answers: kinds of answers (`Learner.answers`) that it can measure.
        trains: whether there is a training.
        pretraining: class of the task of a stage `pretrain` of the curriculum; None where there is none.
        validation_seed: of the validation episodes; the run's seed is added.
        validation_batch: episodes of a validation at a time.
        test_seed: of the test episodes, the same for every run.
    """

    tasks: ClassVar[tuple[type, ...]] = ()
    answers: ClassVar[tuple[str, ...]] = ("label",)
    trains: ClassVar[bool] = True
    pretraining: ClassVar[type | None] = None
    validation_seed: ClassVar[int] = 1_000_000
    validation_batch: ClassVar[int] = 50
    test_seed: ClassVar[int] = 20_000_000

    def __init__(self, config: Mapping[str, Any], seed: int, context: Context):
        self.config, self.seed, self.context = config, seed, context
        self.learner_class = learner_class(config["learner"])

    # What a subclass says.

    def task(self, split: str, **changes: Any) -> Task:
        """The task on images of a split ("train", "validation", "test"), with changes to its settings."""
        raise NotImplementedError

    @property
    def description(self) -> TaskDescription:
        """What the learner is told of the task."""
        raise NotImplementedError

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """How good the answers of a validation are, higher for better, and what the learning curve shows of them."""
        raise NotImplementedError

    def evaluate(self, learner: Learner) -> Findings:
        """Measure the trained learner, which is in evaluation mode."""
        raise NotImplementedError

    # What most of them leave as it is.

    @cached_property
    def validation(self) -> Task:
        """The task of validations."""
        return self.task("validation")

    def curriculum(self) -> list[Stage]:
        """The stages of the curriculum, and last the task itself."""
        return [self.stage(**changes) for changes in (*(self.config.get("curriculum") or ()), {})]

    def rollout(self, learner: Learner, task: Task, episodes: int, batch_size: int, seed: int) -> Rollout:
        """Episodes of a task and the learner's answers to them, as validations and tests measure them."""
        return rollout(learner, task, episodes, batch_size, seed)

    def require_fitting(self, curriculum: list[Stage]) -> None:
        """Refuse a learner that cannot do this.

        Raises:
            UserError: its answers are of another kind; it is to be pre-trained on support sets and does not adapt.
        """
        name, answers = self.config["learner"], self.learner_class.answers
        if answers not in self.answers:
            raise UserError(
                f"{name}: its answers are of kind {answers}; this protocol measures {' or '.join(self.answers)}"
            )
        pretraining = self.pretraining is not None and any(
            isinstance(each.task, self.pretraining) for each in curriculum
        )
        if pretraining and not self.learner_class.adapts:
            raise UserError(f"curriculum: pretrain is for learners that adapt to a support set; {name} does not")

    def facts_of_data(self) -> dict[str, Any]:
        """What was learned from."""
        return facts.of_data(self.images, self.config["data"]["size"])

    def facts_of_test(self) -> dict[str, Any]:
        """What was measured on."""
        return facts.of_test(self.config["evaluation"]["episodes"], self.test_seed)

    # What all of them use.

    @property
    def images(self) -> ImageSet:
        """The data set."""
        if self.context.images is None:
            raise ValueError("the context has no images")
        return self.context.images

    @cached_property
    def settings(self) -> Training:
        """Of the training."""
        return settings_of(self.config["training"])

    @cached_property
    def splits(self) -> dict[str, Tensor]:
        """Images of each split, on the device: uint8 [class, image, channel, height, width]."""
        chosen = self.images.splits[self.config["data"]["split"]]
        return {name: self.images.images[classes].to(self.context.device) for name, classes in chosen.items()}

    def stage(self, episodes: int | None = None, pretrain: Mapping[str, Any] | None = None, **changes: Any) -> Stage:
        """A stage of the curriculum: the task with its changes or, where it says `pretrain`, support sets."""
        if pretrain is None:
            return Stage(self.task("train", **changes), episodes)
        if self.pretraining is None:
            raise UserError("curriculum: this protocol has no stage `pretrain`")
        known, asked = self.config["task"]["n_way"], pretrain.get("n_way", 1)
        if asked > known:
            raise UserError(f"curriculum: pretrain.n_way is {asked}, but the learner knows {known} labels")
        varied = {key: self.config["task"][key] for key in ("rotations", "augment") if key in self.config["task"]}
        return Stage(self.pretraining(self.splits["train"], **varied, **pretrain), episodes)

    def tested(self, learner: Learner, task: Task) -> Rollout:
        """As many test episodes of a task as `evaluation` says, and the answers to them."""
        evaluation = self.config["evaluation"]
        return self.rollout(learner, task, evaluation["episodes"], evaluation["batch_size"], self.test_seed)
