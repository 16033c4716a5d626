"""Standard supervised learning: section 4.5 and Table 5 of Babu et al. 2021.

A network is trained on labelled images of the classes that it is tested on, the best of its validations is kept, and
accuracy is measured on all test images.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory import data
from metamemory.errors import UserError
from metamemory.models import TaskDescription, build
from metamemory.models.learner import Learner
from metamemory.protocols import Context, Outcome, facts
from metamemory.tasks.supervised import Normalisation, Supervised, parts
from metamemory.training.flops import flops_per_step
from metamemory.training.loop import Stage, train
from metamemory.training.statistics import bootstrap
from metamemory.training.update import settings_of

TITLES = {"CIFAR-FS": "CIFAR-100"}  # one data set: CIFAR-FS splits its classes, here the images of each are split
EXAMPLES = 12  # test images that are shown with the answers to them


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train and evaluate one network.

    `config` has the sections `data` (name, size), `task` (n_way, augment), `training` (of `Training`, whose episodes
    are images here; validation is on at most `validation_episodes` of those held out), `evaluation` (batch_size) and
    `model` (the learner's own settings).
    """
    found = data.load(config["data"]["name"], config["data"]["size"], root=context.data)
    split = parts(found.images, config["task"]["n_way"])
    normalisation = Normalisation.of(split.train.to(context.device))
    settings = settings_of(config["training"])
    held_out = _at_most(split.validation, settings.validation_episodes)
    task = Supervised(split.train.to(context.device), normalisation, config["task"]["augment"])
    validation, test = (Supervised(each.to(context.device), normalisation) for each in (held_out, split.test))

    input_shape = tuple(found.images.shape[2:])
    torch.manual_seed(seed)
    learner = build(method, TaskDescription(input_shape, task.n_way), config.get("model", {})).to(context.device)
    if learner.answers != "image":
        raise UserError(f"{method} answers with a {learner.answers} in an episode; supervised_learning is for images")
    batch = config["evaluation"]["batch_size"]
    trained = train(
        learner, [Stage(task)], _validation(validation, batch), settings, seed, context.checkpoint, context.minutes
    )
    if trained is None:
        return None

    accuracy = bootstrap((answers(learner, test, batch).argmax(dim=-1) == labels(test)).double().cpu(), over="images")
    step = flops_per_step(learner, input_shape)
    described = facts.of_data(found, config["data"]["size"])
    for name, title in TITLES.items():
        described["data"]["title"] = described["data"]["title"].replace(name, title)
    return Outcome(
        learner=learner,
        metrics={"accuracy": round(accuracy.mean, 5)},
        by_shot=[{"shot": 0, "accuracy": accuracy.mean, "low": accuracy.low, "high": accuracy.high}],
        history=trained.history,
        example=_example(learner, test, split.test, found.classes),
        facts={
            **described,
            **facts.of_learner(learner, step),
            "used_parameters": learner.used_parameters,
            **facts.of_training(trained, step, 1),
            "training_images": len(task),
            "test_episodes": len(test),
            "interval": "95 % bootstrap over test images",
        },
    )


@torch.no_grad()
def answers(learner: Learner, task: Supervised, batch: int) -> Tensor:
    """Logits [image, n_way] of all images of the task, in evaluation mode; the learner's mode is put back."""
    was_training = learner.training
    learner.eval()
    logits = [learner(each.x, each.y_seen)[0] for each in task.in_order(batch)]
    learner.train(was_training)
    return torch.cat(logits)


def labels(task: Supervised) -> Tensor:
    """Their labels [image] int64."""
    return torch.arange(len(task), device=task.device) // task.per_class


def _validation(task: Supervised, batch: int) -> Callable[[Learner], tuple[float, dict[str, float]]]:
    """Accuracy, which is the validation_score, and loss."""

    def validate(learner: Learner) -> tuple[float, dict[str, float]]:
        logits, y = answers(learner, task, batch), labels(task)
        accuracy = (logits.argmax(dim=-1) == y).double().mean().item()
        return accuracy, {"accuracy": accuracy, "validation_loss": fn.cross_entropy(logits, y).item()}

    return validate


def _at_most(images: Tensor, count: int) -> Tensor:
    """As many of each class, evenly spread, as make no more than `count` together, and at least one."""
    n_way, per_class = images.shape[:2]
    kept = max(1, min(per_class, count // n_way))
    return images[:, torch.arange(kept) * per_class // kept]


def _example(learner: Learner, test: Supervised, images: Tensor, classes: tuple[str, ...]) -> dict[str, Any]:
    """The first test image of some classes, evenly spread, what it is, and what the learner takes it for.

    `x` is base64 of uint8 [image, channel, height, width] with shape `x_shape`; `probability` is of `answer`.
    """
    shown = torch.arange(min(EXAMPLES, test.n_way)) * test.n_way // min(EXAMPLES, test.n_way)
    few = Supervised(images[shown, :1].to(test.device), test.normalisation)
    probability, answer = answers(learner, few, len(shown)).softmax(dim=-1).max(dim=-1)
    x = images[shown, 0]
    return {
        "x": base64.b64encode(x.numpy().tobytes()).decode(),
        "x_shape": list(x.shape),
        "y": [classes[each] for each in shown],
        "answer": [classes[each] for each in answer],
        "probability": [round(each, 4) for each in probability.tolist()],
    }
