"""Online continual learning: section 4.3, Figures 3 and 4 of Babu et al. 2021, and what is left of the first subtask.

A learner is trained on tasks of more and more subtasks, the best of its validations is kept, and what it knows of every
subtask is measured as later ones come, in a fixed set of tasks of test classes. A row of the accuracies is of the
queries of subtasks `first` to `last`, asked after `seen` subtasks:

    Figure 3        seen = n, subtasks 1 to n               how much is known of all
    Figure 4        seen = 20, subtask i alone              how much of each, after the last
    forgetting      seen = n, subtask 1 alone               how much of the first, as later ones come
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metamemory.errors import UserError
from metamemory.models import build
from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS, rounded
from metamemory.protocols.sections import EvaluationSettings, Sections
from metamemory.settings import Count
from metamemory.tasks.continual import Continual
from metamemory.tasks.episode import Episode
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.loop import Stage
from metamemory.training.rollout import Rollout, example, rollout
from metamemory.training.statistics import bootstrap

AS_THEY_ARE = {"rotations": False, "augment": False}
SCORES_PLOT = {"title": "Accuracy after so many subtasks", "x": "seen", "y": "accuracy"}


class ContinualProtocol(Protocol):
    """One class after the other, then queries of all.

    `curriculum` has all stages of training: changes to the task, or `pretrain` with the settings of a `SupportQuery`;
    and `episodes`, but for the last. `evaluation` has episodes, batch_size, n_query, and `longer`: subtasks, every,
    episodes, batch_size of tasks longer than those trained on.
    """

    tasks = (Continual,)
    pretraining = SupportQuery

    def task(self, split: str, **changes: Any) -> Continual:
        return Continual(self.splits[split], **{**self.config["task"], **changes})

    def curriculum(self) -> list[Stage]:
        if not self.config["curriculum"]:
            raise UserError("curriculum has no stage; name at least one, as `- {subtasks: 5}`")
        return [self.stage(**changes) for changes in self.config["curriculum"]]

    @cached_property
    def validation(self) -> Continual:
        return self.task("validation", **AS_THEY_ARE, n_query=self.config["evaluation"]["n_query"])

    @property
    def description(self) -> TaskDescription:
        task = self.config["task"]
        return TaskDescription(tuple(self.images.images.shape[2:]), task["n_way"], task.get("delay", 1))

    def rollout(self, learner: Learner, task: Continual, episodes: int, batch_size: int, seed: int) -> Rollout:
        """What is known of each subtask after the last: [1, subtask, batch] (see `Continual.retained`)."""
        return rollout(learner, task, episodes, batch_size, seed, partial(task.retained, moments=[task.subtasks]))

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Accuracy over all subtasks after the last."""
        accuracy = float(_stacked(found).mean())
        return accuracy, {"accuracy": accuracy}

    def evaluate(self, learner: Learner) -> Findings:
        evaluation = self.config["evaluation"]
        test = self.task("test", **AS_THEY_ARE, n_query=evaluation["n_query"])
        moments = range(1, test.subtasks + 1)
        known = self._known(learner, test, moments, evaluation)
        rows, beyond = _rows(known, moments), self._longer(learner)
        further = [row for row in beyond if row["last"] == row["seen"]]
        metrics = _metrics(rows, test.subtasks) | {
            f"accuracy_{row['seen']}_subtasks": round(row["accuracy"], DECIMALS) for row in further
        }
        shown = _example(test, *example(learner, test, self.test_seed, partial(_one_of_each, test)), known)
        facts = {"longest_test": beyond[-1]["seen"] if beyond else test.subtasks}
        return Findings(metrics, rows + beyond, shown, facts)

    def _known(
        self, learner: Learner, test: Continual, moments: Sequence[int], budget: Mapping[str, Any]
    ) -> np.ndarray:
        """[episode, moment, subtask] accuracy, nan for subtasks yet to come."""
        answer = partial(test.retained, moments=moments)
        return _stacked(rollout(learner, test, budget["episodes"], budget["batch_size"], self.test_seed, answer))

    def _longer(self, learner: Learner) -> list[Row]:
        """Rows of tasks longer than those trained on; none where the learner's weights are for fewer labels.

        Where no weight belongs to a label, the same weights make a learner that knows more of them.
        """
        longer, task = self.config["evaluation"]["longer"], self.config["task"]
        n_way = max(longer["subtasks"], task["n_way"])
        description = TaskDescription(self.description.input_shape, n_way, self.description.delay)
        wide = build(self.config["learner"], description, self.config.get("model", {})).to(self.context.device)
        weights, needed = learner.state_dict(), wide.state_dict()
        if any(weights[name].shape != needed[name].shape for name in needed):
            return []
        wide.load_state_dict(weights)
        test = self.task("test", **AS_THEY_ARE, n_way=n_way, subtasks=longer["subtasks"], n_query=1)
        moments = range(longer["every"], longer["subtasks"] + 1, longer["every"])
        rows = _rows(self._known(wide, test, moments, longer), moments)
        rows = [row for row in rows if row["first"] == 1 and row["last"] in (1, row["seen"])]
        return [row for row in rows if row["seen"] > task["subtasks"]]


def _stacked(found: Rollout) -> np.ndarray:
    """What is known in batches of episodes, each [moment, subtask, batch], as [episode, moment, subtask]."""
    return torch.cat([known.permute(2, 0, 1) for _, known in found]).numpy()


def _rows(known: np.ndarray, moments: Sequence[int]) -> list[Row]:
    """The rows of all that figures show, with intervals over episodes, from [episode, moment, subtask]."""
    rows = []
    for at, seen in enumerate(moments):
        spans = {(1, seen), (1, 1)}
        if seen == known.shape[2]:
            spans |= {(subtask, subtask) for subtask in range(1, seen + 1)} | {(1, max(seen - 1, 1))}
        for first, last in sorted(spans):
            mean, low, high, _ = bootstrap(known[:, at, first - 1 : last].mean(axis=1), over="episodes")
            rows.append({"seen": seen, "first": first, "last": last, "accuracy": mean, "low": low, "high": high})
    return rows


def _metrics(rows: Sequence[Row], subtasks: int) -> Row:
    """Accuracies of all subtasks at every fifth length; and of the ends of the longest task."""
    at = {(row["seen"], row["first"], row["last"]): round(row["accuracy"], DECIMALS) for row in rows}
    lengths = [n for n in range(1, subtasks + 1) if n % 5 == 0 or n == subtasks]
    return {f"accuracy_{n}_subtasks": at[n, 1, n] for n in lengths} | {
        "accuracy_but_the_last": at[subtasks, 1, max(subtasks - 1, 1)],
        "accuracy_of_the_last": at[subtasks, subtasks, subtasks],
        "accuracy_of_the_first_at_once": at[1, 1, 1],
        "accuracy_of_the_first_at_the_end": at[subtasks, 1, 1],
    }


def _one_of_each(test: Continual, learner: Learner, episode: Episode) -> Tensor:
    """Logits of one query of each subtask, after the last: [subtask, batch, n_way]."""
    state = learner.absorb(episode.x, episode.y_seen, learner.initial_state(episode.x.shape[1]))
    return learner.predict(episode.query_x[: test.subtasks], state)


def _example(test: Continual, episode: Episode, logits: Tensor, known: np.ndarray) -> dict[str, Any]:
    """`y`, the label of each subtask of the first test episode in order, and `probability`, that given to every label
    [subtask][label] when one query of the subtask is asked after the last. And over all test episodes, `known`:
    accuracy [seen][subtask] for the subtasks seen."""
    return {
        "y": episode.query_y[: test.subtasks, 0].tolist(),
        "probability": rounded(logits[:, 0].softmax(dim=-1).tolist()),
        "known": [rounded(row[: at + 1]) for at, row in enumerate(known.mean(axis=0).tolist())],
    }


@dataclass(frozen=True)
class LongerSettings(EvaluationSettings):
    """Tasks longer than those trained on: how many subtasks, and after every how many it is asked what is known."""

    subtasks: Count
    every: Count


@dataclass(frozen=True)
class ContinualEvaluation(EvaluationSettings):
    """The test: episodes, batch_size, queries of each class, and tasks longer than those trained on."""

    n_query: Count
    longer: LongerSettings


SETTINGS = Sections(evaluation=ContinualEvaluation, curriculum=True)
