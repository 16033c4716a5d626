"""Labels that come later than one step: section 4.2 and Table 3 of Babu et al. 2021.

The protocol is that of online few-shot learning; what varies is the task's `delay`, and whether the curriculum begins
at a delay of 1. Beyond the paper, a learner is tested at every delay from 1 to 10 steps, whichever it was trained at.
"""

from metamemory.models.learner import Learner
from metamemory.protocols.online_few_shot import AS_THEY_ARE, OnlineFewShotProtocol
from metamemory.protocols.protocol import Findings, Row
from metamemory.protocols.records import score_rows
from metamemory.training.rollout import accuracies

DELAYS = range(1, 11)  # steps


class DelayedLabelsProtocol(OnlineFewShotProtocol):
    """`by_delay` of the example is what a learner knows at other delays: rows of delay, shot, accuracy and the ends of
    its interval. A learner that is told its delay is built for it, and not tested at others."""

    def evaluate(self, learner: Learner) -> Findings:
        found = super().evaluate(learner)
        if not learner.needs_delay:
            found.example["by_delay"] = [row for delay in DELAYS for row in self._rows(learner, delay)]
        return found

    def _rows(self, learner: Learner, delay: int) -> list[Row]:
        """In as many test episodes as at the delay of the training; a shot that none of them has is left out."""
        test = self.task("test", **AS_THEY_ARE, delay=delay)
        scores = score_rows(accuracies(self.tested(learner, test), test.right, test.samples_per_class))
        return [{"delay": delay, **row} for row in scores]
