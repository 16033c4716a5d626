"""Networks that act and are searched for by what they were paid (Kirsch and Schmidhuber 2022; see `training.fitness`).

Nothing is trained by an optimiser: the search is what is measured. Many searches, each with random numbers of its own,
go side by side; intervals are over them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from metamemory.errors import UserError
from metamemory.models.learner import Learner, TaskDescription
from metamemory.protocols.protocol import Findings, Protocol
from metamemory.protocols.records import DECIMALS
from metamemory.protocols.sections import OF_ITS_DATA, Sections
from metamemory.settings import Count, Declared, Items, Positive, declared
from metamemory.tasks.control import CartPole, SwappingBandit
from metamemory.training.fitness import Climbing, Lifetime, Monotonic, lifetime
from metamemory.training.statistics import bootstrap

TASKS = {"bandit": SwappingBandit, "cart_pole": CartPole}
SCORES_PLOT = {"title": "Paid a step, by lifetimes", "x": "lifetimes", "y": "best"}


@dataclass(frozen=True)
class SearchSettings:
    """The search.

    Attributes:
        strategy: "monotonic", or "climbing".
        steps: of a lifetime.
        candidates: with which a search begins.
        sharpness: of the choice among them, of "monotonic".
        deviation: of the steps of "climbing".
    """

    strategy: Literal["monotonic", "climbing"]
    steps: Count
    candidates: Count = 20
    sharpness: Positive = 20.0
    deviation: Positive = 0.1


@dataclass(frozen=True)
class FitnessEvaluation:
    """Attributes:
    searches: side by side.
    at: generations after which the best network of each search is executed again; the last is the end.
    lifetimes: for which it is, each from its weights as they were found; these are not counted.
    """

    searches: Count
    at: Annotated[Sequence[Count], Items(least=1, distinct=True)]
    lifetimes: Count


class FitnessProtocol(Protocol):
    """A generation is one lifetime of one network. A row of `scores` is of the generations since the row before:
    `lifetimes` spent until now, those of the first candidates too; `paid` a step, the mean over these generations of
    what was executed; and `best`, what the best network was paid when executed again; each with the ends of its
    interval. `by_search` of the example has both of each search, [row][search].
    Metrics are both of the last row, and `rise`: `best` of the last row less that of the first, with its interval.
    """

    tasks = (SwappingBandit, CartPole)
    answers = ("action",)
    trains = False

    @cached_property
    def acted(self) -> SwappingBandit | CartPole:
        """The task."""
        settings = dict(self.config["task"])
        task = TASKS[settings.pop("name")]
        if unknown := set(settings) - set(declared(task)):
            raise UserError(f"task: {self.config['task']['name']} has no setting {', '.join(sorted(unknown))}")
        return task(**settings)

    @property
    def description(self) -> TaskDescription:
        return TaskDescription((self.acted.observation + 1,), self.acted.actions)

    @torch.no_grad()
    def evaluate(self, learner: Learner) -> Findings:
        evaluation = FitnessEvaluation(**self.config["evaluation"])
        settings = SearchSettings(**self.config["search"])
        search, again_with = self._search(learner, settings, evaluation.searches)
        rows, paid, best, since = [], [], [], []
        for number in range(1, max(evaluation.at) + 1):
            found = search.step()
            since.append(found.paid)
            if number in evaluation.at:
                again = [again_with(search.encoder, found.best)[1] for _ in range(evaluation.lifetimes)]
                paid.append(torch.stack(since).mean(dim=0).numpy())
                best.append(torch.stack(again).mean(dim=0).numpy())
                spent = {"lifetimes": settings.candidates + number}
                rows.append({**spent, **_named("paid", paid[-1]), **_named("best", best[-1])})
                since = []
        rise = _named("rise", best[-1] - best[0])
        metrics = {name: round(each, DECIMALS) for name, each in {**rows[-1], **rise}.items() if name != "lifetimes"}
        kept = {name: np.round(each, DECIMALS).tolist() for name, each in (("paid", paid), ("best", best))}
        return Findings(metrics, rows, {"by_search": kept})

    def _search(
        self, learner: Learner, settings: SearchSettings, searches: int
    ) -> tuple[Monotonic | Climbing, Lifetime]:
        """So many searches side by side, and what executes networks with other random numbers than theirs."""
        own, of_test = (Generator().manual_seed(seed + self.seed) for seed in (0, self.test_seed))

        def with_draws(draws: Generator) -> Lifetime:
            def live(encoder: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
                state, paid = lifetime(learner, self.acted, settings.steps, type(begun)(encoder, weights), draws)
                return state.weights, paid

            return live

        begun = learner.drawn(searches * settings.candidates, own)
        given = with_draws(own), begun.encoder[:searches], begun.weights.unflatten(0, (settings.candidates, searches))
        if settings.strategy == "monotonic":
            return Monotonic(*given, settings.sharpness, own), with_draws(of_test)
        return Climbing(*given, settings.deviation, own), with_draws(of_test)

    def facts_of_data(self) -> dict[str, Any]:
        return {"data": {"name": self.config["task"]["name"], "title": str(self.acted), "digest": None}}

    def facts_of_test(self) -> dict[str, Any]:
        searches = self.config["evaluation"]["searches"]
        return {"test_episodes": searches, "test_seed": self.test_seed, "interval": "95 % bootstrap over searches"}


def _named(name: str, values: np.ndarray) -> dict[str, float]:
    """The mean over searches, and the ends of its interval."""
    found = bootstrap(values, over="searches")
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}


OF_TASK = {"name": Declared(Literal["bandit", "cart_pole"]), **declared(SwappingBandit, OF_ITS_DATA)}
SETTINGS = Sections(data=None, task=OF_TASK, evaluation=FitnessEvaluation, own={"search": Declared(SearchSettings)})
