"""Standard supervised learning: section 4.5 and Table 5 of Babu et al. 2021.

A network is trained on labelled images of the classes that it is tested on, the best of its validations is kept, and
accuracy is measured on all test images.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols import facts
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS, encoded, rounded
from metamemory.protocols.sections import Sections
from metamemory.settings import Count, declared
from metamemory.shapes import Float, Int
from metamemory.tasks.supervised import ImageSplits, Normalisation, Supervised, split_images
from metamemory.training.loop import Stage
from metamemory.training.rollout import Rollout, answered
from metamemory.training.statistics import bootstrap

TITLES = {"CIFAR-FS": "CIFAR-100"}  # one data set: CIFAR-FS splits its classes, here the images of each are split
EXAMPLES = 12  # test images that are shown with the answers to them
SCORES_PLOT = None  # one row


class SupervisedProtocol(Protocol):
    """Images of known classes. What are episodes elsewhere are images here; `data` has no split."""

    tasks = (Supervised,)
    answers = ("image",)

    @cached_property
    def splits(self) -> ImageSplits:
        """Images of each split, on the CPU: uint8 [class, image, channel, height, width]."""
        return split_images(self.images.images, self.config["task"]["n_way"])

    def task(self, split: str, **changes: Any) -> Supervised:
        images = getattr(self.splits, split).to(self.context.device)
        return Supervised(images, self._normalisation, **changes)

    def curriculum(self) -> list[Stage]:
        return [Stage(self.task("train", augment=self.config["task"]["augment"]))]

    @cached_property
    def validation(self) -> Supervised:
        images = _at_most(self.splits.validation, self.settings.validation_episodes)
        return Supervised(images.to(self.context.device), self._normalisation)

    @property
    def description(self) -> TaskDescription:
        return TaskDescription(tuple(self.images.images.shape[2:]), self.config["task"]["n_way"])

    def rollout(self, learner: Learner, task: Supervised, episodes: int, batch_size: int, seed: int) -> Rollout:
        """Every image once, in order."""
        return answered(learner, task.in_order(self.config["evaluation"]["batch_size"]), task.answer)

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Accuracy; and the loss."""
        logits, y = together(found)
        accuracy = (logits.argmax(dim=-1) == y).double().mean().item()
        return accuracy, {"accuracy": accuracy, "validation_loss": fn.cross_entropy(logits, y).item()}

    def evaluate(self, learner: Learner) -> Findings:
        test = self.task("test")
        logits, y = together(self.rollout(learner, test, len(test), 0, 0))
        accuracy = bootstrap((logits.argmax(dim=-1) == y).double().cpu(), over="images")
        row = {"shot": 0, "accuracy": accuracy.mean, "low": accuracy.low, "high": accuracy.high}
        of_run = {
            "used_parameters": learner.used_parameters,
            "training_images": len(self.splits.train) * self.splits.train.shape[1],
        }
        return Findings({"accuracy": round(accuracy.mean, DECIMALS)}, [row], self._example(learner), of_run)

    def facts_of_data(self) -> dict[str, Any]:
        described = facts.of_data(self.images, self.config["data"]["size"])
        for name, title in TITLES.items():
            described["data"]["title"] = described["data"]["title"].replace(name, title)
        return described

    def facts_of_test(self) -> dict[str, Any]:
        test = self.splits.test
        return {"test_episodes": len(test) * test.shape[1], "interval": "95 % bootstrap over test images"}

    @cached_property
    def _normalisation(self) -> Normalisation:
        return Normalisation.of(self.splits.train.to(self.context.device))

    def _example(self, learner: Learner) -> dict[str, Any]:
        """The first test image of some classes, evenly spread, what it is, and what the learner takes it for.

        `x` is base64 of uint8 [image, channel, height, width] with shape `x_shape`; `probability` is of `answer`.
        """
        images, classes = self.splits.test, self.images.classes
        n_way = len(images)
        shown = torch.arange(min(EXAMPLES, n_way)) * n_way // min(EXAMPLES, n_way)
        few = Supervised(images[shown, :1].to(self.context.device), self._normalisation)
        (_, logits), *_ = answered(learner, few.in_order(len(shown)), few.answer)
        probability, answer = logits[0].softmax(dim=-1).max(dim=-1)
        x = images[shown, 0]
        return {
            "x": encoded(x),
            "x_shape": list(x.shape),
            "y": [classes[each] for each in shown],
            "answer": [classes[each] for each in answer],
            "probability": rounded(probability.tolist()),
        }


def together(found: Rollout) -> tuple[Float[Tensor, "image n_way"], Int[Tensor, " image"]]:
    """Logits [image, n_way] and labels [image] of batches of images."""
    logits, y = zip(*((logits[0], episode.y[0]) for episode, logits in found), strict=True)
    return torch.cat(logits), torch.cat(y)


def _at_most(images: Tensor, count: int) -> Tensor:
    """As many of each class, evenly spread, as make no more than `count` together, and at least one."""
    n_way, per_class = images.shape[:2]
    kept = max(1, min(per_class, count // n_way))
    return images[:, torch.arange(kept) * per_class // kept]


@dataclass(frozen=True)
class ImagesSettings:
    """The data set: its name, and the size of its images in pixels. Images of each class are split, not classes."""

    name: str
    size: Count


@dataclass(frozen=True)
class SupervisedSettings:
    """The task: how many classes, and whether training images are augmented."""

    n_way: Count
    augment: bool


@dataclass(frozen=True)
class SupervisedEvaluation:
    """The test, of all test images: how many at a time."""

    batch_size: Count


SETTINGS = Sections(data=ImagesSettings, task=declared(SupervisedSettings), evaluation=SupervisedEvaluation)
