"""Rules that are trained to compute what back-propagation does, synapse by synapse, and are then tested as rules of
learning (Kirsch and Schmidhuber 2021, section 3.2).

Training is on `tasks.backpropagation`, and no data set has a part in it. In validations and tests networks learn, as in
`learned_rules`, and what is measured is the same.
"""

from dataclasses import replace
from typing import Any

from metamemory.models.learner import Learner
from metamemory.protocols import learned_rules
from metamemory.protocols.learned_rules import LearnedRulesProtocol
from metamemory.protocols.protocol import Findings
from metamemory.protocols.sections import OF_ITS_DATA
from metamemory.settings import Declared, declared
from metamemory.tasks.backpropagation import Backpropagation
from metamemory.training.loop import Stage
from metamemory.training.rollout import rollout

REGRESSED = 10_000  # synapses, in which errors are measured
SCORES_PLOT = learned_rules.SCORES_PLOT


class ClonedRulesProtocol(LearnedRulesProtocol):
    """`cloning` has the settings of `Backpropagation`. Metrics have `accuracy_<test>` and `curve_<test>` as in
    `learned_rules` and, of what was trained, `error_<number>`: the root of the mean squared difference between each of
    the four numbers and its target, over the target's standard deviation."""

    @property
    def cloned(self) -> Backpropagation:
        """What is trained on."""
        return Backpropagation(self.context.device, **self.config["cloning"])

    def stage(self, episodes: int | None = None, **changes: Any) -> Stage:
        return Stage(self.cloned, episodes)

    def evaluate(self, learner: Learner) -> Findings:
        found = super().evaluate(learner)
        if learner.trained_by == "nothing":
            return found
        ((episode, answers),) = rollout(learner, self.cloned, REGRESSED, REGRESSED, self.test_seed)
        wanted = self.cloned.wanted(episode)
        errors = {
            f"error_{name}": ((answer - target).square().mean().sqrt() / target.std()).item()
            for name, answer, target in zip(wanted._fields, answers, wanted, strict=True)
        }
        return replace(found, metrics={**found.metrics, **{name: round(each, 5) for name, each in errors.items()}})


SETTINGS = replace(
    learned_rules.SETTINGS,
    own={**learned_rules.SETTINGS.own, "cloning": Declared(declared(Backpropagation, OF_ITS_DATA))},
)
