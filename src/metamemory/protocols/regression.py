"""Functions drawn from a Gaussian process: section 4.3, Figures 5 and 6 of Santoro et al. 2016.

What is measured is the log-likelihood of the next value, by how many were seen before.
"""

from typing import Any

import torch
from torch import Generator, Tensor

from metamemory.models.learner import Learner, TaskDescription
from metamemory.nn.labels import Values
from metamemory.protocols.protocol import Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS
from metamemory.protocols.sections import Sections
from metamemory.shapes import Float
from metamemory.tasks.functions import GaussianProcessFunctions, log_likelihood, shown
from metamemory.training.rollout import Rollout
from metamemory.training.statistics import bootstrap

SAMPLES = 20  # before the prediction of Figure 5
PLACES = 101  # at which it is made
NAMED = (1, 5, 10, 20)  # values seen before, of the metrics
SCORES_PLOT = {"title": "Log-likelihood by values seen", "x": "shot", "y": "log_likelihood"}


class RegressionProtocol(Protocol):
    """There is no data set: training, validation and test functions are new draws from one process."""

    tasks = (GaussianProcessFunctions,)
    answers = ("label", "value")  # a learner of labels that takes `Values` for labels
    validation_batch = 100

    def task(self, split: str, **changes: Any) -> GaussianProcessFunctions:
        return GaussianProcessFunctions(**{**self.config["task"], **changes}, device=self.context.device)

    @property
    def description(self) -> TaskDescription:
        return TaskDescription((self.validation.dimensions,), Values(1))

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """Mean log-likelihood; and that of the last fifth of the steps."""
        nats = log_likelihoods(found)
        mean, last = nats.mean().item(), nats[-len(nats) // 5 :].mean().item()
        return mean, {"log_likelihood": mean, "at_the_end": last}

    def evaluate(self, learner: Learner) -> Findings:
        test = self.task("test")
        nats = log_likelihoods(self.tested(learner, test))
        intervals = [bootstrap(step, over="episodes") for step in nats.numpy()]
        named = {f"log_likelihood_after_{n}": round(intervals[n].mean, DECIMALS) for n in NAMED if n < test.length}
        scores = [
            {"shot": shot, "log_likelihood": each.mean, "low": each.low, "high": each.high}
            for shot, each in enumerate(intervals)
        ]
        shown = prediction(learner, test, self.test_seed) if test.dimensions == 1 else {}
        return Findings({"log_likelihood": round(nats.mean().item(), DECIMALS), **named}, scores, shown)

    def facts_of_data(self) -> dict[str, Any]:
        return {"data": self.validation.source}


def log_likelihoods(found: Rollout) -> Float[Tensor, "time episode"]:
    """Nats, of every step of the episodes: [time, episode] float64 on the CPU."""
    return torch.cat([log_likelihood(answers, episode.y) for episode, answers in found], dim=1).double().cpu()


@torch.no_grad()
def prediction(learner: Learner, task: GaussianProcessFunctions, seed: int) -> dict[str, Any]:
    """What a learner, in evaluation mode, expects everywhere after it has seen twenty values of a function of one
    variable; the function and the values are the same for every learner. Plain values: `x` and `y` of the samples, then
    by place."""
    generator = Generator(task.device).manual_seed(seed)
    x = task.reach * (2 * torch.rand(SAMPLES, 1, 1, generator=generator, device=task.device) - 1)
    places = torch.linspace(-task.reach, task.reach, PLACES, device=task.device)[:, None, None]
    f = task.functions(torch.cat([x, places]), generator)
    y = f[:SAMPLES] + task.noise * torch.randn(x.shape, generator=generator, device=task.device)
    # every place is asked for with the last value shown, each in an episode of its own that began with the same samples
    x_of_each = torch.cat([x.expand(-1, PLACES, -1), places.transpose(0, 1)])
    y_of_each = torch.cat([y.expand(-1, PLACES, -1), y.new_zeros(1, PLACES, 1)])
    mean, log_variance = learner(x_of_each, shown(y_of_each))[-1].unbind(dim=-1)
    return {
        "x": x.flatten().tolist(),
        "y": y.flatten().tolist(),
        "place": places.flatten().tolist(),
        "f": f[SAMPLES:].flatten().tolist(),
        "mean": mean.tolist(),
        "deviation": log_variance.div(2).exp().tolist(),
    }


SETTINGS = Sections(data=None)
