"""Few-shot classification with a support and a query set (Vinyals et al. 2016; Snell et al. 2017; Finn et al. 2017).

A learner is trained on episodes of training classes, the best of its validations is kept, and its accuracy on the
queries is measured in a fixed set of episodes of test classes, at least 600 of them where a number is claimed.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from metamemory.errors import UserError
from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS, encoded, rounded
from metamemory.protocols.sections import OF_ITS_DATA, Sections
from metamemory.settings import Declared, Several, declared
from metamemory.shapes import Float
from metamemory.tasks.episode import SupportQueryEpisode
from metamemory.tasks.sampling import denormalise
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.rollout import Rollout, example
from metamemory.training.statistics import Interval, bootstrap

AS_THEY_ARE = {"rotations": False, "augment": False}
SCORES_PLOT = {"title": "Accuracy of queries by shot", "x": "k_shot", "y": "accuracy"}


class SupportQueryProtocol(Protocol):
    """Support sets and queries; any learner takes part by its `answer_queries`.

    `task` (of `SupportQuery`) is that of training. `test` has what is different in tests, as n_way, k_shot, n_query; or
    it is a list of such changes, of which the first counts: its accuracy is the metric `accuracy`, and weights are
    chosen by it on validation classes. Metrics of several are `accuracy_<n>_way_<k>_shot`.

    A learner has as many labels as the largest n_way, so that one with weights for its labels can be tested with more
    classes than it was trained with; those of an episode are chosen from all of them.
    """

    tasks = (SupportQuery,)

    def task(self, split: str, **changes: Any) -> SupportQuery:
        settings = {**self.config["task"], **changes}
        return SupportQuery(self.splits[split], **settings, labels=self.description.labels.n_way)

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        """What is different in each test."""
        found = self.config.get("test", {})
        found = [found] if isinstance(found, Mapping) else found
        if not found:
            raise UserError("test is empty; name what is different in tests, as `test: {n_way: 5, k_shot: 1}`")
        return [{**AS_THEY_ARE, **each} for each in found]

    @cached_property
    def validation(self) -> SupportQuery:
        return self.task("validation", **self.tests[0])

    @property
    def description(self) -> TaskDescription:
        stages = [each for each in self.config.get("curriculum") or () if "n_way" in each]
        ways = [each.get("n_way", 1) for each in (self.config["task"], *stages, *self.tests)]
        return TaskDescription(tuple(self.images.images.shape[2:]), max(ways))

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Accuracy."""
        accuracy = accuracy_by_episode(found).mean().item()
        return accuracy, {"accuracy": accuracy}

    def evaluate(self, learner: Learner) -> Findings:
        tests = [self.task("test", **each) for each in self.tests]
        intervals = [bootstrap(accuracy_by_episode(self.tested(learner, each)), over="episodes") for each in tests]
        scores = [score_row(test, interval) for test, interval in zip(tests, intervals, strict=True)]
        metrics = {"accuracy": round(intervals[0].mean, DECIMALS)}
        if len(tests) > 1:
            names = (f"accuracy_{test.n_way}_way_{test.k_shot}_shot" for test in tests)
            metrics |= {name: round(each.mean, DECIMALS) for name, each in zip(names, intervals, strict=True)}
        return Findings(metrics, scores, _example(*example(learner, tests[0], self.test_seed)))


def accuracy_by_episode(found: Rollout) -> Float[Tensor, " episode"]:
    """Share of the queries that were answered rightly: [episode] float64 on the CPU."""
    batches = [(logits.argmax(dim=-1) == episode.query_y).double().mean(dim=0).cpu() for episode, logits in found]
    return torch.cat(batches)


def score_row(test: SupportQuery, accuracy: Interval) -> Row:
    ends = {"accuracy": accuracy.mean, "low": accuracy.low, "high": accuracy.high}
    return {"n_way": test.n_way, "k_shot": test.k_shot, **ends}


def _example(episode: SupportQueryEpisode, logits: Tensor) -> dict[str, Any]:
    """The first test episode and the probabilities that the learner gave.

    `support_x` and `query_x` are base64 of uint8 [sample, channel, height, width] with the shapes `support_shape` and
    `query_shape`; `probability` is [query][label].
    """
    support, query = (denormalise(x[:, 0]).cpu() for x in (episode.support_x, episode.query_x))
    return {
        "support_x": encoded(support),
        "support_shape": list(support.shape),
        "support_y": episode.support_y[:, 0].tolist(),
        "query_x": encoded(query),
        "query_shape": list(query.shape),
        "query_y": episode.query_y[:, 0].tolist(),
        "probability": rounded(logits[:, 0].softmax(dim=-1).tolist()),
    }


OF_EPISODES = declared(SupportQuery, (*OF_ITS_DATA, "labels"))
SETTINGS = Sections(task=OF_EPISODES, own={"test": Declared(Several(OF_EPISODES))})
