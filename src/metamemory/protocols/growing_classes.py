"""More and more classes: section 4.2.2 and Figure 4 of Santoro et al. 2016."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from torch import Tensor

from metamemory.models.learner import Learner
from metamemory.protocols.binding import SHOTS, BindingProtocol
from metamemory.protocols.protocol import Findings
from metamemory.protocols.records import DECIMALS, metrics_by_shot, score_rows
from metamemory.protocols.sections import EvaluationSettings, Sections
from metamemory.settings import Count, Declared, Items
from metamemory.tasks.binding import Binding
from metamemory.training.loop import Stage
from metamemory.training.rollout import accuracies

STEPS_PER_CLASS = 10  # of an episode


class GrowingClassesProtocol(BindingProtocol):
    """Training on ever more classes, tests on many more.

    `task` is without n_way and length. `classes` says how many classes there are at `first` and at `last`, and after
    how many episodes there is one more (`every`); the stages of `curriculum` come before them. `evaluation` has
    `classes` too, a list. An episode has ten steps a class. Validation is with as many classes as training ends with.
    """

    def curriculum(self) -> list[Stage]:
        before = [self.stage(**changes) for changes in self.config["curriculum"]]
        first, last, every = (self.config["classes"][name] for name in ("first", "last", "every"))
        return [*before, *(Stage(self._of("train", n_way), every) for n_way in range(first, last + 1))]

    @cached_property
    def validation(self) -> Binding:
        return self._of("validation", self.config["classes"]["last"])

    def evaluate(self, learner: Learner) -> Findings:
        classes = self.config["evaluation"]["classes"]
        by_classes = {n_way: self._accuracy(learner, n_way).nanmean(dim=0).nan_to_num().tolist() for n_way in classes}
        scores = score_rows(self._accuracy(learner, self.config["classes"]["last"]))
        more = {f"accuracy_1_shot_{n_way}_way": round(each[1], DECIMALS) for n_way, each in by_classes.items()}
        return Findings(metrics_by_shot(scores) | more, scores, {"by_classes": by_classes})

    def _of(self, split: str, n_way: int) -> Binding:
        return self.task(split, n_way=n_way, length=STEPS_PER_CLASS * n_way)

    def _accuracy(self, learner: Learner, n_way: int) -> Tensor:
        """[episode, shot] in tests with so many classes."""
        test = self._of("test", n_way)
        return accuracies(self.tested(learner, test), test.right, SHOTS)


@dataclass(frozen=True)
class ClassesSettings:
    """How many classes there are at `first` and at `last`, and after how many episodes there is one more."""

    first: Count
    last: Count
    every: Count


@dataclass(frozen=True)
class GrowingEvaluation(EvaluationSettings):
    """The tests: episodes and batch_size of each, and with how many classes each is."""

    classes: Annotated[list[Count], Items(1, distinct=True)]


SETTINGS = Sections(
    given=("n_way", "length"),
    evaluation=GrowingEvaluation,
    own={"classes": Declared(ClassesSettings)},
    curriculum=True,
)
