"""The tests of support sets and queries on characters as they are, and on turned ones, without training.

Snell et al. 2017 and Finn et al. 2017 test on every character in its four turns, as their code shows; Nichol et al.
2018 on characters as they are, as does this study. This measures what that is worth.
"""

from metamemory.models.learner import Learner
from metamemory.protocols.protocol import Findings, Row
from metamemory.protocols.records import DECIMALS
from metamemory.protocols.sections import Sections
from metamemory.protocols.support_query import (
    OF_EPISODES,
    SCORES_PLOT,
    SupportQueryProtocol,
    accuracy_by_episode,
    score_row,
)
from metamemory.settings import Declared, Several
from metamemory.training.statistics import bootstrap

__all__ = ["SCORES_PLOT", "TurnedQueriesProtocol"]


class TurnedQueriesProtocol(SupportQueryProtocol):
    """Of a learner whose weights are those of the file in the context (`trained`), in each of the tests of `test`.

    `scores` has two rows a test: `turned` is 1 where each character counts as four classes, by quarter turns. Metrics
    are `accuracy_<n>_way_<k>_shot`, and the same with `_turned`.
    """

    trains = False

    def evaluate(self, learner: Learner) -> Findings:
        metrics: Row = {}
        scores: list[Row] = []
        for changes in self.tests:
            for turned in (False, True):
                test = self.task("test", **{**changes, "rotations": turned})
                accuracy = bootstrap(accuracy_by_episode(self.tested(learner, test)), over="episodes")
                scores.append({"turned": int(turned), **score_row(test, accuracy)})
                name = f"accuracy_{test.n_way}_way_{test.k_shot}_shot"
                metrics[f"{name}_turned" if turned else name] = round(accuracy.mean, DECIMALS)
        return Findings(metrics, scores)


SETTINGS = Sections(own={"test": Declared(Several(OF_EPISODES)), "trained": Declared(str)})
