"""Binding images to labels: Tables 1 and 2, Figure 2 of Santoro et al. 2016.

A learner is trained on episodes of training classes, the best of its validations is kept, and its accuracy by shot is
measured in a fixed set of episodes of test classes. The paper counts instances: its "2nd instance" is the second image
of a class, after one label of it was shown, which is shot 1 here. Test episodes are drawn as training episodes are,
quarter turns and all, as in the paper.

Of a learner whose memory can be looked into, what it did in a test episode is kept too (`analysis.memory`).
"""

from typing import Any

from metamemory.analysis import memory
from metamemory.models.learner import Learner, TaskDescription
from metamemory.nn.labels import Characters
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import metrics_by_shot, score_rows, stream_example
from metamemory.tasks.binding import ALPHABET, STRING, Binding
from metamemory.training.rollout import Rollout, accuracies, example

SHOTS = 10  # that are measured: from 0 to 9


class BindingProtocol(Protocol):
    """A stream of images whose classes come at random. Labels are classes, or strings of characters."""

    tasks = (Binding,)

    def task(self, split: str, **changes: Any) -> Binding:
        return Binding(self.splits[split], **{**self.config["task"], **changes})

    @property
    def description(self) -> TaskDescription:
        return describe(self.validation)

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Mean accuracy over the shots from the first on."""
        by_shot = accuracies(found, self.validation.right, SHOTS).nanmean(dim=0)
        return by_shot[1:].nanmean().item(), {f"accuracy_{k}_shot": each for k, each in enumerate(by_shot.tolist())}

    def evaluate(self, learner: Learner) -> Findings:
        test = self.task("test")
        scores = score_rows(accuracies(self.tested(learner, test), test.right, SHOTS))
        episode, logits = example(learner, test, self.test_seed)
        shown = stream_example(episode, logits)
        if learner.traces_memory:
            shown |= memory.of_episode(learner, episode)
            shown |= memory.retrieval(learner, test, seed=self.test_seed)
        return Findings(metrics_by_shot(scores), scores, shown)


def describe(task: Binding) -> TaskDescription:
    """What a learner of this task is told of it."""
    return TaskDescription(task.input_shape, Characters(STRING, ALPHABET) if task.strings else task.n_way)
