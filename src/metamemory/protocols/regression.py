"""Functions drawn from a Gaussian process: section 4.3, Figures 5 and 6 of Santoro et al. 2016.

What is measured is the log-likelihood of the next value, by how many were seen before.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from metamemory.models import TaskDescription, build
from metamemory.models.learner import Learner
from metamemory.nn.labels import Values
from metamemory.protocols import Context, Outcome, facts, santoro
from metamemory.tasks.gaussian_process import GaussianProcessFunctions, log_likelihood, shown
from metamemory.training.flops import flops_per_step
from metamemory.training.loop import Position, Stage, train
from metamemory.training.statistics import bootstrap
from metamemory.training.update import settings_of

SAMPLES = 20  # before the prediction of Figure 5
PLACES = 101  # at which it is made
VALIDATION_BATCH = 100  # episodes at a time


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train and evaluate one learner.

    `config` has the sections `task` (of `GaussianProcessFunctions`), `training`, `evaluation` (episodes, batch_size)
    and `model`. There is no data set: training, validation and test functions are new draws from one process.
    """
    task = GaussianProcessFunctions(**config["task"], device=context.device)
    torch.manual_seed(seed)
    model = dict(config.get("model", {}))
    if method == "gaussian_process":  # the reference knows what the functions were drawn with, as in the paper
        model |= {"length_scale": task.length_scale, "noise": task.noise}
    learner = build(method, TaskDescription((task.dimensions,), Values(1)), model).to(context.device)
    position = Position()
    if any(parameter.requires_grad for parameter in learner.parameters()):
        settings = settings_of(config["training"])
        validate = _validation(task, settings.validation_episodes, seed)
        position = train(learner, [Stage(task)], validate, settings, seed, context.checkpoint, context.minutes)
        if position is None:
            return None
    evaluation = config["evaluation"]
    found = log_likelihoods(learner, task, evaluation["episodes"], evaluation["batch_size"], santoro.TEST_SEED)
    by_shot = [bootstrap(column, over="episodes") for column in found.numpy()]
    step = flops_per_step(learner, (task.dimensions,), Values(1))
    return Outcome(
        learner=learner,
        metrics={
            "log_likelihood": round(found.mean().item(), 5),
            **{f"log_likelihood_after_{n}": round(by_shot[n].mean, 5) for n in (1, 5, 10, 20) if n < task.length},
        },
        by_shot=[
            {"shot": shot, "log_likelihood": each.mean, "low": each.low, "high": each.high}
            for shot, each in enumerate(by_shot)
        ],
        history=position.history,
        example=prediction(learner, task) if task.dimensions == 1 else {},
        facts={
            "data": {"name": "gaussian_process", "title": "functions of a Gaussian process", "digest": None},
            **facts.of_learner(learner, step),
            **facts.of_training(position, step, 1),
            **facts.of_test(evaluation["episodes"], santoro.TEST_SEED),
        },
    )


@torch.no_grad()
def log_likelihoods(
    learner: Learner, task: GaussianProcessFunctions, episodes: int, batch_size: int, seed: int
) -> Tensor:
    """Nats, of every step of `episodes` episodes drawn with `seed`: [time, episode] float64."""
    was_training = learner.training
    learner.eval()
    generator = torch.Generator(task.device).manual_seed(seed)
    found = []
    while episodes > 0:
        episode = task.sample(min(batch_size, episodes), generator)
        found.append(log_likelihood(task.answer(learner, episode), episode.y))
        episodes -= batch_size
    learner.train(was_training)
    return torch.cat(found, dim=1).double().cpu()


def _validation(
    task: GaussianProcessFunctions, episodes: int, seed: int
) -> Callable[[Learner], tuple[float, dict[str, float]]]:
    """Log-likelihood in the same episodes each time."""

    def validate(learner: Learner) -> tuple[float, dict[str, float]]:
        found = log_likelihoods(learner, task, episodes, VALIDATION_BATCH, santoro.VALIDATION_SEED + seed)
        last = found[-len(found) // 5 :]
        return found.mean().item(), {"log_likelihood": found.mean().item(), "at_the_end": last.mean().item()}

    return validate


@torch.no_grad()
def prediction(learner: Learner, task: GaussianProcessFunctions) -> dict[str, Any]:
    """What a learner expects everywhere after it has seen twenty values of a function of one variable; the function and
    the values are the same for every learner. Plain values: `x` and `y` of the samples, then by place."""
    learner.eval()
    generator = torch.Generator(task.device).manual_seed(santoro.TEST_SEED)
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
