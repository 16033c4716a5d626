"""What the fast weights of a trained learner are and do, beyond what Munkhdalai and Yu 2017 show; without training.

Root mean square of slow and fast weights by layer; accuracy with the fast or the slow part taken away, in all layers or
one; the attention over the memory, and of one task the whole of it.
"""

from typing import Any

from metamemory.analysis import fast_weights as inspection
from metamemory.errors import UserError
from metamemory.models.fast_weights.exchange import ShowsFastWeights
from metamemory.models.learner import Learner
from metamemory.protocols.protocol import Findings
from metamemory.protocols.records import DECIMALS, rounded
from metamemory.protocols.sections import Sections
from metamemory.protocols.support_query import OF_EPISODES, SupportQueryProtocol, accuracy_by_episode
from metamemory.settings import Declared, Several
from metamemory.training.loop import Stage
from metamemory.training.rollout import sampled
from metamemory.training.statistics import bootstrap

LOOKED_AT = 10  # batches of test episodes whose weights are measured
SCORES_PLOT = {"title": "Accuracy without the fast weights of a layer", "x": "layer", "y": "accuracy"}


class FastWeightsInspectionProtocol(SupportQueryProtocol):
    """The first test of `test`, with the weights of the file in the context (`trained`).

    `scores` has a row for each layer with fast weights, `layer` counting from 0: accuracy without them, with its
    interval, `slow` and `fast`, root mean squares, and `of_query`, the share of the fast ones that differs from query
    to query.
    """

    trains = False

    def require_fitting(self, curriculum: list[Stage]) -> None:
        super().require_fitting(curriculum)
        if not issubclass(self.learner_class, ShowsFastWeights):
            raise UserError(f"{self.config['learner']}: it writes no fast weights that could be looked at")

    def evaluate(self, learner: Learner) -> Findings:
        test = self.task("test", **self.tests[0])
        found = super().evaluate(learner)
        batch = self.config["evaluation"]["batch_size"]
        count = min(LOOKED_AT * batch, self.config["evaluation"]["episodes"])
        episodes = list(sampled(test, count, batch, self.test_seed))
        seen = [inspection.inside(learner, each) for each in episodes]
        norms, spread = inspection.norms(seen), inspection.spread(seen)
        accuracies = {
            name: bootstrap(accuracy_by_episode(self.tested(each.eval(), test)), over="episodes")
            for name, each in inspection.alterations(learner, list(norms)).items()
        }
        scores = []
        for number, (name, (slow, fast)) in enumerate(norms.items()):
            of_layer = accuracies[f"without_{name}"]
            ends = {"accuracy": of_layer.mean, "low": of_layer.low, "high": of_layer.high}
            scores.append({"layer": number, **ends, "slow": slow, "fast": fast, "of_query": spread[name]})
        metrics = {"accuracy": found.metrics["accuracy"]}
        metrics |= {f"accuracy_{name}": round(each.mean, DECIMALS) for name, each in accuracies.items()}
        metrics["attention_to_own_class"] = round(inspection.focus(seen, episodes), DECIMALS)
        return Findings(metrics, scores, self._shown(learner, found.example, list(norms)))

    def _shown(self, learner: Learner, example: dict[str, Any], layers: list[str]) -> dict[str, Any]:
        """The example of the test, the names of the layers, and `attention`, [query][support sample]."""
        (episode,) = sampled(self.task("test", **self.tests[0]), 1, 1, self.test_seed)
        attention = inspection.inside(learner, episode).attention[0]
        return {**example, "layers": layers, "attention": rounded(attention.tolist())}


SETTINGS = Sections(
    task=OF_EPISODES,
    own={"test": Declared(Several(OF_EPISODES)), "trained": Declared(str)},
)
