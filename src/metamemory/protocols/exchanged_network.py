"""Fast weights for a network that was never trained (Munkhdalai and Yu 2017, section 4.3.2 and Figure 3).

A learner is trained on support sets and queries. At each validation, and at the end, it is measured on test classes, as
it is and with other networks in place of the one that answers. Their slow weights are random; what they know is in the
fast weights that the learner writes for them.
"""

from typing import Any

from metamemory.errors import UserError
from metamemory.models.fast_weights.exchange import ExchangesNetwork
from metamemory.models.learner import Learner
from metamemory.protocols.protocol import Findings, Row
from metamemory.protocols.records import DECIMALS
from metamemory.protocols.sections import Sections
from metamemory.protocols.support_query import OF_EPISODES, SupportQueryProtocol, accuracy_by_episode
from metamemory.settings import Count, Declared, Index, Named, Several, Width
from metamemory.training.loop import Stage
from metamemory.training.rollout import Rollout, rollout
from metamemory.training.statistics import bootstrap

SCORES_PLOT = {"title": "Accuracy with each network", "x": "network", "y": "accuracy"}


class ExchangedNetworkProtocol(SupportQueryProtocol):
    """As `SupportQueryProtocol`, and `others`: name -> `filters` and `seed` of a network put in place of the learner's.

    The learning curve has `test_accuracy`, and `test_accuracy_<name>` with each of the others, of `curve_episodes` test
    tasks; metrics have `accuracy_<name>`, and `scores` a row for each network, the learner's own first.
    """

    asked: Learner  # in a validation

    def require_fitting(self, curriculum: list[Stage]) -> None:
        super().require_fitting(curriculum)
        if not issubclass(self.learner_class, ExchangesNetwork):
            raise UserError(f"{self.config['learner']}: it writes no weights for another network than its own")

    def rollout(self, learner: Learner, task: Any, episodes: int, batch_size: int, seed: int) -> Rollout:
        self.asked = learner
        return super().rollout(learner, task, episodes, batch_size, seed)

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        score, row = super().validation_score(found)
        test, batch = self.task("test", **self.tests[0]), self.config["evaluation"]["batch_size"]
        for name, learner in self._networks(self.asked).items():
            answers = rollout(learner, test, self.config["curve_episodes"], batch, self.test_seed)
            row[f"test_accuracy{name}"] = accuracy_by_episode(answers).mean().item()
        return score, row

    def evaluate(self, learner: Learner) -> Findings:
        found = super().evaluate(learner)
        test = self.task("test", **self.tests[0])
        metrics, scores = dict(found.metrics), []
        for name, each in self._networks(learner).items():
            accuracy = bootstrap(accuracy_by_episode(self.tested(each, test)), over="episodes")
            metrics[f"accuracy{name}"] = round(accuracy.mean, DECIMALS)
            scores.append(
                {"network": len(scores), "accuracy": accuracy.mean, "low": accuracy.low, "high": accuracy.high}
            )
        return Findings(metrics, scores, found.example, found.facts)

    def _networks(self, learner: Learner) -> dict[str, Learner]:
        """Ending of a name -> the learner with its own network, "", and with each of the others, "_<name>"."""
        others = {f"_{name}": learner.with_other_network(**each).eval() for name, each in self.config["others"].items()}
        return {"": learner, **others}


OTHER = {"filters": Declared(Width), "seed": Declared(Index)}
SETTINGS = Sections(
    task=OF_EPISODES,
    own={"test": Declared(Several(OF_EPISODES)), "others": Declared(Named(OTHER)), "curve_episodes": Declared(Count)},
)
