"""Learning in context, of tasks made by random projections (Kirsch et al. 2022, sections 2 and 4).

A learner is trained on so many tasks made of one data set. Whether it knows them by heart or has learned to learn is
seen in tests of three kinds, all on images for testing:

    same_tasks     the tasks of the training
    new_tasks      others, made of the same data set
    other_data     others, made of a data set that was never seen
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from metamemory.errors import UserError
from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS, rounded
from metamemory.protocols.sections import OF_ITS_DATA, Sections
from metamemory.settings import Count, declared
from metamemory.shapes import Float
from metamemory.tasks.projected import Projected
from metamemory.tasks.supervised import ImageSplits, split_images
from metamemory.training.rollout import Rollout
from metamemory.training.statistics import bootstrap

KINDS = ("same_tasks", "new_tasks", "other_data")
NEW = {"tasks": None, "task_seed": 1, "fixed_labels": 0.0}
LAST = 5  # accuracy is of one in so many of the steps, the last ones
SCORES_PLOT = {
    "title": "Accuracy of the last steps: same tasks, new ones, another data set",
    "x": "kind",
    "y": "accuracy",
}


class InContextProtocol(Protocol):
    """`data.other` names the data set that is only tested on.

    The learner whose accuracy in new tasks is best is kept. `scores` has a row a kind of test, in the order of `KINDS`:
    `kind` is its place, `accuracy` that over the last fifth of the steps, `accuracy_at_first` over the first fifth.
    `by_step` of the example is the accuracy at every step, over all test episodes.
    """

    tasks = (Projected,)

    @cached_property
    def splits(self) -> ImageSplits:
        """Images of all classes, on the device: uint8 [class, image, channel, height, width]."""
        found = split_images(self.images.images, len(self.images.images))
        return ImageSplits(*(each.to(self.context.device) for each in found))

    @cached_property
    def others(self) -> Tensor:
        """Of the other data set."""
        other = self.images.other
        if other is None:
            raise UserError("data.other is missing; name a data set to test on, as `other: omniglot`")
        return other.images.to(self.context.device)

    def task(self, split: str, **changes: Any) -> Projected:
        return Projected(getattr(self.splits, split), **{**self.config["task"], **changes})

    def test(self, kind: str) -> Projected:
        """The task of a kind of test."""
        if kind == "same_tasks":
            return self.task("test", fixed_labels=0.0)
        if kind == "new_tasks":
            return self.task("test", **NEW)
        return Projected(self.others, **{**self.config["task"], **NEW})

    @cached_property
    def validation(self) -> Projected:
        return self.task("validation", **NEW)

    @property
    def description(self) -> TaskDescription:
        task = self.config["task"]
        return TaskDescription((1, 1, task["features"]), task["n_way"])

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Accuracy in new tasks, over the last steps."""
        accuracy = _at_last(_right(self.validation, found)).mean().item()
        return accuracy, {"accuracy": accuracy}

    def evaluate(self, learner: Learner) -> Findings:
        metrics: Row = {}
        scores: list[Row] = []
        by_step = {}
        for number, kind in enumerate(KINDS):
            test = self.test(kind)
            right = _right(test, self.tested(learner, test))
            mean, low, high, _ = bootstrap(_at_last(right), over="episodes")
            at_first = right[:, : _few(right)].mean().item()
            scores.append({"kind": number, "accuracy": mean, "low": low, "high": high, "accuracy_at_first": at_first})
            metrics[f"accuracy_{kind}"] = round(mean, DECIMALS)
            by_step[kind] = rounded(right.mean(dim=0).tolist())
        return Findings(metrics, scores, {"by_step": by_step})

    def facts_of_data(self) -> dict[str, Any]:
        found = super().facts_of_data()
        return {"data": {**found["data"], "title": f"{self.images.title}, then {self.images.other.title}"}}


def _right(task: Projected, found: Rollout) -> Float[Tensor, "episode time"]:
    """1 where an answer is right, else 0: [episode, time] float64 on the CPU."""
    return torch.cat([task.right(logits, episode.y).T.double().cpu() for episode, logits in found])


def _few(right: Tensor) -> int:
    return max(right.shape[1] // LAST, 1)


def _at_last(right: Tensor) -> Float[Tensor, " episode"]:
    return right[:, -_few(right) :].mean(dim=1)


@dataclass(frozen=True)
class TwoDataSets:
    """The data set, and the one that is only tested on, at the same size in pixels."""

    name: str
    size: Count
    other: str


SETTINGS = Sections(data=TwoDataSets, task=declared(Projected, OF_ITS_DATA))
