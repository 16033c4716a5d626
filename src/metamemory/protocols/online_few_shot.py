"""Online few-shot learning: Table 1 of Babu et al. 2021.

A learner is trained on episodes of training classes, the best of its validations is kept, and k-shot accuracy is
measured in a fixed set of episodes of test classes.
"""

from functools import cached_property
from typing import Any

from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import metrics_by_shot, score_rows, stream_example
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.rollout import Rollout, accuracies, example

# rotations multiply the training classes, augmentation crops their images; what is measured is images as they are
AS_THEY_ARE = {"rotations": False, "augment": False}


class OnlineFewShotProtocol(Protocol):
    """A stream of samples of a few classes, each named before its label is shown.

    A stage of the curriculum may be `pretrain`, with the settings of a `SupportQuery`.
    """

    tasks = (OnlineFewShot,)
    pretraining = SupportQuery

    def task(self, split: str, **changes: Any) -> OnlineFewShot:
        return OnlineFewShot(self.splits[split], **{**self.config["task"], **changes})

    @cached_property
    def validation(self) -> OnlineFewShot:
        return self.task("validation", **AS_THEY_ARE)

    @property
    def description(self) -> TaskDescription:
        task = self.config["task"]
        return TaskDescription(tuple(self.images.images.shape[2:]), task["n_way"], task.get("delay", 1))

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Mean accuracy over the shots from the first on."""
        task = self.validation
        by_shot = accuracies(found, task.right, task.samples_per_class).nanmean(dim=0).tolist()
        return sum(by_shot[1:]) / len(by_shot[1:]), {f"accuracy_{k}_shot": each for k, each in enumerate(by_shot)}

    def evaluate(self, learner: Learner) -> Findings:
        test = self.task("test", **AS_THEY_ARE)
        scores = score_rows(accuracies(self.tested(learner, test), test.right, test.samples_per_class))
        shown = stream_example(*example(learner, test, self.test_seed))
        return Findings(metrics_by_shot(scores), scores, shown)
