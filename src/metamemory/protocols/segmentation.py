"""Online few-shot segmentation: Table 4 and Figure 5 of Babu et al. 2021.

A learner is trained on episodes of training classes, the best of its validations is kept, and what it marks is measured
in a fixed set of episodes of test classes: plain ones, and ones in which object and distractor exchange their roles.
"""

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.data import ImageSet
from metamemory.errors import UserError
from metamemory.models import TaskDescription, build
from metamemory.models.learner import Learner
from metamemory.protocols import Context, Outcome, facts
from metamemory.protocols.splits import load_splits
from metamemory.tasks.segmentation import Segmentation, measure_masks
from metamemory.tasks.segmentation_support_query import SegmentationSupportQuery
from metamemory.training.flops import flops_per_step
from metamemory.training.loop import Stage, train
from metamemory.training.statistics import bootstrap
from metamemory.training.update import settings_of

VALIDATION_SEED = 1_000_000  # of the validation episodes; the run's seed is added
VALIDATION_BATCH = 25  # episodes at a time
TEST_SEED = 20_000_000  # of the test episodes, the same for every run
SHOWN = (1, 6)  # shots of Table 4, in the learning curve


class Measured(NamedTuple):
    """What a learner marked in E episodes of T steps: arrays [T, E], and the loss in nats a pixel.

    `merit` is the IoU where the thing was wanted, else the share of it that was left out; nan where it has no pixel.
    """

    merit: np.ndarray
    shot: np.ndarray
    wanted: np.ndarray
    loss: float

    def at(self, shot: int, wanted: bool) -> np.ndarray:
        """Merit of each episode's picture of that thing with this shot: [E] float64."""
        steps = (self.shot == shot) & (self.wanted == wanted)
        return self.merit.T[steps.T]

    def by_step(self, wanted: bool) -> list[float]:
        """Mean merit at each step, over the episodes in which the thing of that step was wanted or not."""
        return [_mean(merit[of == wanted]) for merit, of in zip(self.merit, self.wanted, strict=True)]


def conduct(config: Mapping[str, Any], method: str, seed: int, context: Context) -> Outcome | None:
    """Train and evaluate one learner.

    `config` has the sections `data` (name, split, size), `task` (of `Segmentation`), `curriculum` (the stages before
    the task: changes to it, and `episodes`), `training` (of `Training`), `evaluation` (episodes, batch_size) and
    `model` (the learner's own settings). With `pretrain` (of `SegmentationSupportQuery`) that is the whole training,
    and the stream comes in evaluation only, with the one of `online_rates` that has the lowest loss on validation
    classes.
    """
    images, parts = load_splits(config, context)
    _require_masks(images)
    curriculum = _curriculum(parts["train"], config)
    # without distractors, where they have no part in the training: what it aims at decides which weights are kept
    aim = {**config["task"], "augment": False, "distractors": "pretrain" not in config}
    validation = Segmentation(parts["validation"], **aim)
    plain, swapped = (
        Segmentation(parts["test"], **{**config["task"], "augment": False, "swap": swap}) for swap in (False, True)
    )

    input_shape = (3, *images.images.shape[3:])
    torch.manual_seed(seed)
    learner = build(method, TaskDescription(input_shape, 2), config.get("model", {})).to(context.device)
    _require_fitting(learner, method, "pretrain" in config)
    settings = settings_of(config["training"])
    validate = _validation(validation, settings.validation_episodes, seed)
    trained = train(learner, curriculum, validate, settings, seed, context.checkpoint, context.minutes)
    if trained is None:
        return None

    rates: dict[str, Any] = {}
    if "online_rates" in config:
        in_stream = Segmentation(parts["validation"], **{**aim, "distractors": True})
        rates = _choose_rate(learner, in_stream, config["online_rates"], settings.validation_episodes, seed)
    budget = config["evaluation"]["episodes"], config["evaluation"]["batch_size"], TEST_SEED
    measured, exchanged = (measure(learner, task, *budget) for task in (plain, swapped))
    by_shot = [_row(measured, shot) for shot in range(plain.samples_per_class)]
    step = flops_per_step(learner, input_shape)
    return Outcome(
        learner=learner,
        metrics={
            f"{name}_{row['shot']}_shot": round(row[name], 5)
            for name in ("accuracy", "segmented", "masked")
            for row in by_shot
        },
        by_shot=by_shot,
        history=trained.history,
        example={
            **example(learner, plain),
            "by_step": {
                name: {kind: _rounded(each.by_step(kind == "segmented")) for kind in ("segmented", "masked")}
                for name, each in (("plain", measured), ("swapped", exchanged))
            },
            **rates,
        },
        facts={
            **facts.of_data(images, config["data"]["size"]),
            **facts.of_learner(learner, step),
            **facts.of_training(trained, step, len(curriculum)),
            **facts.of_test(config["evaluation"]["episodes"], TEST_SEED),
            **({"online_rate": learner.online_rate} if rates else {}),
        },
    )


@torch.no_grad()
def measure(learner: Learner, task: Segmentation, episodes: int, batch_size: int, seed: int) -> Measured:
    """Run `episodes` episodes drawn with `seed`, in evaluation mode; the learner's mode is put back.

    The same task, seed and batch size always give the same episodes.
    """
    was_training = learner.training
    learner.eval()
    generator = torch.Generator(task.device).manual_seed(seed)
    batches, losses, left = [], [], episodes
    while left > 0:
        episode = task.sample(min(batch_size, left), generator)
        logits = learner(episode.x, episode.y_seen)
        merit = measure_masks(logits > 0, episode.thing, episode.wanted).double()
        batches.append([each.cpu().numpy() for each in (merit, episode.shot, episode.wanted)])
        losses.append(fn.binary_cross_entropy_with_logits(logits, episode.y).item() * episode.y.shape[1])
        left -= batch_size
    learner.train(was_training)
    merit, shot, wanted = (np.concatenate(each, axis=1) for each in zip(*batches, strict=True))
    return Measured(merit, shot, wanted, sum(losses) / episodes)


@torch.no_grad()
def example(learner: Learner, test: Segmentation) -> dict[str, Any]:
    """The first test episode and what the learner marked in it, as plain values.

    base64 of uint8: `x` [time, channel, height, width] with shape `x_shape`; `thing` [time, height, width], a bit a
    pixel; `probability` [time, height, width], 255 for certainly the object.
    """
    learner.eval()
    episode = test.sample(1, torch.Generator(test.device).manual_seed(TEST_SEED))
    probability = learner(episode.x, episode.y_seen)[:, 0].sigmoid()
    return {
        "x": _base64(_bytes(episode.x[:, 0])),
        "x_shape": list(episode.x[:, 0].shape),
        "thing": _base64(np.packbits(episode.thing[:, 0].cpu().numpy())),
        "wanted": episode.wanted[:, 0].tolist(),
        "shot": episode.shot[:, 0].tolist(),
        "probability": _base64(_bytes(probability)),
    }


def _curriculum(images: Tensor, config: Mapping[str, Any]) -> list[Stage]:
    if "pretrain" in config:
        augment = config["task"].get("augment", False)
        return [Stage(SegmentationSupportQuery(images, augment=augment, **config["pretrain"]))]
    stages = []
    for changes in (*config.get("curriculum", ()), {}):
        changes = dict(changes)
        episodes = changes.pop("episodes", None)
        stages.append(Stage(Segmentation(images, **{**config["task"], **changes}), episodes))
    return stages


def _validation(task: Segmentation, episodes: int, seed: int) -> Callable[[Learner], tuple[float, dict[str, float]]]:
    """Measures in the same episodes each time. The merit is the loss turned round: one who masks everything has half of
    all that is to be measured right, and must not be kept for that."""
    kinds = {"segmented": True, "masked": False} if task.distractors else {"segmented": True}

    def validate(learner: Learner) -> tuple[float, dict[str, float]]:
        measured = measure(learner, task, episodes, VALIDATION_BATCH, VALIDATION_SEED + seed)
        shots = [shot for shot in SHOWN if shot < task.samples_per_class]
        return -measured.loss, {
            "validation_loss": measured.loss,
            **{f"{name}_{k}_shot": _mean(measured.at(k, wanted)) for name, wanted in kinds.items() for k in shots},
        }

    return validate


def _choose_rate(
    learner: Learner, task: Segmentation, rates: list[float], episodes: int, seed: int
) -> dict[str, list[dict[str, float]]]:
    """Set the learner's `online_rate` to the best in the stream; what each did there, one row a rate."""
    rows = []
    for rate in rates:
        learner.online_rate = rate
        measured = measure(learner, task, episodes, VALIDATION_BATCH, VALIDATION_SEED + seed)
        rows.append(
            {"rate": rate, "loss": round(measured.loss, 4)}
            | {f"segmented_{k}_shot": round(_mean(measured.at(k, True)), 4) for k in SHOWN}
            | {f"masked_{k}_shot": round(_mean(measured.at(k, False)), 4) for k in SHOWN}
        )
    learner.online_rate = min(rows, key=lambda row: row["loss"])["rate"]
    return {"by_rate": rows}


def _row(measured: Measured, shot: int) -> dict[str, float]:
    """Both measures at one shot and, as `accuracy`, their mean in each episode; with intervals over episodes."""
    segmented, masked = measured.at(shot, True), measured.at(shot, False)
    row: dict[str, float] = {"shot": shot}
    for name, values in (("accuracy", (segmented + masked) / 2), ("segmented", segmented), ("masked", masked)):
        of = "" if name == "accuracy" else f"{name}_"
        interval = bootstrap(values, over="episodes")
        row |= {name: interval.mean, f"{of}low": interval.low, f"{of}high": interval.high}
    return row


def _require_masks(images: ImageSet) -> None:
    if images.images.shape[2] != 4:
        raise UserError(f"params.yaml: data.name is {images.name}, which has no masks; choose fss1000 or silhouettes")


def _require_fitting(learner: Learner, method: str, pretrained: bool) -> None:
    if learner.answers != "mask":
        raise UserError(f"params.yaml: segmentation: {method} answers with a {learner.answers}, not with a mask")
    if pretrained != learner.adapts:
        has, wants = ("no", "without") if pretrained else ("an", "with")
        raise UserError(f"params.yaml: segmentation: {method} has {has} inner loop: write it {wants} `pretrain`")


def _mean(values: np.ndarray) -> float:
    """Mean of what is not nan; nan where nothing is."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]


def _bytes(shares: Tensor) -> np.ndarray:
    return (shares * 255).round().to(torch.uint8).cpu().numpy()


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
