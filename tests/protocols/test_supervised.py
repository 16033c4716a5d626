"""Supervised learning from configuration to tables: what is measured, what is refused, what is claimed."""

import copy
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.papers.babu2021 import supervised, supervised_figures
from metamemory.protocols import Context
from metamemory.protocols import supervised as protocol
from metamemory.protocols.conduct import conduct as conduct_run
from metamemory.study import curves
from metamemory.study.recording import record
from metamemory.study.runs import Run
from metamemory.tasks.supervised import Normalisation, Supervised, split_images
from metamemory.training.rollout import answered

CONFIG = {
    "data": {"name": "cifar_fs", "size": 8},
    "task": {"n_way": 3, "augment": True},
    "training": {
        "episodes": 600, "batch_size": 20, "optimiser": "sgd", "learning_rate": 0.1, "warmup": 0, "cooldown": 1.0,
        "clip_norm": 1e9, "validations": 3, "validation_episodes": 9,
    },
    "evaluation": {"batch_size": 7},
}  # fmt: skip


PLAIN = {"filters": 8}
CL = {"filters": 8, "memory": True, "share": 0.5}


@pytest.fixture
def photographs():
    """Four classes of 60 images, each of a colour of its own: uint8 [4, 60, 3, 8, 8]."""
    colours = torch.tensor([[200, 20, 20], [20, 200, 20], [20, 20, 200], [99, 99, 99]])[:, None, :, None, None]
    noise = torch.randint(0, 40, (4, 60, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    return (colours + noise).to(torch.uint8)


@pytest.fixture
def conduct(photographs, tmp_path):
    images = ImageSet("cifar_fs", None, "0", photographs, ("red", "green", "blue", "grey"), {}, "CIFAR-FS")

    def conduct(learner="resnet", model=CL, **changes):
        config = {**copy.deepcopy(CONFIG), "model": model, "learner": learner, "protocol": "supervised", **changes}
        context = Context(device=torch.device("cpu"), checkpoint=tmp_path / "checkpoint.pt", images=images)
        return conduct_run(config, 0, context)

    return conduct


@pytest.mark.parametrize("model", [PLAIN, CL])
def test_what_can_be_told_apart_is_learned(conduct, model):
    outcome = conduct(model=model)
    assert outcome.metrics["accuracy"] > 0.9
    facts = outcome.facts
    assert facts["data"]["title"] == "CIFAR-100"  # and not CIFAR-FS, whose classes are split
    assert facts["training_images"] == 3 * 45 and facts["test_episodes"] == 3 * 10
    assert facts["training_episodes"] == 600 and facts["used_parameters"] <= facts["parameters"]
    assert [set(row) >= {"episodes", "loss", "accuracy", "validation_loss"} for row in outcome.history] == [True] * 3
    assert outcome.example["y"] == ["red", "green", "blue"]
    assert len(outcome.scores) == 1 and outcome.scores[0]["accuracy"] == pytest.approx(outcome.metrics["accuracy"])


def test_what_is_trained_validated_and_tested_on(photographs, tmp_path):
    """Of each of three classes: the last sixth is for tests, and of the rest every tenth image is held out."""
    images = ImageSet("cifar_fs", None, "0", photographs, ("red", "green", "blue", "grey"), {}, "CIFAR-FS")
    context = Context(device=torch.device("cpu"), checkpoint=tmp_path / "checkpoint.pt", images=images)
    run = protocol.SupervisedProtocol({**copy.deepcopy(CONFIG), "learner": "resnet"}, 0, context)
    of_class = photographs[0]
    held_out = of_class[:50][9::10]
    assert torch.equal(run.validation.images[:3], held_out[torch.arange(3) * 5 // 3])  # at most 9 images, 3 a class
    assert torch.equal(run.task("test").images[:10], of_class[50:])
    (stage,) = run.curriculum()
    kept = torch.arange(50) % 10 != 9
    assert torch.equal(stage.task.images[:45], of_class[:50][kept]) and stage.task.augment
    assert not run.validation.augment and not run.task("test").augment


def test_the_accuracy_is_that_of_a_plain_loop(conduct, photographs):
    outcome = conduct()
    split = split_images(photographs, 3)
    mean, deviation = Normalisation.of(split.train)
    right = []
    for y, of_class in enumerate(split.test):
        for image in of_class:
            x = ((image / 255 - mean) / deviation)[None, None]
            right.append(outcome.learner.eval()(x, torch.tensor([[-1]])).argmax().item() == y)
    assert outcome.metrics["accuracy"] == pytest.approx(np.mean(right), abs=1e-5)


def test_answers_do_not_depend_on_the_batch_and_leave_the_mode(conduct, photographs):
    learner, split = conduct().learner, split_images(photographs, 3)
    task = Supervised(split.test, Normalisation.of(split.train))
    learner.train()
    (one, y), (other, _) = (
        protocol.together(answered(learner, task.in_order(batch), task.answer)) for batch in (7, 30)
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert learner.training
    assert y.tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_a_learner_of_episodes_is_refused(conduct, tmp_path):
    with pytest.raises(UserError, match="lstm: its answers are of kind label; this protocol measures image"):
        conduct("lstm", model={"hidden": 4})
    with pytest.raises(UserError, match="n_way is 5 and must be from 1 to 4"):
        conduct(task={"n_way": 5, "augment": True})
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_shown(conduct, tmp_path):
    """What a run writes is what tables and figures read."""
    outcome = conduct()
    run = Run("smoke", "supervised_learning", "cl_resnet20_050", "cifar10", root=tmp_path)
    record(run, outcome, CONFIG, {}, "0", torch.device("cpu"), 1.0)
    table = supervised.table_5("cifar10", tmp_path)
    assert "smoke scale, CIFAR-100" in table and table.count("not run") == 20
    shown = supervised.groups("supervised_learning", "cifar10", tmp_path)
    assert "| CL-ResNet-20 (0.5×) |" in supervised.findings(shown)
    plt.close(curves.learning_curves(shown, supervised_figures.PANELS))
    for draw in (supervised_figures.accuracy_by_size, supervised_figures.answers):
        plt.close(draw(shown))
    json.dumps(outcome.example)
