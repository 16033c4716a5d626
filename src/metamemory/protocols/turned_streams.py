"""The test of online few-shot learning on characters as they are, and on turned ones, without training.

Where a paper's test has every character four times, as the split files of Snell et al. 2017 do, its numbers are for
1,692 test classes, and those of this study for 423. This measures what that is worth.
"""

from metamemory.models.learner import Learner
from metamemory.protocols.online_few_shot import AS_THEY_ARE, OnlineFewShotProtocol
from metamemory.protocols.protocol import Findings, Row
from metamemory.protocols.records import metrics_by_shot, score_rows
from metamemory.protocols.sections import Sections
from metamemory.settings import Declared
from metamemory.training.rollout import accuracies


class TurnedStreamsProtocol(OnlineFewShotProtocol):
    """Of a learner whose weights are those of the file in the context (`trained`).

    `scores` has a row a shot of either test: `turned` is 1 where each character counts as four classes, by quarter
    turns. Metrics of the second test end in `_turned`.
    """

    trains = False

    def evaluate(self, learner: Learner) -> Findings:
        metrics: Row = {}
        scores: list[Row] = []
        for turned in (False, True):
            test = self.task("test", **{**AS_THEY_ARE, "rotations": turned})
            rows = score_rows(accuracies(self.tested(learner, test), test.right, test.samples_per_class))
            scores += [{"turned": int(turned), **row} for row in rows]
            metrics |= {f"{name}_turned" if turned else name: each for name, each in metrics_by_shot(rows).items()}
        return Findings(metrics, scores)


SETTINGS = Sections(own={"trained": Declared(str)})
