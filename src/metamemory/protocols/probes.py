"""What a trained learner of support and query sets does beyond the test that it was trained for, without training.

Accuracy against shots, and against ways; on classes of another data set, where the configuration names one;
calibration; operations; and what comes of a support set that is altered in one of these ways:

    order           its samples come in another order
    labels          its labels are renamed, all alike: answers should be renamed, and nothing else
    wrong_label     one sample has the label of another class
    duplicate       one sample is there twice
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, NamedTuple

import torch
from torch import Generator, Tensor

from metamemory.analysis.state import calibration_error
from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols.protocol import Findings, Row
from metamemory.protocols.records import DECIMALS
from metamemory.protocols.sections import OF_ITS_DATA, Sections, SplitOrNot
from metamemory.protocols.support_query import AS_THEY_ARE, SupportQueryProtocol, accuracy_by_episode, score_row
from metamemory.settings import Count, Declared, Items, declared
from metamemory.tasks.episode import SupportQueryEpisode
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.flops import flops_of
from metamemory.training.statistics import bootstrap

SCORES_PLOT = {"title": "Accuracy of queries by shot", "x": "k_shot", "y": "accuracy"}


class ProbesProtocol(SupportQueryProtocol):
    """Tests of a learner whose weights are those of the file in the context (`trained`).

    `probes` has `n_way` and `n_query` of all tests but those of `ways`; `shots` and `ways`, lists; and `k_shot`, of the
    support sets that are altered. A learner with weights for its labels can have no more `ways` than it was trained
    with, which are those of `task`.
    """

    trains = False

    @cached_property
    def splits(self) -> dict[str, Tensor]:
        """As in `Protocol`; of a data set without a split all classes are tested on."""
        if self.config["data"].get("split") is not None:
            return super().splits
        return dict.fromkeys(("train", "validation", "test"), self.images.images.to(self.context.device))

    @property
    def probes(self) -> "Probes":
        return Probes(**self.config["probes"])

    @property
    def description(self) -> TaskDescription:
        ways = max(self.config["task"]["n_way"], self.probes.n_way, *self.probes.ways)
        return TaskDescription(tuple(self.images.images.shape[2:]), ways)

    @cached_property
    def validation(self) -> SupportQuery:
        return self.test(1, self.probes.n_way)

    def test(self, k_shot: int, n_way: int) -> SupportQuery:
        """On images of test classes, as they are."""
        return self.task("test", n_way=n_way, k_shot=k_shot, n_query=self.probes.n_query, classes=None, **AS_THEY_ARE)

    def evaluate(self, learner: Learner) -> Findings:
        n_way = self.probes.n_way
        pairs = [(n_way, k_shot) for k_shot in self.probes.shots] + [(ways, 1) for ways in self.probes.ways]
        scores = []
        for ways, k_shot in dict.fromkeys(pairs):
            test = self.test(k_shot, ways)
            scores.append(score_row(test, bootstrap(accuracy_by_episode(self.tested(learner, test)), over="episodes")))
        metrics: Row = {f"accuracy_{row['n_way']}_way_{row['k_shot']}_shot": row["accuracy"] for row in scores}
        metrics |= self._calibration(learner) | self._altered(learner)
        rounded = {name: round(each, DECIMALS) for name, each in metrics.items()}
        return Findings({**rounded, **operations(learner, n_way)}, scores)

    def _calibration(self, learner: Learner) -> Row:
        """With one shot: how sure the learner is of its answers, and by how much that is wrong."""
        confidence, right = [], []
        for episode, logits in self.tested(learner, self.test(1, self.probes.n_way)):
            sure, answer = logits.softmax(dim=-1).max(dim=-1)
            confidence.append(sure.flatten().cpu())
            right.append((answer == episode.query_y).flatten().cpu())
        sure = torch.cat(confidence)
        return {"confidence": sure.mean().item(), "calibration_error": calibration_error(sure, torch.cat(right))}

    def _altered(self, learner: Learner) -> Row:
        """Accuracy with each alteration of the support set, and the share of answers that are others for it."""
        test = self.test(self.probes.k_shot, self.probes.n_way)
        names = {"accuracy_unaltered": 0.0} | {
            f"{what}_{name}": 0.0 for name in ALTER for what in ("accuracy", "changed")
        }
        count = 0
        for number, (episode, logits) in enumerate(self.tested(learner, test)):
            generator = Generator(test.device).manual_seed(self.test_seed + number)
            before, episodes = logits.argmax(dim=-1), episode.query_y.shape[1]
            names["accuracy_unaltered"] += episodes * (before == episode.query_y).double().mean().item()
            for name, alter in ALTER.items():
                altered = alter(episode, self.description.labels.n_way, generator)
                with torch.no_grad():
                    after = test.answer(learner, altered.episode).argmax(dim=-1)
                right, same = after == altered.episode.query_y, after == altered.names.gather(0, before)
                names[f"accuracy_{name}"] += episodes * right.double().mean().item()
                names[f"changed_{name}"] += episodes * (~same).double().mean().item()
            count += episodes
        return {name: each / count for name, each in names.items()}


class Altered(NamedTuple):
    """An altered episode, and what each label is called in it, [labels, batch] int64."""

    episode: SupportQueryEpisode
    names: Tensor


def _names(episode: SupportQueryEpisode, labels: int) -> Tensor:
    return torch.arange(labels, device=episode.support_y.device)[:, None].expand(-1, episode.support_y.shape[1])


def in_another_order(episode: SupportQueryEpisode, labels: int, generator: Generator) -> Altered:
    """The support samples of all episodes in one other order."""
    order = torch.randperm(len(episode.support_y), generator=generator, device=generator.device)
    x, y = episode.support_x[order], episode.support_y[order]
    return Altered(replace(episode, support_x=x, support_y=y), _names(episode, labels))


def with_other_labels(episode: SupportQueryEpisode, labels: int, generator: Generator) -> Altered:
    """Each label that an episode has has the name of the next of these."""
    names = _names(episode, labels).clone()
    for b, own in enumerate(episode.support_y.unbind(dim=1)):
        there = own.unique()
        names[there, b] = there.roll(-1)
    y, query_y = (names.gather(0, each) for each in (episode.support_y, episode.query_y))
    return Altered(replace(episode, support_y=y, query_y=query_y), names)


def with_a_wrong_label(episode: SupportQueryEpisode, labels: int, generator: Generator) -> Altered:
    """The first sample has the label of the first sample of another class."""
    y = episode.support_y.clone()
    other = (y != y[0]).int().argmax(dim=0)  # [batch]
    y[0] = y.gather(0, other[None])[0]
    return Altered(replace(episode, support_y=y), _names(episode, labels))


def with_a_duplicate(episode: SupportQueryEpisode, labels: int, generator: Generator) -> Altered:
    """The first sample comes again, at the end."""
    x, y = (torch.cat([each, each[:1]]) for each in (episode.support_x, episode.support_y))
    return Altered(replace(episode, support_x=x, support_y=y), _names(episode, labels))


ALTER: dict[str, Callable[[SupportQueryEpisode, int, Generator], Altered]] = {
    "order": in_another_order,
    "labels": with_other_labels,
    "wrong_label": with_a_wrong_label,
    "duplicate": with_a_duplicate,
}


def operations(learner: Learner, n_way: int) -> dict[str, int]:
    """FLOPs to adapt to a support set of one sample a class, and to answer one query more."""

    def of(queries: int) -> int:
        shape = learner.input_shape
        support, query = (torch.empty(each, 1, *shape, device="meta") for each in (n_way, queries))
        y = torch.zeros(n_way, 1, dtype=torch.int64, device="meta")
        return flops_of(learner, lambda ghost: ghost.answer_queries(support, y, query))

    one, two = of(1), of(2)
    return {"flops_to_adapt": 2 * one - two, "flops_to_answer": two - one}


@dataclass(frozen=True)
class Probes:
    """The tests: see `ProbesProtocol`."""

    shots: Annotated[list[Count], Items(1, distinct=True)]
    ways: Annotated[list[Count], Items(1, distinct=True)]
    n_way: Count = 5
    k_shot: Count = 5
    n_query: Count = 1


SETTINGS = Sections(
    data=SplitOrNot,
    task=declared(SupportQuery, (*OF_ITS_DATA, "labels")),
    own={"trained": Declared(str), "probes": Declared(Probes)},
)
