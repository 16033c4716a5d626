"""What is measured of segmentation, by loops; runs of both kinds; tables that claim no more than was run."""

import base64
import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from metamemory.errors import UserError
from metamemory.protocols import segmentation
from metamemory.tasks.segmentation import Segmentation, measure_masks
from metamemory.training.rollout import rollout

CONFIG = {
    "data": {"name": "things", "split": "thirds", "size": 8},
    "task": {"samples_per_class": 4, "augment": True},
    "curriculum": [{"distractors": False, "episodes": 8}],
    "training": {"episodes": 24, "batch_size": 4, "validations": 3, "validation_episodes": 4},
    "evaluation": {"episodes": 6, "batch_size": 4},
    "model": {"filters": 2},
}


@pytest.fixture
def pictures():
    """[class 12, picture 10, channel 4, 8, 8] uint8, the last channel a mask."""
    images = torch.randint(0, 256, (12, 10, 4, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[:, :, 3] = torch.where(images[:, :, 3] < 80, 255, 0)
    return images


@pytest.fixture
def conduct(run, pictures):
    def conduct(learner, images=pictures, **changes):
        return run("segmentation", learner, {**copy.deepcopy(CONFIG), **changes}, images)

    return conduct


class Guesses(nn.Module):
    """Answers that depend on the picture alone."""

    def forward(self, x, y_seen):
        return x[:, :, 0] - 0.5


def test_the_weights_of_the_lowest_loss_are_kept(pictures):
    task = Segmentation(pictures, 4)
    found = rollout(Guesses(), task, 5, 2, 3)
    score, row = segmentation.SegmentationProtocol.validation_score(SimpleNamespace(validation=task), found)
    assert score == -row["validation_loss"] < 0


def test_measures_of_the_same_episodes_by_loops(pictures):
    task = Segmentation(pictures, 4)
    measured = segmentation.measure(rollout(Guesses(), task, 5, 2, 3))
    generator, found, losses = torch.Generator().manual_seed(3), {}, []
    for batch in (2, 2, 1):
        episode = task.sample(batch, generator)
        merit = measure_masks(episode.x[:, :, 0] > 0.5, episode.thing, episode.wanted)
        for b in range(batch):
            for t in range(8):
                key = episode.shot[t, b].item(), episode.wanted[t, b].item()
                found.setdefault(key, []).append(merit[t, b].item())
                found.setdefault((f"step {t}", key[1]), []).append(merit[t, b].item())
                p = (episode.x[t, b, 0] - 0.5).sigmoid()
                losses.append(-torch.where(episode.y[t, b] == 1, p, 1 - p).log().mean().item())
    assert measured.loss == pytest.approx(np.mean(losses), rel=1e-5)
    for wanted in (True, False):
        for shot in range(4):
            assert measured.at(shot, wanted).tolist() == pytest.approx(found[shot, wanted])
        steps = [np.mean(found.get((f"step {t}", wanted), [math.nan])) for t in range(8)]
        assert measured.by_step(wanted) == pytest.approx(steps, nan_ok=True)


def test_a_run_with_memory(conduct):
    outcome = conduct("cl_unet")
    assert [row["stage"] for row in outcome.history] == [2, 2, 2] and outcome.facts["stages_reached"] == "2 of 2"
    assert {"validation_loss", "segmented_1_shot", "masked_1_shot"} <= set(outcome.history[0])
    assert [row["shot"] for row in outcome.scores] == [0, 1, 2, 3]
    for row in outcome.scores:
        assert row["accuracy"] == pytest.approx((row["segmented"] + row["masked"]) / 2)
        for measure in ("", "segmented_", "masked_"):
            assert 0 <= row[f"{measure}low"] <= row[f"{measure}high"] <= 1
    assert outcome.metrics["masked_3_shot"] == round(outcome.scores[3]["masked"], 5)
    shown = outcome.example
    assert len(shown["wanted"]) == len(shown["shot"]) == 8 and shown["x_shape"] == [8, 3, 8, 8]
    assert len(base64.b64decode(shown["probability"])) == 8 * len(base64.b64decode(shown["thing"])) == 8 * 8 * 8
    assert {len(steps) for each in shown["by_step"].values() for steps in each.values()} == {8}


def test_a_run_that_is_fine_tuned_takes_the_rate_with_the_lowest_loss(conduct):
    settings = {"pretrain": {"k_shot": 2, "n_query": 2}, "online_rates": [0.001, 1.0], "curriculum": []}
    outcome = conduct("unet", task={"samples_per_class": 7}, **settings)
    rows = outcome.example["by_rate"]
    assert [row["rate"] for row in rows] == [0.001, 1.0]
    best = min(rows, key=lambda row: row["loss"])["rate"]
    assert outcome.facts["online_rate"] == outcome.learner.online_rate == best
    assert "masked_1_shot" not in outcome.history[0]  # it is kept for what it was trained for


def test_what_does_not_fit_is_refused_before_it_trains(conduct, pictures, tmp_path):
    with pytest.raises(UserError, match="cl_lstm: its answers are of kind label; this protocol measures mask"):
        conduct("cl_lstm", model={"filters": 2, "pool_after": [1]})
    with pytest.raises(UserError, match="unet has an inner loop: write it with `pretrain`"):
        conduct("unet")
    with pytest.raises(UserError, match="cl_unet has no inner loop: write it without `pretrain`"):
        conduct("cl_unet", pretrain={"k_shot": 2, "n_query": 2})
    with pytest.raises(UserError, match="data.name is omniglot, which has no masks"):
        conduct("cl_unet", images=pictures[:, :, :3])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("cl_unet", {}),
        (
            "unet",
            {
                "pretrain": {"k_shot": 2, "n_query": 2},
                "online_rates": [0.1],
                "curriculum": [],
                "task": {"samples_per_class": 7, "augment": True},
            },
        ),
    ],
)
def test_what_is_measured_on_is_as_it_is(conduct, pictures, monkeypatch, method, changes):
    built = []

    class Noted(Segmentation):
        def __init__(self, images, *args, **settings):
            super().__init__(images, *args, **settings)
            built.append((torch.equal(images, pictures[:4]), self.augment))

    monkeypatch.setattr(segmentation, "Segmentation", Noted)
    conduct(method, **changes)
    assert {augment for of_training, augment in built if not of_training} == {False}
    assert all(augment for of_training, augment in built if of_training)
