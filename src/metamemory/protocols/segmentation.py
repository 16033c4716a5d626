"""Online few-shot segmentation: Table 4 and Figure 5 of Babu et al. 2021.

A learner is trained on episodes of training classes, the best of its validations is kept, and what it marks is measured
in a fixed set of episodes of test classes: plain ones, and ones in which object and distractor exchange their roles.
"""

import math
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.learner import Learner, TaskDescription
from metamemory.nn.labels import Masks
from metamemory.protocols.protocol import Context, Findings, Protocol, Row
from metamemory.protocols.records import DECIMALS, SHORT, encoded, encoded_shares, rounded
from metamemory.protocols.sections import Sections
from metamemory.settings import Declared, Items, Positive, declared
from metamemory.tasks.segmentation import MaskEpisode, Segmentation, measure_masks
from metamemory.tasks.segmentation_support_query import SegmentationSupportQuery
from metamemory.training.loop import Stage
from metamemory.training.rollout import Rollout, example
from metamemory.training.statistics import bootstrap

SHOWN = (1, 6)  # shots of Table 4, in the learning curve
SCORES_PLOT = {"title": "Mean of segmentation and masking by shot", "x": "shot", "y": "accuracy"}


class Measured(NamedTuple):
    """What a learner marked in E episodes of T steps: arrays [T, E], and the loss in nats a pixel.

    `quality` is the IoU where the thing was wanted, else the share of it that was left out; nan where it has no pixel.
    """

    quality: np.ndarray
    shot: np.ndarray
    wanted: np.ndarray
    loss: float

    def at(self, shot: int, wanted: bool) -> np.ndarray:
        """Quality of each episode's picture of that thing with this shot: [E] float64."""
        steps = (self.shot == shot) & (self.wanted == wanted)
        return self.quality.T[steps.T]

    def mean_at(self, shot: int, wanted: bool) -> float:
        """Its mean over episodes."""
        return _mean(self.at(shot, wanted))

    def by_step(self, wanted: bool) -> list[float]:
        """Mean quality at each step, over the episodes in which the thing of that step was wanted or not."""
        return [_mean(quality[of == wanted]) for quality, of in zip(self.quality, self.wanted, strict=True)]


class SegmentationProtocol(Protocol):
    """A stream of pictures of an object, to be marked, and a distractor, to be left out.

    With `pretrain` (of `SegmentationSupportQuery`) that is the whole training, and the stream comes in evaluation only,
    with the one of `online_rates` that has the lowest loss on validation classes.
    """

    tasks = (Segmentation,)
    answers = ("mask",)
    validation_batch = 25

    def __init__(self, config: dict[str, Any], seed: int, context: Context):
        super().__init__(config, seed, context)
        if self.images.images.shape[2] != 4:
            raise UserError(f"data.name is {self.images.name}, which has no masks; choose fss1000 or silhouettes")

    def task(self, split: str, **changes: Any) -> Segmentation:
        return Segmentation(self.splits[split], **{**self.config["task"], **changes})

    def curriculum(self) -> list[Stage]:
        if "pretrain" not in self.config:
            return super().curriculum()
        augment = self.config["task"].get("augment", False)
        return [Stage(SegmentationSupportQuery(self.splits["train"], augment=augment, **self.config["pretrain"]))]

    @cached_property
    def validation(self) -> Segmentation:
        """Without distractors, where they have no part in the training: what it aims at decides which weights are
        kept."""
        return self.task("validation", augment=False, distractors="pretrain" not in self.config)

    @property
    def description(self) -> TaskDescription:
        size = tuple(self.images.images.shape[3:])
        return TaskDescription((3, *size), Masks(*size))

    def require_fitting(self, curriculum: list[Stage]) -> None:
        super().require_fitting(curriculum)
        pretrained = "pretrain" in self.config
        if pretrained != self.learner_class.adapts:
            has, wants = ("no", "without") if pretrained else ("an", "with")
            name = self.config["learner"]
            raise UserError(f"segmentation: {name} has {has} inner loop: write it {wants} `pretrain`")

    def validation_score(self, found: Rollout) -> tuple[float, Row]:
        """The loss turned round: one who masks everything has half of all that is to be measured right, and must not be
        kept for that."""
        measured = measure(found)
        kinds = {"segmented": True, "masked": False} if self.validation.distractors else {"segmented": True}
        shots = [shot for shot in SHOWN if shot < self.validation.samples_per_class]
        return -measured.loss, {
            "validation_loss": measured.loss,
            **{f"{name}_{k}_shot": measured.mean_at(k, wanted) for name, wanted in kinds.items() for k in shots},
        }

    def evaluate(self, learner: Learner) -> Findings:
        rates = self._choose_rate(learner) if "online_rates" in self.config else []
        plain, swapped = (self.task("test", augment=False, swap=swap) for swap in (False, True))
        measured, exchanged = (measure(self.tested(learner, task)) for task in (plain, swapped))
        rows = [_row(measured, shot) for shot in range(plain.samples_per_class)]
        by_step = {
            name: {kind: rounded(each.by_step(kind == "segmented")) for kind in ("segmented", "masked")}
            for name, each in (("plain", measured), ("swapped", exchanged))
        }
        shown = _example(*example(learner, plain, self.test_seed)) | {"by_step": by_step}
        return Findings(
            metrics={
                f"{name}_{row['shot']}_shot": round(row[name], DECIMALS)
                for name in ("accuracy", "segmented", "masked")
                for row in rows
            },
            scores=rows,
            example=shown | ({"by_rate": rates} if rates else {}),
            facts={"online_rate": learner.online_rate} if rates else {},
        )

    def _choose_rate(self, learner: Learner) -> list[Row]:
        """Set the learner's `online_rate` to the best in the stream; what each did there, one row a rate."""
        task, rows = self.task("validation", augment=False, distractors=True), []
        for rate in self.config["online_rates"]:
            learner.online_rate = rate
            seed = self.validation_seed + self.seed
            measured = measure(
                self.rollout(learner, task, self.settings.validation_episodes, self.validation_batch, seed)
            )
            rows.append(
                {"rate": rate, "loss": round(measured.loss, SHORT)}
                | {f"segmented_{k}_shot": round(measured.mean_at(k, True), SHORT) for k in SHOWN}
                | {f"masked_{k}_shot": round(measured.mean_at(k, False), SHORT) for k in SHOWN}
            )
        learner.online_rate = min(rows, key=lambda row: row["loss"])["rate"]
        return rows


def measure(found: Rollout) -> Measured:
    """What the answers to episodes of `Segmentation` are worth."""
    batches, losses, episodes = [], [], 0
    for episode, logits in found:
        quality = measure_masks(logits > 0, episode.thing, episode.wanted).double()
        batches.append([each.cpu().numpy() for each in (quality, episode.shot, episode.wanted)])
        losses.append(fn.binary_cross_entropy_with_logits(logits, episode.y).item() * episode.y.shape[1])
        episodes += episode.y.shape[1]
    quality, shot, wanted = (np.concatenate(each, axis=1) for each in zip(*batches, strict=True))
    return Measured(quality, shot, wanted, sum(losses) / episodes)


def _example(episode: MaskEpisode, logits: Tensor) -> dict[str, Any]:
    """The first test episode and what the learner marked in it.

    base64 of uint8: `x` [time, channel, height, width] with shape `x_shape`; `thing` [time, height, width], a bit a
    pixel; `probability` [time, height, width], 255 for certainly the object.
    """
    return {
        "x": encoded_shares(episode.x[:, 0]),
        "x_shape": list(episode.x[:, 0].shape),
        "thing": encoded(np.packbits(episode.thing[:, 0].cpu().numpy())),
        "wanted": episode.wanted[:, 0].tolist(),
        "shot": episode.shot[:, 0].tolist(),
        "probability": encoded_shares(logits[:, 0].sigmoid()),
    }


def _row(measured: Measured, shot: int) -> Row:
    """Both measures at one shot and, as `accuracy`, their mean in each episode; with intervals over episodes."""
    segmented, masked = measured.at(shot, True), measured.at(shot, False)
    row: Row = {"shot": shot}
    for name, values in (("accuracy", (segmented + masked) / 2), ("segmented", segmented), ("masked", masked)):
        of = "" if name == "accuracy" else f"{name}_"
        interval = bootstrap(values, over="episodes")
        row |= {name: interval.mean, f"{of}low": interval.low, f"{of}high": interval.high}
    return row


def _mean(values: np.ndarray) -> float:
    """Mean of what is not nan; nan where nothing is."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan


SETTINGS = Sections(
    own={
        "pretrain": Declared(declared(SegmentationSupportQuery, ("images", "augment")), default=None),
        "online_rates": Declared(Annotated[list[Positive], Items(1)], default=None),
    }
)
