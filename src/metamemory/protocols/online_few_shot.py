"""Online few-shot learning: Table 1 of Babu et al. 2021.

A learner is trained on episodes of training characters, the best of its validations is kept, and k-shot
accuracy is measured in a fixed set of episodes of test characters.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import torch

from metamemory.models import TaskDescription, build
from metamemory.models.learner import Learner
from metamemory.protocols import Context, Outcome, facts
from metamemory.protocols.curricula import require_pretrainable, stage
from metamemory.protocols.splits import load_splits
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.tasks.sampling import denormalise
from metamemory.training.evaluation import evaluate
from metamemory.training.flops import flops_per_step
from metamemory.training.loop import Position, train
from metamemory.training.statistics import bootstrap
from metamemory.training.update import settings_of

VALIDATION_SEED = 1_000_000  # of the validation episodes; the run's seed is added
VALIDATION_BATCH = 50  # episodes at a time
TEST_SEED = 20_000_000  # of the test episodes, the same for every run


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train and evaluate one learner.

    `config` has the sections `data` (name, split, size), `task` (of `OnlineFewShot`), `curriculum` (the stages before
    the task: changes to it, or `pretrain` with the settings of a `SupportQuery`; and `episodes` where a stage does not
    end by mastery), `training` (of `Training`; none for a learner without parameters), `evaluation` (episodes,
    batch_size) and `model` (the learner's own settings).
    """
    images, parts = load_splits(config, context)
    task = config["task"]
    stages = (*config.get("curriculum", ()), {})
    curriculum = [stage(OnlineFewShot, parts["train"], task, **changes) for changes in stages]
    # turning multiplies the training classes, cropping their images; what is measured is images as they are
    as_they_are = {**task, "rotations": False, "augment": False}
    validation, test = (OnlineFewShot(parts[part], **as_they_are) for part in ("validation", "test"))

    input_shape = tuple(images.images.shape[2:])
    torch.manual_seed(seed)
    learner = build(method, TaskDescription(input_shape, task["n_way"], task["delay"]), config.get("model", {}))
    learner.to(context.device)
    require_pretrainable(learner, method, curriculum, task["n_way"])
    trained = Position()
    if any(parameter.requires_grad for parameter in learner.parameters()):
        settings = settings_of(config["training"])
        validate = _validation(validation, settings.validation_episodes, seed)
        trained = train(learner, curriculum, validate, settings, seed, context.checkpoint, context.minutes)
        if trained is None:
            return None

    evaluation = config["evaluation"]
    accuracy = evaluate(learner, test, evaluation["episodes"], evaluation["batch_size"], TEST_SEED).accuracy
    by_shot = [bootstrap(column, over="episodes") for column in accuracy.T.numpy()]
    step = flops_per_step(learner, input_shape)
    return Outcome(
        learner=learner,
        metrics={f"accuracy_{shot}_shot": round(each.mean, 5) for shot, each in enumerate(by_shot)},
        by_shot=[
            {"shot": shot, "accuracy": each.mean, "low": each.low, "high": each.high}
            for shot, each in enumerate(by_shot)
        ],
        history=trained.history,
        example=example(learner, test),
        facts={
            **facts.of_data(images, config["data"]["size"]),
            **facts.of_learner(learner, step),
            **facts.of_training(trained, step, len(curriculum)),
            **facts.of_test(evaluation["episodes"], TEST_SEED),
        },
    )


def _validation(task: OnlineFewShot, episodes: int, seed: int) -> Callable[[Learner], tuple[float, dict[str, float]]]:
    """Accuracy by shot in the same episodes each time; the validation_score is its mean over the shots from the first on."""

    def validate(learner: Learner) -> tuple[float, dict[str, float]]:
        by_shot = evaluate(learner, task, episodes, VALIDATION_BATCH, VALIDATION_SEED + seed).by_shot
        return sum(by_shot[1:]) / len(by_shot[1:]), {f"accuracy_{k}_shot": value for k, value in enumerate(by_shot)}

    return validate


@torch.no_grad()
def example(learner: Learner, test: OnlineFewShot) -> dict[str, Any]:
    """The first test episode and the probabilities that the learner gave, as plain values.

    `x` is base64 of uint8 [time, channel, height, width] with shape `x_shape`; `probability` is [time][way].
    """
    learner.eval()
    episode = test.sample(1, torch.Generator(test.images.device).manual_seed(TEST_SEED))
    probability = learner(episode.x, episode.y_seen)[:, 0].softmax(dim=-1)
    x = denormalise(episode.x[:, 0]).cpu()
    return {
        "x": base64.b64encode(x.numpy().tobytes()).decode(),
        "x_shape": list(x.shape),
        **{name: getattr(episode, name)[:, 0].tolist() for name in ("y_seen", "y", "shot")},
        "probability": [[round(value, 4) for value in row] for row in probability.tolist()],
    }
