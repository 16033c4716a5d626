"""Rules of learning that are trained by an evolution strategy (Kirsch and Schmidhuber 2021, section 3.3; Sandler et al.
2021, section 4.4). What is trained on and what is measured is as in `learned_rules`; see `training.evolution`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from metamemory.errors import UserError
from metamemory.models.self_modifying.told import Told
from metamemory.protocols import learned_rules
from metamemory.protocols.learned_rules import LearnedRulesProtocol
from metamemory.settings import Count, Declared, Positive
from metamemory.training.evolution import Antithetic, Covariance, require_cma
from metamemory.training.loop import Stage

SCORES_PLOT = learned_rules.SCORES_PLOT


@dataclass(frozen=True)
class EvolutionSettings:
    """The strategy.

    Attributes:
        strategy: "antithetic" pairs, or "covariance": CMA-ES.
        population: candidates of an update; twice the number of pairs.
        deviation: of steps; with "covariance", of the first ones.
    """

    strategy: Literal["antithetic", "covariance"]
    population: Count
    deviation: Positive


class EvolvedRulesProtocol(LearnedRulesProtocol):
    """As `LearnedRulesProtocol`, with a section `evolution`. Episodes are counted once, however many candidates live
    through them."""

    @cached_property
    def evolution(self) -> EvolutionSettings:
        return EvolutionSettings(**self.config["evolution"])

    def stage(self, episodes: int | None = None, **changes: Any) -> Stage:
        found, evolution = super().stage(episodes, **changes), self.evolution
        if evolution.strategy == "covariance":
            return replace(found, task=Covariance(found.task, evolution.population, evolution.deviation, self.seed))
        return replace(found, task=Antithetic(found.task, evolution.population // 2, evolution.deviation))

    def require_fitting(self, curriculum: list) -> None:
        super().require_fitting(curriculum)
        pairs, batch = self.evolution.population // 2, self.settings.batch_size
        if self.evolution.strategy == "covariance":
            require_cma()
            if self.evolution.population < 2:
                raise UserError("evolution: population is 1; the covariance strategy compares at least 2 candidates")
            if not issubclass(self.learner_class, Told):
                raise UserError(
                    f"{self.config['learner']}: it cannot keep what a strategy is told; see models/**/told.py"
                )
        elif pairs == 0 or batch % pairs:
            raise UserError(f"evolution: {pairs} pairs cannot share a batch of {batch}: change evolution.population")


SETTINGS = replace(learned_rules.SETTINGS, own={**learned_rules.SETTINGS.own, "evolution": Declared(EvolutionSettings)})
