"""Two tasks in a row, of two data sets (Irie et al. 2022, section 4.2).

A learner is trained on episodes of training classes, in which either data set comes first; the best of its validations
is kept; and its accuracy at every step is measured in two fixed sets of episodes of test classes, one an order.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from metamemory.errors import UserError
from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS, rounded, stream_example
from metamemory.protocols.sections import OF_ITS_DATA, Sections
from metamemory.settings import Declared, declared
from metamemory.shapes import Float
from metamemory.tasks.supervised import Normalisation
from metamemory.tasks.two_tasks import TwoTasks
from metamemory.training.rollout import Rollout, example, sampled
from metamemory.training.statistics import bootstrap

AS_THEY_ARE = {"rotations": False, "augment": False, "left_out": 0}
TESTED = ("one_first", "other_first")
SCORES_PLOT = {"title": "Accuracy of the first and of the second task", "x": "second", "y": "accuracy"}


@dataclass(frozen=True)
class OtherSettings:
    """The second data set, `data.other`: how its classes are split."""

    split: str


class TwoTasksProtocol(Protocol):
    """`data.other` names the second data set, `other.split` its split. Where one has grey images and the other coloured
    ones, grey is made a colour. The images of each are normalised by those for training.

    `scores` has a row an order and a task: `other_first` is 1 where the second data set comes first, `second` 1 for the
    later task. `by_step` of the example is the accuracy at every step, over all test episodes of an order.
    """

    tasks = (TwoTasks,)

    @cached_property
    def splits(self) -> dict[str, Tensor]:
        """Of the first data set, with as many channels as those of the second."""
        return {name: self._coloured(each) for name, each in super().splits.items()}

    @cached_property
    def others(self) -> dict[str, Tensor]:
        """Of the second."""
        other, split = self._other, self.config["other"]["split"]
        if split not in other.splits:
            raise UserError(f"other.split is {split!r}; {other.name} has {', '.join(other.splits)}")
        images = {name: other.images[classes] for name, classes in other.splits[split].items()}
        return {name: self._coloured(each.to(self.context.device)) for name, each in images.items()}

    @property
    def _other(self) -> Any:
        if self.images.other is None:
            raise UserError("data.other is missing; name a second data set, as `other: cifar_fs`")
        return self.images.other

    @cached_property
    def _channels(self) -> int:
        return max(each.images.shape[2] for each in (self.images, self._other))

    def _coloured(self, images: Tensor) -> Tensor:
        """Images of one channel with as many as the others have."""
        return images.expand(-1, -1, self._channels, -1, -1) if images.shape[2] == 1 else images

    def task(self, split: str, **changes: Any) -> TwoTasks:
        settings = {"normalisations": self.normalisations, **self.config["task"], **changes}
        return TwoTasks(self.splits[split], self.others[split], **settings)

    @cached_property
    def normalisations(self) -> tuple[Normalisation, Normalisation]:
        """Of the training images of each data set."""
        return Normalisation.of(self.splits["train"]), Normalisation.of(self.others["train"])

    @cached_property
    def validation(self) -> TwoTasks:
        return self.task("validation", **AS_THEY_ARE)

    @property
    def description(self) -> TaskDescription:
        task = self.config["task"]
        shape = (self._channels, *self.images.images.shape[3:])
        return TaskDescription(shape, task["n_way"], task.get("delay", 1))

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Accuracy over all steps; and over those of each task."""
        right, switch = right_answers(self.validation, found), self.validation.switch
        first, second = right[:, :switch].mean().item(), right[:, switch:].mean().item()
        return (first + second) / 2, {"accuracy_first": first, "accuracy_second": second}

    def evaluate(self, learner: Learner) -> Findings:
        metrics: Row = {}
        scores: list[Row] = []
        by_step = {}
        for other_first, order in enumerate(TESTED):
            test = self.task("test", **AS_THEY_ARE, order=order)
            right = right_answers(test, self.tested(learner, test))
            by_step[order] = rounded(right.mean(dim=0).tolist())
            for second, steps in enumerate((right[:, : test.switch], right[:, test.switch :])):
                mean, low, high, _ = bootstrap(steps.mean(dim=1), over="episodes")
                scores.append(
                    {"other_first": other_first, "second": second, "accuracy": mean, "low": low, "high": high}
                )
                metrics[f"accuracy_{'second' if second else 'first'}_{order}"] = round(mean, DECIMALS)
        return Findings(metrics, scores, {**self._shown(learner), "by_step": by_step})

    def _shown(self, learner: Learner) -> dict[str, Any]:
        """The first episode of the first order, with its images as other tasks have them."""
        settings = {**AS_THEY_ARE, "order": TESTED[0]}
        episode, logits = example(learner, self.task("test", **settings), self.test_seed)
        (plain,) = sampled(self.task("test", **settings, normalisations=None), 1, 1, self.test_seed)
        return stream_example(replace(episode, x=plain.x), logits)

    def facts_of_data(self) -> dict[str, Any]:
        found = super().facts_of_data()
        return {"data": {**found["data"], "title": f"{self.images.title} and {self._other.title}"}}


def right_answers(task: TwoTasks, found: Rollout) -> Float[Tensor, "episode time"]:
    """1 where an answer is right, else 0: [episode, time] float64 on the CPU."""
    return torch.cat([task.right(logits, episode.y).T.double().cpu() for episode, logits in found])


SETTINGS = Sections(task=declared(TwoTasks, OF_ITS_DATA), own={"other": Declared(declared(OtherSettings))})
