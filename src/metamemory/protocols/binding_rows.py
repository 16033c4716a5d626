"""A memory that is not wiped between episodes: section 4.2.1 and Figure 3 of Santoro et al. 2016."""

from typing import Any

import torch

from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols.binding import SHOTS, BindingProtocol, describe
from metamemory.protocols.protocol import Findings
from metamemory.protocols.records import metrics_by_shot, score_rows
from metamemory.protocols.sections import OF_ITS_DATA, Sections
from metamemory.settings import Declared, declared
from metamemory.tasks.binding import Binding
from metamemory.tasks.persistent_binding import PersistentBinding
from metamemory.training.rollout import accuracy_by_shot


class BindingRowsProtocol(BindingProtocol):
    """Rows of episodes; the section `rows` has `row` and `wiped` of `PersistentBinding`.

    What counts are the episodes of a row after its first, in which there is something to interfere; accuracy by the
    episode's place in the row is `by_place` of the example.
    """

    tasks = (Binding, PersistentBinding)

    def task(self, split: str, **changes: Any) -> PersistentBinding:
        return PersistentBinding(super().task(split, **changes), **self.config["rows"])

    @property
    def description(self) -> TaskDescription:
        return describe(self.validation.episodes)

    def evaluate(self, learner: Learner) -> Findings:
        test = self.task("test")
        found = []
        for episode, logits in self.tested(learner, test):
            parts = zip(*map(test.split_episodes, (test.right(logits, episode.y), episode.shot)), strict=True)
            found.append(
                torch.stack([accuracy_by_shot(right, shot, torch.ones_like(right), SHOTS) for right, shot in parts])
            )
        by_place = torch.cat(found, dim=1)  # [place, row, shot]
        scores = score_rows((by_place[1:] if len(by_place) > 1 else by_place).nanmean(dim=0))
        shown = {"by_place": [each.nanmean(dim=0).nan_to_num().tolist() for each in by_place]}
        return Findings(metrics_by_shot(scores), scores, shown)


SETTINGS = Sections(
    task=declared(Binding, OF_ITS_DATA), own={"rows": Declared(declared(PersistentBinding, OF_ITS_DATA))}
)
