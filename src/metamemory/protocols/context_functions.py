"""Regression from a context, on functions of a Gaussian process (Garnelo et al. 2018, section 4.1).

What is measured is the log-likelihood and the squared error of values that are not in the context, by how many are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Generator, Tensor

from metamemory.models.learner import Learner, TaskDescription
from metamemory.nn.labels import Values
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS, rounded
from metamemory.protocols.sections import EvaluationSettings, Sections
from metamemory.settings import Count, Index, Items
from metamemory.tasks.context_functions import ContextFunctions
from metamemory.tasks.context_target import ContextTarget, log_density, squared_errors
from metamemory.training.rollout import Rollout
from metamemory.training.statistics import bootstrap

PLACES = 201  # of a band
BANDS = (1, 3, 10)  # values known of it
SCORES_PLOT = {"title": "Log-likelihood by values known", "x": "context", "y": "log_likelihood"}


class ContextFunctionsProtocol(Protocol):
    """There is no data set: training, validation and test functions are new draws from one process.

    Training, and validation in which weights are chosen, ask for `points` values with `least_context` to `most_context`
    of them known. `evaluation` has `context`, a list of how many are known in tests, and `targets`, how many others are
    asked for.
    """

    tasks = (ContextFunctions,)
    answers = ("value",)
    validation_batch = 100

    def task(self, split: str, **changes: Any) -> ContextTarget:
        return ContextFunctions(**{**self.config["task"], **changes}, device=self.context.device)

    @property
    def description(self) -> TaskDescription:
        return TaskDescription((1,), Values(1))

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Mean log-likelihood of a value; and the mean squared error."""
        nats, errors = by_episode(found)
        return nats.mean().item(), {"log_likelihood": nats.mean().item(), "mse": errors.mean().item()}

    def evaluate(self, learner: Learner) -> Findings:
        metrics, scores, targets = {}, [], self.config["evaluation"]["targets"]
        for known in self.config["evaluation"]["context"]:
            test = self.task("test", points=known + targets, least_context=known, most_context=known)
            nats, errors = by_episode(self.tested(learner, test), first=known)
            row = score_row(nats, errors)
            scores.append({"context": known, **row})
            metrics |= {f"{name}_{known}_known": round(row[name], DECIMALS) for name in ("log_likelihood", "mse")}
        return Findings(metrics, scores, bands(learner, self.task("test"), self.test_seed))

    def facts_of_data(self) -> dict[str, Any]:
        return {"data": self.validation.source}


def by_episode(found: Rollout, first: int = 0) -> tuple[Tensor, Tensor]:
    """Mean log-likelihood, nats, and mean squared error of the points from the `first` on: [episode] float64 each, on
    the CPU."""
    rows: list[list[Tensor]] = [[], []]
    for episode, answers in found:
        for column, measure in zip(rows, (log_density, squared_errors), strict=True):
            column.append(measure(answers, episode.query_y)[first:].double().mean(dim=0).cpu())
    return torch.cat(rows[0]), torch.cat(rows[1])


def score_row(nats: Tensor, errors: Tensor) -> Row:
    """Means over episodes, with the ends of their intervals."""
    row: Row = {}
    for name, each in (("log_likelihood", nats), ("mse", errors)):
        interval = bootstrap(each, over="episodes")
        row |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return row


@torch.no_grad()
def bands(learner: Learner, task: ContextFunctions, seed: int, known: Iterable[int] = BANDS) -> dict[str, Any]:
    """What a learner, in evaluation mode, expects everywhere of a function of which some values are known; the function
    and the values are the same for every learner. Plain values: `x` and `y` of what is known, `place` and `f`, then for
    each number of known values `mean` and `deviation` by place."""
    known, device = list(known), task.device
    generator = Generator(device).manual_seed(seed)
    x = task.reach * (2 * torch.rand(max(known), 1, 1, generator=generator, device=device) - 1)
    places = torch.linspace(-task.reach, task.reach, PLACES, device=device)[:, None, None]
    f = task.values(torch.cat([x, places]), generator)
    y = f[: len(x)] + task.noise * torch.randn(x.shape, generator=generator, device=device)
    plain: Callable[[Tensor], list] = lambda values: rounded(values.flatten().tolist())  # noqa: E731
    found = {"x": plain(x), "y": plain(y), "place": plain(places), "f": plain(f[len(x) :]), "known": known}
    answers = [learner.answer_queries(x[:n], y[:n], places).chunk(2, dim=-1) for n in known]
    found["mean"] = [plain(mean) for mean, _ in answers]
    found["deviation"] = [plain(log_variance.div(2).exp()) for _, log_variance in answers]
    return found


@dataclass(frozen=True)
class ContextEvaluation(EvaluationSettings):
    """The tests: episodes and batch_size of each, how many values are known in each, and how many others are asked
    for."""

    context: Annotated[list[Index], Items(1, distinct=True)]
    targets: Count = 50


SETTINGS = Sections(data=None, evaluation=ContextEvaluation)
