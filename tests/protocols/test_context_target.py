"""Regression from a context and completion of images: what is measured, and of what."""

import base64
import copy

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.models import TaskDescription, build
from metamemory.nn.labels import Values
from metamemory.protocols import completion, context_functions, protocol_class
from metamemory.tasks.completion import Completion
from metamemory.tasks.context_functions import ContextFunctions

TRAINING = {"episodes": 8, "batch_size": 4, "validations": 2, "validation_episodes": 4}
FUNCTIONS = {
    "task": {"points": 6, "length_scales": [0.6, 0.2], "reach": 2.0, "noise": 0.05},
    "training": TRAINING,
    "evaluation": {"episodes": 6, "batch_size": 4, "context": [0, 3], "targets": 5},
}
PIXELS = {
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"points": 20},
    "training": TRAINING,
    "evaluation": {"episodes": 3, "batch_size": 2, "context": [2, 64], "chosen": 3, "chosen_images": 2},
}
MODEL = {"cnp_regression": {"hidden": 8}}


@pytest.mark.parametrize("learner", ["cnp_regression", "exact_process"])
def test_functions(run, learner):
    outcome = run("context_functions", learner, {**copy.deepcopy(FUNCTIONS), "model": MODEL.get(learner, {})})
    assert [row["context"] for row in outcome.scores] == [0, 3]
    assert set(outcome.metrics) == {f"{name}_{n}_known" for name in ("log_likelihood", "mse") for n in (0, 3)}
    for row in outcome.scores:
        for name in ("log_likelihood", "mse"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    shown = outcome.example
    assert len(shown["mean"]) == len(shown["known"]) == 3 and len(shown["mean"][0]) == context_functions.PLACES
    assert outcome.facts["training_episodes"] == (8 if learner == "cnp_regression" else 0)


def test_what_is_not_known_is_measured(run):
    """By the posterior itself: from one value on its error falls, and nats rise; of the known none is counted."""
    settings = copy.deepcopy(FUNCTIONS)
    settings["task"]["length_scales"] = [1.0]
    settings["evaluation"] = {"episodes": 200, "batch_size": 50, "context": [0, 5], "targets": 5}
    nothing, five = run("context_functions", "exact_process", settings).scores
    assert nothing["log_likelihood"] == pytest.approx(-0.5 * np.log(2 * np.pi * 1.0025) - 0.5, abs=0.2)
    assert nothing["mse"] == pytest.approx(1, abs=0.25) and 0.0025 < five["mse"] < 0.6
    assert five["log_likelihood"] > nothing["log_likelihood"]


def test_means_over_an_episode_by_hand():
    task = ContextFunctions(5, [0.5], 2.0, 0.1, torch.device("cpu"), 2, 2)
    episode = task.sample(3, torch.Generator().manual_seed(0))
    answers = torch.zeros(5, 3, 2)
    nats, errors = context_functions.by_episode(iter([(episode, answers)]), first=2)
    squares = episode.query_y[2:, :, 0].double().square()
    torch.testing.assert_close(errors, squares.mean(dim=0))
    torch.testing.assert_close(nats, -(squares + np.log(2 * np.pi)).mean(dim=0) / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("learner", ["cnp_regression", "nearest_values", "fitted_process"])
def test_images(run, learner):
    outcome = run("completion", learner, {**copy.deepcopy(PIXELS), "model": MODEL.get(learner, {})})
    assert [(row["context"], row["ordered"]) for row in outcome.scores] == [(2, 0), (64, 0), (2, 1), (64, 1)]
    assert outcome.metrics["mse_2_random"] == pytest.approx(outcome.scores[0]["mse"], abs=1e-5)
    if learner == "nearest_values":
        assert outcome.metrics["mse_64_random"] == 0 and "least_certain" not in outcome.example
    else:
        assert len(outcome.example["least_certain"]) == len(outcome.example["at_random"]) == 4
        assert outcome.example["least_certain"][0] == outcome.example["at_random"][0]


def test_without_a_split_of_classes_their_images_are_split(context):
    images = torch.arange(2 * 60).view(2, 60, 1, 1, 1).expand(-1, -1, -1, 2, 2).to(torch.uint8)
    settings = {**copy.deepcopy(PIXELS), "data": {"name": "drawings", "size": 2}, "task": {}}
    config = {**settings, "learner": "nearest_values", "protocol": "completion"}
    protocol = protocol_class("completion")(config, 0, context(images))
    parts = {name: set(each[:, :, 0, 0, 0].flatten().tolist()) for name, each in protocol.splits.items()}
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [90, 10, 20]
    assert parts["test"] == {*range(50, 60), *range(110, 120)} and not parts["train"] & parts["validation"]
    assert len(protocol.task("test").images) == 20


def test_a_context_larger_than_the_image_is_refused_before_training(run):
    for name, value in (("context", [10, 65]), ("chosen", 65)):
        settings = copy.deepcopy(PIXELS)
        settings["evaluation"][name] = value
        with pytest.raises(UserError, match=rf"evaluation.{name} is .*larger than the image \(64 pixels\)"):
            run("completion", "nearest_values", settings)


def test_learners_of_labels_cannot_take_part(run):
    with pytest.raises(UserError, match="answers are of kind label"):
        run("completion", "protonet", copy.deepcopy(PIXELS))


def of_images():
    images = torch.randint(0, 256, (2, 4, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Completion(images, least_context=0, most_context=0)


def test_pictures_show_pixels_where_they_are():
    """The nearest value of an image of which all is known is the image."""
    task = of_images()
    learner = build("nearest_values", TaskDescription((2,), Values(1)), {"deviation": 0.25})
    shown = completion.pictures(learner, task, [4, 16], seed=0)
    shape = shown["shape"]
    assert shape == [2, 1, 4, 4] and shown["context"] == [4, 16]
    image, *known = (
        np.frombuffer(base64.b64decode(each), np.uint8).reshape(shape) for each in (shown["image"], *shown["known"])
    )
    assert (known[0] == 255).sum() == 2 * 4 and (known[1] == 255).all()
    mean = [np.frombuffer(base64.b64decode(each), np.uint8).reshape(shape) for each in shown["mean"]]
    assert np.array_equal(mean[1], image) and np.array_equal(mean[0][known[0] == 255], image[known[0] == 255])
    assert any(np.array_equal(image[0], each.numpy()) for each in task.images)
    deviation = np.frombuffer(base64.b64decode(shown["deviation"][0]), np.uint8)
    assert (deviation == 128).all()  # a quarter, of half


def test_the_least_certain_pixel_is_next_and_none_twice():
    """A learner that is least sure of the pixel farthest down: rows become known from the bottom."""
    task, asked = of_images(), []

    class FromBelow(torch.nn.Module):
        def answer_queries(self, support_x, support_y, query_x):
            asked.append(support_x.clone())
            return torch.cat([torch.full_like(query_x[..., :1], 0.5), query_x[..., :1] + query_x[..., 1:] / 10], dim=-1)

    generator = torch.Generator().manual_seed(0)
    errors = completion.one_by_one(FromBelow(), task, 2, 5, generator, completion.least_certain)
    assert len(errors) == 6 and [len(each) for each in asked] == list(range(6))
    rows, columns = ((asked[-1][:, 0] + 1) / 2 * 3).round().long().T.tolist()
    assert list(zip(rows, columns, strict=True)) == [(3, 3), (3, 2), (3, 1), (3, 0), (2, 3)]


def test_pixels_at_random_are_those_of_the_drawn_order():
    task = of_images()
    learner = build("nearest_values", TaskDescription((2,), Values(1)), {})
    errors = completion.one_by_one(learner, task, 2, 16, torch.Generator().manual_seed(0))
    x, y = task.drawn(2, torch.Generator().manual_seed(0))
    expected = (learner.answer_queries(x[:3], y[:3], x)[..., :1] - y).square().mean().item()
    assert errors[3] == pytest.approx(expected) and errors[16] == 0 and len(errors) == 17
