"""What the experiments of Santoro et al. 2016 with drawings have in common.

A learner is trained on episodes of training characters, the best of its validations is kept, and its accuracy by
instance is measured in a fixed set of episodes of test characters: "2nd instance" is the second drawing of a class,
after one label of it was shown. Test episodes are drawn as training episodes are, quarter turns and all, as in the
paper.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from metamemory.data import ImageSet
from metamemory.models import TaskDescription, build
from metamemory.models.learner import Learner
from metamemory.nn.labels import Characters, Labels, labels_of
from metamemory.protocols import Context, Outcome, facts
from metamemory.tasks import Episode, Task
from metamemory.tasks.binding import ALPHABET, STRING, Binding
from metamemory.tasks.reconstruction import Reconstruction
from metamemory.tasks.sampling import denormalise
from metamemory.training.evaluation import score_by_shot
from metamemory.training.flops import flops_per_step
from metamemory.training.loop import Position, Stage, train
from metamemory.training.statistics import bootstrap
from metamemory.training.update import settings_of

INSTANCES = 10
VALIDATION_SEED = 1_000_000  # of the validation episodes; the run's seed is added
VALIDATION_BATCH = 50  # episodes at a time
TEST_SEED = 20_000_000  # of the test episodes, the same for every run


class Answered(Protocol):
    """A task whose answers are right or wrong: `Binding`, and rows of it."""

    device: torch.device

    def sample(self, batch: int, generator: torch.Generator) -> Episode: ...
    def answer(self, learner: Learner, episode: Episode) -> Tensor: ...
    def right(self, logits: Tensor, y: Tensor) -> Tensor: ...


class Answers(NamedTuple):
    """Of a set of episodes: whether each answer is right, and how many of its class came before, [time, episode]."""

    right: Tensor
    shot: Tensor

    @property
    def by_instance(self) -> Tensor:
        """Accuracy [episode, instance] float64: the first drawing of a class, the second, …; nan where none came."""
        return score_by_shot(self.right, self.shot, torch.ones_like(self.right), INSTANCES)


@torch.no_grad()
def answers(learner: Learner, task: Answered, episodes: int, batch_size: int, seed: int) -> Answers:
    """Put `episodes` episodes drawn with `seed` to a learner, in evaluation mode; its mode is put back.

    The same task, seed and batch size always give the same episodes.
    """
    was_training = learner.training
    learner.eval()
    generator = torch.Generator(task.device).manual_seed(seed)
    batches = []
    while episodes > 0:
        episode = task.sample(min(batch_size, episodes), generator)
        batches.append((task.right(task.answer(learner, episode), episode.y), episode.shot))
        episodes -= batch_size
    learner.train(was_training)
    return Answers(*(torch.cat(each, dim=1) for each in zip(*batches, strict=True)))


def before_the_task(config: Mapping[str, Any], task: Callable[..., Task]) -> list[Stage]:
    """The stages of `curriculum`: tasks with its changes, and `episodes` where a stage does not end by mastery."""
    return [
        Stage(task(**{key: each for key, each in changes.items() if key != "episodes"}), changes.get("episodes"))
        for changes in config["curriculum"]
    ]


def labels(task: Binding) -> int | Labels:
    """How a learner of this task writes its labels."""
    return Characters(STRING, ALPHABET) if task.strings else task.n_way


def learner_of(method: str, task: Binding, config: Mapping[str, Any], seed: int, context: Context) -> Learner:
    """The learner that `config` describes, its weights drawn with `seed`; the labels' as large as `label_gain` says."""
    torch.manual_seed(seed)
    learner = build(method, TaskDescription(task.input_shape, labels(task)), config.get("model", {}))
    emphasise_labels(learner, task, config["label_gain"])
    return learner.to(context.device)


@torch.no_grad()
def emphasise_labels(learner: Learner, task: Binding, gain: float) -> None:
    """Make the weights that read the label `gain` times as large as they were drawn.

    A label is one number of an input of some four hundred, and next to a drawing it is hardly heard: a network has to
    find out first that it is there. The inputs of the first layer are pixels, then the label.
    """
    pixels = torch.Size(task.input_shape).numel()
    for weight in learner.parameters():
        if weight.dim() == 2 and weight.shape[1] == pixels + labels_of(labels(task)).inputs:
            weight[:, pixels:] *= gain


def trained(
    learner: Learner,
    curriculum: Sequence[Stage],
    validation: Answered,
    config: Mapping[str, Any],
    seed: int,
    context: Context,
) -> Position | None:
    """Train it, unless there is nothing to train; None if the minutes ran out.

    An autoencoder is trained on the drawings of the last stage's episodes, without their labels.
    """
    if not any(parameter.requires_grad for parameter in learner.parameters()):
        return Position()
    settings = settings_of(config["training"])
    if learner.trained_by == "reconstruction":
        curriculum = [Stage(Reconstruction(curriculum[-1].task))]
    validate = _validation(validation, settings.validation_episodes, seed)
    return train(learner, curriculum, validate, settings, seed, context.checkpoint, context.minutes)


def _validation(task: Answered, episodes: int, seed: int) -> Callable[[Learner], tuple[float, dict[str, float]]]:
    """Accuracy by instance in the same episodes each time; the validation_score is its mean from the second instance on."""

    def validate(learner: Learner) -> tuple[float, dict[str, float]]:
        found = answers(learner, task, episodes, VALIDATION_BATCH, VALIDATION_SEED + seed).by_instance.nanmean(dim=0)
        return found[1:].nanmean().item(), {f"accuracy_instance_{k}": each for k, each in enumerate(found.tolist(), 1)}

    return validate


def outcome(
    learner: Learner,
    position: Position,
    accuracy: Tensor,
    images: ImageSet,
    config: Mapping[str, Any],
    stages: int,
    task: Binding,
    **more: Any,
) -> Outcome:
    """What every one of these experiments reports: accuracy [episode, instance] in the test, and the facts of the run.

    Instances that no test episode had are left out. `more` is what the experiment adds: metrics, example.
    """
    found = [bootstrap(column, over="episodes") for column in accuracy.T.numpy() if not np.isnan(column).all()]
    step = flops_per_step(learner, task.input_shape, labels(task))
    metrics = {f"accuracy_instance_{k}": round(each.mean, 5) for k, each in enumerate(found, 1)}
    return Outcome(
        learner=learner,
        metrics={**metrics, **more.get("metrics", {})},
        by_shot=[
            {"shot": shot, "accuracy": each.mean, "low": each.low, "high": each.high} for shot, each in enumerate(found)
        ],
        history=position.history,
        example=more.get("example", {}),
        facts={
            **facts.of_data(images, config["data"]["size"]),
            **facts.of_learner(learner, step),
            **facts.of_training(position, step, stages),
            **facts.of_test(config["evaluation"]["episodes"], TEST_SEED),
        },
    )


@torch.no_grad()
def example(learner: Learner, task: Binding, classes: int | None = None) -> dict[str, Any]:
    """The first test episode and the probabilities that the learner gave, as plain values.

    `x` is base64 of uint8 [time, channel, height, width] with shape `x_shape`; `probability` is [time][way] and, of
    strings, [time][character][choice].
    """
    learner.eval()
    episode = first_episode(task)
    probability = task.answer(learner, episode)[:, 0].softmax(dim=-1)
    x = denormalise(episode.x[:, 0]).cpu()
    return {
        "x": base64.b64encode(x.numpy().tobytes()).decode(),
        "x_shape": list(x.shape),
        **{name: getattr(episode, name)[:, 0].tolist() for name in ("y_seen", "y", "shot")},
        "probability": np.round(probability.cpu().double().numpy(), 4).tolist(),
    }


def first_episode(task: Binding) -> Episode:
    """A batch of one: the same for every learner."""
    return task.sample(1, torch.Generator(task.device).manual_seed(TEST_SEED))
