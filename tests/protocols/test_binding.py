"""The experiments of Santoro et al. on a few drawings; their tables and figures from what they leave."""

import copy

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from metamemory.models import TaskDescription, build
from metamemory.nn.labels import Characters
from metamemory.papers.santoro2016 import figures, tables
from metamemory.protocols import growing_classes, protocol_class, regression
from metamemory.study import curves
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run
from metamemory.tasks.binding import Binding
from metamemory.training.rollout import accuracies, rollout

CONFIG = {
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"n_way": 3, "length": 12, "size": 8},
    "curriculum": [],
    "training": {"episodes": 16, "batch_size": 4, "validations": 2, "validation_episodes": 4},
    "evaluation": {"episodes": 6, "batch_size": 4},
}
MODEL = {"hidden": 8, "slots": 6, "width": 4, "heads": 2}


def config(**changes):
    merged = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def test_accuracy_by_shot_counts_what_it_should(images):
    task = Binding(images, 3, 12, size=8)

    class Late(torch.nn.Module):
        """The right label but for first images."""

        def forward(self, x, y_seen):
            episode = next(self.episodes)
            wrong = (episode.y + (episode.shot == 0)) % 3
            return torch.nn.functional.one_hot(wrong, 3).float()

    learner, generator = Late(), torch.Generator().manual_seed(5)
    learner.episodes = iter([task.sample(4, generator), task.sample(2, generator)])
    found = accuracies(rollout(learner, task, 6, 4, seed=5), task.right, 10)
    assert found.shape == (6, 10)
    assert found[:, 0].max() == 0 and found[:, 1:].nanmean() == 1


def test_classification_keeps_what_the_memory_did(run):
    outcome = run("binding", "mann", config(model=MODEL, curriculum=[{"n_way": 2, "episodes": 8}]))
    assert outcome.facts["stages_reached"] == "2 of 2" and [row["stage"] for row in outcome.history] == [2, 2]
    assert {"x", "probability", "memory", "read_of_step", "retrieval"} <= set(outcome.example)
    assert 2 <= len(outcome.scores) <= 10 and len(outcome.metrics) == len(outcome.scores)
    assert outcome.facts["flops_per_step"] > 0


@pytest.mark.parametrize("method", ["lstm", "mann", "ntm", "feedforward"])
@pytest.mark.parametrize("labels", [3, Characters(5, 5)])
def test_labels_alone_are_emphasised(method, labels):
    """The weights of 64 pixels stay, those of the label, behind them, are three times as large."""
    learners = []
    for gain in (1.0, 3.0):
        torch.manual_seed(0)
        learners.append(build(method, TaskDescription((1, 8, 8), labels), {"label_gain": gain}))
    changed = []
    for (name, one), other in zip(learners[0].named_parameters(), learners[1].parameters(), strict=True):
        if not torch.equal(one, other):
            changed.append(name)
            assert torch.equal(one[:, :64], other[:, :64]) and torch.allclose(3 * one[:, 64:], other[:, 64:])
            assert one.shape[1] == 64 + (3 if labels == 3 else 25)
    assert len(changed) == 1


def test_strings(run):
    outcome = run("binding", "lstm", config(task={"strings": True}, model={"hidden": 8}))
    assert len(outcome.example["y"][0]) == 5 and "memory" not in outcome.example


def test_an_autoencoder_is_trained_on_drawings(run):
    model = {"hidden": 8, "features": 4}
    outcome = run("binding", "autoencoder_neighbour", config(model=model))
    assert outcome.history[-1]["loss"] > 0 and outcome.scores[0]["accuracy"] <= 0.5
    untrained = run("binding", "nearest_neighbour", config())
    assert untrained.history == [] and untrained.facts["training_episodes"] == 0


def test_the_neighbours_first_answer_is_a_guess_and_then_never_new(images):
    """The first image of a class is named right only at the first step: one time in n_way of one in n_way."""
    task = Binding(images, 4, 40, size=8)
    learner = build("nearest_neighbour", TaskDescription((1, 8, 8), 4), {})
    found = [
        (task.right(logits, episode.y), episode.shot) for episode, logits in rollout(learner, task, 2000, 500, seed=0)
    ]
    right, shot = (torch.cat(each, dim=1) for each in zip(*found, strict=True))
    assert right[shot == 0].double().mean().item() == pytest.approx(1 / 16, abs=0.012)


def test_persistence_measures_episodes_after_the_first(run):
    outcome = run("binding_rows", "mann", config(model=MODEL, rows={"row": 3}))
    by_place = torch.tensor(outcome.example["by_place"])
    assert by_place.shape == (3, 10) and outcome.facts["stages_reached"] == "1 of 1"
    alone = run("binding_rows", "mann", config(model=MODEL, rows={"row": 3, "wiped": True}))
    assert alone.example["by_place"][0] != alone.example["by_place"][1]


def test_the_curriculum_adds_a_class_at_a_time(run, tmp_path):
    settings = config(
        curriculum=[{"n_way": 2, "length": 8, "episodes": 8}],
        classes={"first": 3, "last": 4, "every": 8},
        training={"episodes": 24, "validations": 6},
        evaluation={"episodes": 4, "batch_size": 4, "classes": [4]},
        model=MODEL,
    )
    settings["task"] = {"size": 8, "strings": True}
    outcome = run("growing_classes", "mann", settings)
    assert set(outcome.example["by_classes"]) == {4}
    assert outcome.facts["stages_reached"] == "3 of 3" and "accuracy_1_shot_4_way" in outcome.metrics
    name = Run("smoke", "mann_curriculum", "mann", "strings", 0, root=tmp_path)
    figure = figures.curriculum([_kept(name, outcome, settings)])
    assert figure.axes[2].lines[0].get_ydata().tolist() == [2, 3, 3, 4, 4, 4]  # after 4, 8 … 24 episodes
    plt.close(figure)


@pytest.mark.parametrize("method", ["mann", "lstm", "gaussian_process"])
def test_regression(run, method):
    settings = config(model={"mann": MODEL, "lstm": {"hidden": 8}}.get(method, {}))
    settings["task"] = {"dimensions": 1, "length": 22, "length_scale": 0.5, "reach": 2.0, "noise": 0.1}
    outcome = run("regression", method, settings)
    assert len(outcome.scores) == 22 and len(outcome.example["mean"]) == regression.PLACES
    assert outcome.metrics["log_likelihood_after_20"] == pytest.approx(outcome.scores[20]["log_likelihood"], abs=1e-5)
    if method == "gaussian_process":
        near = [
            abs(m - f) < 4 * d
            for m, f, d in zip(*(outcome.example[k] for k in ("mean", "f", "deviation")), strict=True)
        ]
        assert sum(near) > 0.95 * len(near)


def test_every_learner_is_asked_for_the_same_function(run):
    settings = config()
    settings["task"] = {"dimensions": 1, "length": 22, "length_scale": 0.5, "reach": 2.0, "noise": 0.1}
    one, two = (
        run("regression", method, {**settings, "model": model}).example
        for method, model in (("lstm", {"hidden": 8}), ("gaussian_process", {}))
    )
    assert one["f"] == two["f"] and one["y"] == two["y"] and one["mean"] != two["mean"]


def test_figures_are_drawn_from_outcomes(run, tmp_path):
    outcome = run("binding", "mann", config(model=MODEL))
    name = Run("smoke", "mann_classification", "mann", "five", 0, root=tmp_path)
    result = _kept(name, outcome)
    group = Group([result])
    learned = curves.learning_curves([group], figures.panels([group], (1, 2)))
    for figure in (figures.memory(result), figures.retrieval(result), learned):
        assert figure.axes
        plt.close(figure)
    assert "MANN" in tables.retrieval_table([group])
    assert "of 1 seeds left" in tables.plateau([group], chance=1 / 3)


def _kept(name, outcome, configuration=None):
    """A result as it is read back, without files."""

    class Kept(Result):
        history, scores, example = outcome.history, outcome.scores, outcome.example

    manifest = {**outcome.facts, "hardware": "here", "configuration": configuration or {}}
    return Kept(name, manifest)


def test_what_counts_of_a_row_is_what_comes_after_its_first_episode(run):
    outcome = run("binding_rows", "mann", config(model=MODEL, rows={"row": 2}))
    first, second = outcome.example["by_place"]
    found = [row["accuracy"] for row in outcome.scores[:3]]
    assert found == pytest.approx(second[:3]) and found != pytest.approx(first[:3])


def test_the_validation_score_is_accuracy_from_the_first_shot_on(context, images):
    settings = config(model={"hidden": 8}, task={"length": 30}) | {"learner": "lstm", "protocol": "binding"}
    protocol = protocol_class("binding")(settings, 0, context())
    learner = build("lstm", protocol.description, {"hidden": 8})
    score, row = protocol.validation_score(rollout(learner, protocol.validation, 6, 4, 0))
    later = [row[f"accuracy_{k}_shot"] for k in range(1, 10)]
    assert score == pytest.approx(np.nanmean(later)) and score != pytest.approx(np.nanmean(list(row.values())))


def test_an_episode_of_the_curriculum_has_ten_steps_a_class():
    assert growing_classes.STEPS_PER_CLASS == 10
