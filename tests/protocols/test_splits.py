"""Which classes a run is trained, validated and tested on, and with which seeds: the same for every protocol."""

import importlib

import pytest
import torch

from metamemory.protocols.conduct import conduct
from metamemory.tasks.sampling import FewShot

SEED, VALIDATION, TEST = 3, 1_000_003, 20_000_000  # of training, validation and test episodes
MANN = {"hidden": 8, "slots": 6, "width": 4, "heads": 2}
BINDING = {"n_way": 3, "length": 8, "size": 8}
RUNS = {  # protocol: learner, its settings, and what the configuration has besides
    "online_few_shot": ("lstm", {"hidden": 4}, {"task": {"n_way": 3, "samples_per_class": 3, "rotations": True}}),
    "delayed_labels": (
        "lstm",
        {"hidden": 4},
        {"task": {"n_way": 3, "samples_per_class": 3, "delay": 2, "rotations": True}},
    ),
    "continual": (
        "opn",
        {"filters": 2},
        {
            "task": {"n_way": 3, "subtasks": 3, "k_shot": 2, "n_query": 1, "rotations": True},
            "curriculum": [{"subtasks": 3}],
            "evaluation": {"n_query": 2, "longer": {"subtasks": 4, "every": 4, "episodes": 2, "batch_size": 2}},
        },
    ),
    "support_query": (
        "opn",
        {"filters": 2},
        {"task": {"n_way": 2, "k_shot": 1, "n_query": 3, "rotations": True}, "test": {"n_way": 4, "k_shot": 2}},
    ),
    "binding": ("mann", MANN, {"task": BINDING}),
    "binding_rows": ("mann", MANN, {"task": BINDING, "rows": {"row": 2}}),
    "growing_classes": (
        "mann",
        MANN,
        {
            "task": {"size": 8, "strings": True},
            "curriculum": [{"n_way": 2, "length": 8, "episodes": 4}],
            "classes": {"first": 3, "last": 4, "every": 4},
            "evaluation": {"classes": [4]},
        },
    ),
    "segmentation": (
        "cl_unet",
        {"filters": 2},
        {"task": {"samples_per_class": 7, "augment": True}, "curriculum": [{"distractors": False, "episodes": 4}]},
    ),
    "fine-tuned segmentation": (
        "unet",
        {"filters": 2},
        {
            "protocol": "segmentation",
            "task": {"samples_per_class": 7, "augment": True},
            "pretrain": {"k_shot": 2, "n_query": 2},
            "online_rates": [0.01, 0.1],
        },
    ),
}


def config_of(name):
    learner, model, more = RUNS[name]
    common = {
        "protocol": name,
        "learner": learner,
        "model": model,
        "data": {"name": "drawings", "split": "thirds", "size": 8},
        "curriculum": [],
        "training": {"episodes": 12, "batch_size": 4, "validations": 2, "validation_episodes": 4},
    }
    return {**common, **more, "evaluation": {"episodes": 4, "batch_size": 4, **more.get("evaluation", {})}}


def images_of(name, images):
    if config_of(name)["protocol"] != "segmentation":
        return images
    pictures = images.expand(-1, -1, 4, -1, -1).clone()  # the last channel is the mask
    pictures[:, :, 3] = torch.where(pictures[:, :, 3] < 80, 255, 0)
    return pictures


@pytest.mark.parametrize("name", RUNS)
def test_training_validation_and_test_are_of_other_classes_which_are_measured_as_they_are(
    name, images, context, monkeypatch
):
    drawn, images = [], images_of(name, images)
    draw = FewShot._draw

    def noted(task, k, batch, generator):
        drawn.append((generator.initial_seed(), task.images, task.augment))
        return draw(task, k, batch, generator)

    monkeypatch.setattr(FewShot, "_draw", noted)
    conduct(config_of(name), SEED, context(images))
    assert {seed for seed, *_ in drawn} == {SEED, VALIDATION, TEST}
    for seed, of_task, augmented in drawn:
        if seed == SEED:
            assert torch.equal(of_task[:4], images[:4])
            assert len(of_task) == (16 if config_of(name)["task"].get("rotations") else 4)
        else:
            assert torch.equal(of_task, images[4:8] if seed == VALIDATION else images[8:])
            assert not augmented or name.startswith(("binding", "growing")), "Santoro et al. turn test characters too"


@pytest.mark.parametrize("name", ["online_few_shot", "segmentation", "binding"])
def test_a_seed_decides_the_weights_that_a_run_begins_with(name, images, context, monkeypatch):
    begun, module = [], importlib.import_module("metamemory.protocols.conduct")

    def begins(learner, *_):
        begun.append(torch.cat([each.detach().flatten() for each in learner.parameters()]))

    monkeypatch.setattr(module, "train", begins)
    for seed in (0, 1, 1):
        assert conduct(config_of(name), seed, context(images_of(name, images))) is None
    assert torch.equal(begun[1], begun[2]) and not torch.equal(begun[0], begun[1])
