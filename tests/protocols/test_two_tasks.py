"""Two tasks in a row: both orders are tested, grey images are made coloured ones, and accuracy is of each step."""

import base64
from dataclasses import replace

import numpy as np
import pytest
import torch

from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.models import build
from metamemory.protocols.protocol import Context
from metamemory.protocols.two_tasks import TwoTasksProtocol

CONFIG = {
    "learner": "srwm",
    "protocol": "two_tasks",
    "data": {"name": "one", "split": "a", "size": 8, "other": "two"},
    "other": {"split": "b"},
    "task": {"n_way": 2, "samples_per_class": 3, "left_out": 3},
    "training": {"episodes": 8},
    "evaluation": {"episodes": 6, "batch_size": 4},
    "model": {"layers": 1, "width": 8, "heads": 2, "filters": 2},
}
NAMES = ("train", "validation", "test")


def image_set(channels, split, **more):
    torch.manual_seed(channels)
    images = torch.randint(256, (9, 6, channels, 8, 8), dtype=torch.uint8)
    splits = {split: {name: torch.arange(3) + 3 * n for n, name in enumerate(NAMES)}}
    return ImageSet(split, None, "", images, tuple("abcdefghi"), splits, split.upper(), **more)


@pytest.fixture
def protocol(tmp_path):
    images = image_set(1, "a", other=image_set(3, "b"))
    return TwoTasksProtocol(CONFIG, 0, Context(torch.device("cpu"), tmp_path / "kept.pt", images=images))


def test_both_orders_are_tested_without_leaving_anything_out(protocol):
    learner = build("srwm", protocol.description, CONFIG["model"]).eval()
    found = protocol.evaluate(learner)
    assert protocol.description.input_shape == (3, 8, 8)
    assert set(found.metrics) == {
        f"accuracy_{task}_{order}" for task in ("first", "second") for order in ("one_first", "other_first")
    }
    assert [(row["other_first"], row["second"]) for row in found.scores] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for number, order in enumerate(("one_first", "other_first")):
        by_step = found.example["by_step"][order]
        assert len(by_step) == 12
        assert sum(by_step[6:]) / 6 == pytest.approx(found.scores[2 * number + 1]["accuracy"], abs=1e-3)
    shown = np.frombuffer(base64.b64decode(found.example["x"]), np.uint8).reshape(found.example["x_shape"])
    one, other = protocol.splits["test"].flatten(0, 1).numpy(), protocol.others["test"].flatten(0, 1).numpy()
    for images, steps in ((one, shown[:6]), (other, shown[6:])):  # as they are in their data set
        assert all((each == images).all(axis=(1, 2, 3)).any() for each in steps)
    assert protocol.facts_of_data()["data"]["title"] == "A and B"
    assert protocol.task("train").length == 9 and protocol.validation.length == 12


def test_what_is_missing_of_the_second_data_set_is_said(protocol):
    protocol.config = {**CONFIG, "other": {"split": "nowhere"}}
    with pytest.raises(UserError, match="other.split is 'nowhere'; b has b"):
        _ = protocol.others
    alone = replace(protocol.context, images=image_set(1, "a"))
    with pytest.raises(UserError, match="data.other is missing"):
        _ = TwoTasksProtocol(CONFIG, 0, alone).description
