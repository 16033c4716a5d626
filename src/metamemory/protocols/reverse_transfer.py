"""What a learner keeps of one problem while its rule of learning is trained on another (Munkhdalai and Yu 2017, section
4.3.3 and Figure 4).

    classes of one data set  -->  slow weights W, Q and rule Z, G           its accuracy in tests: before
    permuted images of another    slow weights W', Q' and the same Z, G     trained for n tasks
                                  W, Q and Z, G as they are now             its accuracy in tests: after n

The learner has slow weights of its own for the second problem, and only the rule by which fast weights are written is
trained on both. So what changes in tests of the first problem is what the rule gains or loses.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Generator

from metamemory.errors import UserError
from metamemory.models.fast_weights.exchange import SharesRule
from metamemory.models.learner import Learner
from metamemory.protocols.other_images import facts_of_both, other_images
from metamemory.protocols.protocol import Findings, Row
from metamemory.protocols.records import DECIMALS
from metamemory.protocols.sections import Sections
from metamemory.protocols.support_query import OF_EPISODES, SupportQueryProtocol, accuracy_by_episode
from metamemory.settings import Count, Declared, Several, declared
from metamemory.tasks.permuted import PermutedSupportQuery
from metamemory.tasks.supervised import split_images
from metamemory.training.checkpoint import Checkpoint
from metamemory.training.loop import Stage
from metamemory.training.statistics import bootstrap
from metamemory.training.update import optimiser_of, set_rate, update

SCORES_PLOT = {"title": "Change of accuracy by tasks of the second problem", "x": "tasks", "y": "change"}
SECOND_SEED = 40_000_000  # of the second problem's slow weights and tasks; the run's seed and the repeat are added


@dataclass(frozen=True)
class SecondSettings:
    """The second problem.

    Attributes:
        permutations: orders of the pixels.
        tasks: how many are trained on.
        every: after how many of them the first problem's accuracy is measured.
        repeats: with other slow weights and tasks.
        test_episodes: of each of these measurements, at most those of the test.
    """

    permutations: Count
    tasks: Count
    every: Count
    repeats: Count
    test_episodes: Count


class ReverseTransferProtocol(SupportQueryProtocol):
    """As `SupportQueryProtocol`, and then `second`, for which `data.other` has the images.

    `scores` has a row after every so many tasks of the second problem: `change` of the first problem's accuracy in
    tests, the mean over repeats with its interval, and `second_accuracy` in training. The second training is at the
    rate of the first, without a warm-up or an end. It is done after the first: where it is interrupted, the repeat that
    was under way begins anew.
    """

    def require_fitting(self, curriculum: list[Stage]) -> None:
        super().require_fitting(curriculum)
        if not issubclass(self.learner_class, SharesRule):
            raise UserError(f"{self.config['learner']}: it has no rule that could be shared with another problem")
        second = self.second
        if second.tasks < second.every:
            raise UserError(f"second.every is {second.every}, but there are {second.tasks} tasks; at most so many")
        _ = self.second_task  # what is wrong with its images is told before training

    @cached_property
    def second(self) -> SecondSettings:
        return SecondSettings(**self.config["second"])

    @cached_property
    def second_task(self) -> PermutedSupportQuery:
        """Of images for training."""
        other, task = other_images(self.images), self.config["task"]
        images = split_images(other.images, len(other.images)).train.to(self.context.device)
        return PermutedSupportQuery(
            images,
            self.second.permutations,
            n_way=task["n_way"],
            k_shot=task["k_shot"],
            n_query=task["n_query"],
            labels=self.description.labels.n_way,
        )

    def evaluate(self, learner: Learner) -> Findings:
        found = super().evaluate(learner)
        scores = []
        for number, rows in enumerate(zip(*self._repeats(learner), strict=True), start=1):
            change, second = np.array(rows).T
            interval = bootstrap(change, over="repeats")
            row: Row = {"tasks": number * self.second.every, "change": interval.mean}
            scores.append({**row, "low": interval.low, "high": interval.high, "second_accuracy": second.mean()})
        metrics = {**found.metrics, "change_at_the_end": round(scores[-1]["change"], DECIMALS)}
        return Findings(metrics, scores, found.example, {**found.facts, "second_repeats": self.second.repeats})

    def facts_of_data(self) -> dict[str, Any]:
        return facts_of_both(super().facts_of_data(), self.images)

    def _repeats(self, learner: Learner) -> list[list[tuple[float, float]]]:
        """What each repeat finds. Those that are done are kept in the checkpoint of the first training, if there is
        one."""
        path, state = self.context.checkpoint, {}
        if path.is_file():
            _, state = next(Checkpoint(path).states(self.context.device), (path, {}))
        done, before = state.get("repeats", []), self._accuracy(learner)
        while len(done) < self.second.repeats:
            done.append(list(self._repeat(learner, len(done), before)))
            if state:
                Checkpoint(path).write({**state, "repeats": done})
            print(f"second problem: {len(done)} of {self.second.repeats} repeats", flush=True)
        return done

    def _repeat(self, learner: Learner, repeat: int, before: float) -> Iterator[tuple[float, float]]:
        """After every so many tasks: change of the first problem's accuracy, and accuracy in training since the last
        time."""
        seed = SECOND_SEED + 1000 * self.seed + repeat
        first = copy.deepcopy(learner)
        second = first.for_another_problem(seed).train()
        settings = replace(self.settings, batch_size=1, warmup=0, cooldown=0.0)
        optimiser = optimiser_of(second, settings, settings.learning_rate)
        set_rate(optimiser, settings.learning_rate)
        generator = Generator(self.context.device).manual_seed(seed)
        since = torch.zeros((), device=self.context.device)
        for number in range(1, self.second.tasks + 1):
            since += update(second, self.second_task, settings, optimiser, generator).accuracy
            if number % self.second.every == 0:
                yield self._accuracy(first) - before, since.item() / self.second.every
                since.zero_()

    def _accuracy(self, learner: Learner) -> float:
        """Of the first problem, in tests."""
        episodes = min(self.second.test_episodes, self.config["evaluation"]["episodes"])
        batch, test = self.config["evaluation"]["batch_size"], self.task("test", **self.tests[0])
        return accuracy_by_episode(self.rollout(learner, test, episodes, batch, self.test_seed)).mean().item()


SETTINGS = Sections(
    task=OF_EPISODES,
    own={"test": Declared(Several(OF_EPISODES)), "second": Declared(declared(SecondSettings))},
)
