"""Supervised learning from configuration to tables: what is measured, what is refused, what is claimed."""

import copy
import json
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from metamemory import data
from metamemory.errors import UserError
from metamemory.papers.babu2021 import supervised, supervised_figures
from metamemory.protocols import Context
from metamemory.protocols import supervised as protocol
from metamemory.study import curves, runs
from metamemory.study.runs import Run
from metamemory.tasks.supervised import Normalisation, Supervised, parts

CONFIG = {
    "data": {"name": "cifar_fs", "size": 8},
    "task": {"n_way": 3, "augment": True},
    "training": {
        "episodes": 600, "batch_size": 20, "optimiser": "sgd", "learning_rate": 0.1, "warmup": 0, "cooldown": 1.0,
        "clip_norm": 1e9, "validations": 3, "validation_episodes": 9,
    },
    "evaluation": {"batch_size": 7},
    "model": {"filters": 8},
}  # fmt: skip


@pytest.fixture
def conduct(monkeypatch, tmp_path):
    """On four classes of 60 images, each of a colour of its own."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.tensor([[200, 20, 20], [20, 200, 20], [20, 20, 200], [99, 99, 99]])[:, None, :, None, None]
    pixels = (colours + torch.randint(0, 40, (4, 60, 3, 8, 8), generator=generator)).to(torch.uint8)
    images = SimpleNamespace(
        images=pixels, classes=("red", "green", "blue", "grey"), name="cifar_fs", title="CIFAR-FS", digest="0"
    )
    monkeypatch.setattr(data, "load", lambda *_, **__: images)

    def conduct(method="cl_resnet20_050", **changes):
        config = {**copy.deepcopy(CONFIG), **changes}
        context = Context(torch.device("cpu"), tmp_path, tmp_path / "checkpoint.pt")
        return protocol.conduct(config, method, 0, context)

    conduct.images = pixels
    return conduct


@pytest.mark.parametrize("method", ["resnet20", "cl_resnet20_050"])
def test_what_can_be_told_apart_is_learned(conduct, method):
    outcome = conduct(method)
    assert outcome.metrics["accuracy"] > 0.9
    facts = outcome.facts
    assert facts["data"]["title"] == "CIFAR-100"  # and not CIFAR-FS, whose classes are split
    assert facts["training_images"] == 3 * 45 and facts["test_episodes"] == 3 * 10
    assert facts["training_episodes"] == 600 and facts["used_parameters"] <= facts["parameters"]
    assert [set(row) >= {"episodes", "loss", "accuracy", "validation_loss"} for row in outcome.history] == [True] * 3
    assert outcome.example["y"] == ["red", "green", "blue"]
    assert len(outcome.by_shot) == 1 and outcome.by_shot[0]["accuracy"] == pytest.approx(outcome.metrics["accuracy"])


def test_the_accuracy_is_that_of_a_plain_loop(conduct):
    outcome = conduct()
    split = parts(conduct.images, 3)
    mean, deviation = Normalisation.of(split.train)
    right = []
    for y, of_class in enumerate(split.test):
        for image in of_class:
            x = ((image / 255 - mean) / deviation)[None, None]
            right.append(outcome.learner.eval()(x, torch.tensor([[-1]])).argmax().item() == y)
    assert outcome.metrics["accuracy"] == pytest.approx(np.mean(right), abs=1e-5)


def test_answers_do_not_hang_on_the_batch_and_leave_the_mode(conduct):
    learner, split = conduct().learner, parts(conduct.images, 3)
    task = Supervised(split.test, Normalisation.of(split.train))
    learner.train()
    one, other = (protocol.answers(learner, task, batch) for batch in (7, 30))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert learner.training
    assert protocol.labels(task).tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_a_learner_of_episodes_is_refused(conduct, tmp_path):
    with pytest.raises(UserError, match="lstm answers with a label in an episode; supervised_learning is for images"):
        conduct("lstm", model={"hidden": 4})
    with pytest.raises(UserError, match="n_way is 5 and must be from 1 to 4"):
        conduct(task={"n_way": 5, "augment": True})
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_shown(conduct, tmp_path, monkeypatch):
    """What a run writes is what tables and figures read."""
    outcome = conduct()
    run = Run("smoke", "supervised_learning", "cl_resnet20_050", "cifar10", root=tmp_path)
    monkeypatch.setattr(runs, "_git_state", lambda root: {})
    runs._record(run, outcome, CONFIG, {}, "0", torch.device("cpu"), 1.0)
    table = supervised.table_5("cifar10", tmp_path)
    assert "smoke scale, CIFAR-100" in table and table.count("not run") == 20
    shown = supervised.groups("supervised_learning", "cifar10", tmp_path)
    assert "**CL-ResNet-20 (0.5×)**" in supervised.findings(shown)
    plt.close(curves.learning_curves(shown, supervised_figures.PANELS))
    for draw in (supervised_figures.accuracy_by_size, supervised_figures.answers):
        plt.close(draw(shown))
    json.dumps(outcome.example)
