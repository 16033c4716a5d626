"""The experiments of Santoro et al. on a few drawings; their tables and figures from what they leave."""

import copy
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from metamemory import data
from metamemory.papers.santoro2016 import figures, tables
from metamemory.protocols import Context, binding, binding_rows, growing_classes, regression, santoro
from metamemory.study import curves
from metamemory.study.results import Group, Result, _new_name
from metamemory.study.runs import Run
from metamemory.tasks.binding import Binding

CONFIG = {
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"n_way": 3, "length": 12, "size": 8},
    "label_gain": 2.0,
    "curriculum": [],
    "training": {"episodes": 16, "batch_size": 4, "validations": 2, "validation_episodes": 4},
    "evaluation": {"episodes": 6, "batch_size": 4},
}
MODEL = {"hidden": 8, "slots": 6, "width": 4, "heads": 2}


@pytest.fixture
def context(images, monkeypatch, tmp_path):
    splits = {"thirds": {part: torch.arange(4) + 4 * i for i, part in enumerate(("train", "validation", "test"))}}
    drawings = SimpleNamespace(images=images, splits=splits, name="drawings", title="Drawings", digest="0")
    monkeypatch.setattr(data, "load", lambda *_, **__: drawings)
    return Context(torch.device("cpu"), tmp_path, tmp_path / "checkpoint.pt")


def config(**changes):
    merged = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def test_accuracy_by_instance_counts_what_it_should(images):
    task = Binding(images, 3, 12, size=8)

    class Late(torch.nn.Module):
        """The right label but for first instances."""

        def forward(self, x, y_seen):
            episode = next(self.episodes)
            wrong = (episode.y + (episode.shot == 0)) % 3
            return torch.nn.functional.one_hot(wrong, 3).float()

    learner, generator = Late(), torch.Generator().manual_seed(5)
    learner.episodes = iter([task.sample(4, generator), task.sample(2, generator)])
    found = santoro.answers(learner, task, 6, 4, seed=5).by_instance
    assert found.shape == (6, 10)
    assert found[:, 0].max() == 0 and found[:, 1:].nanmean() == 1


def test_classification_keeps_what_the_memory_did(context):
    outcome = binding.conduct(config(model=MODEL, curriculum=[{"n_way": 2, "episodes": 8}]), "mann", 0, context)
    assert outcome.facts["stages_reached"] == "2 of 2" and [row["stage"] for row in outcome.history] == [2, 2]
    assert {"x", "probability", "memory", "read_of_step", "retrieval"} <= set(outcome.example)
    assert 2 <= len(outcome.by_shot) <= 10 and len(outcome.metrics) == len(outcome.by_shot)
    assert outcome.facts["flops_per_step"] > 0


@pytest.mark.parametrize("method", ["lstm", "mann", "mann_feedforward", "ntm", "feedforward"])
@pytest.mark.parametrize("strings", [False, True])
def test_labels_alone_are_emphasised(context, images, method, strings):
    """The weights of 64 pixels stay, those of the label, behind them, are three times as large."""
    task = Binding(images, 3, 12, strings, size=8)
    plain, loud = (santoro.learner_of(method, task, {"label_gain": gain}, 0, context) for gain in (1.0, 3.0))
    changed = []
    for (name, one), other in zip(plain.named_parameters(), loud.parameters(), strict=True):
        if not torch.equal(one, other):
            changed.append(name)
            assert torch.equal(one[:, :64], other[:, :64]) and torch.allclose(3 * one[:, 64:], other[:, 64:])
            assert one.shape[1] == 64 + (25 if strings else 3)
    assert len(changed) == 1


def test_strings(context):
    outcome = binding.conduct(config(task={"strings": True}, model={"hidden": 8}), "lstm", 0, context)
    assert len(outcome.example["y"][0]) == 5 and "memory" not in outcome.example


def test_an_autoencoder_is_trained_on_drawings(context):
    model = {"hidden": 8, "features": 4}
    outcome = binding.conduct(config(model=model), "autoencoder_neighbour", 0, context)
    assert outcome.history[-1]["loss"] > 0 and outcome.by_shot[0]["accuracy"] <= 0.5
    untrained = binding.conduct(config(), "nearest_neighbour", 0, context)
    assert untrained.history == [] and untrained.facts["training_episodes"] == 0


def test_the_neighbours_first_answer_is_a_guess_and_then_never_new(context, images):
    """Its first instance is right only at the first step: one time in n_way of one in n_way."""
    task = Binding(images, 4, 40, size=8)
    learner = santoro.learner_of("nearest_neighbour", task, {"label_gain": 1.0}, 0, context)
    found = santoro.answers(learner, task, 2000, 500, seed=0)
    first = found.right[found.shot == 0].double().mean().item()
    assert first == pytest.approx(1 / 16, abs=0.012)


def test_persistence_measures_episodes_after_the_first(context):
    outcome = binding_rows.conduct(config(model=MODEL, rows={"row": 3}), "mann", 0, context)
    by_place = torch.tensor(outcome.example["by_place"])
    assert by_place.shape == (3, 10) and outcome.facts["stages_reached"] == "1 of 1"
    alone = binding_rows.conduct(config(model=MODEL, rows={"row": 3, "wiped": True}), "mann", 0, context)
    assert alone.example["by_place"][0] != alone.example["by_place"][1]


def test_the_curriculum_adds_a_class_at_a_time(context, tmp_path):
    settings = config(
        curriculum=[{"n_way": 2, "length": 8, "episodes": 8}],
        classes={"first": 3, "last": 4, "every": 8},
        training={"episodes": 24, "validations": 6},
        evaluation={"episodes": 4, "batch_size": 4, "classes": [4]},
        model=MODEL,
    )
    settings["task"] = {"size": 8, "strings": True}
    outcome = growing_classes.conduct(settings, "mann", 0, context)
    assert set(outcome.example["by_classes"]) == {4}
    assert outcome.facts["stages_reached"] == "3 of 3" and "accuracy_4_classes_instance_2" in outcome.metrics
    run = Run("smoke", "mann_curriculum", "mann", "strings", 0, root=tmp_path)
    figure = figures.curriculum([_kept(run, outcome, settings)])
    assert figure.axes[2].lines[0].get_ydata().tolist() == [2, 3, 3, 4, 4, 4]  # after 4, 8 … 24 episodes
    plt.close(figure)


@pytest.mark.parametrize("method", ["mann", "lstm", "gaussian_process"])
def test_regression(context, method):
    settings = config(model={"mann": MODEL, "lstm": {"hidden": 8}}.get(method, {}))
    settings["task"] = {"dimensions": 1, "length": 22, "length_scale": 0.5, "reach": 2.0, "noise": 0.1}
    outcome = regression.conduct(settings, method, 0, context)
    assert len(outcome.by_shot) == 22 and len(outcome.example["mean"]) == regression.PLACES
    assert outcome.metrics["log_likelihood_after_20"] == pytest.approx(outcome.by_shot[20]["log_likelihood"], abs=1e-5)
    if method == "gaussian_process":
        near = [
            abs(m - f) < 4 * d
            for m, f, d in zip(*(outcome.example[k] for k in ("mean", "f", "deviation")), strict=True)
        ]
        assert sum(near) > 0.95 * len(near)


def test_every_learner_is_asked_for_the_same_function(context):
    settings = config()
    settings["task"] = {"dimensions": 1, "length": 22, "length_scale": 0.5, "reach": 2.0, "noise": 0.1}
    one, two = (
        regression.conduct({**settings, "model": model}, method, 0, context).example
        for method, model in (("lstm", {"hidden": 8}), ("gaussian_process", {}))
    )
    assert one["f"] == two["f"] and one["y"] == two["y"] and one["mean"] != two["mean"]


def test_figures_are_drawn_from_outcomes(context, tmp_path):
    outcome = binding.conduct(config(model=MODEL), "mann", 0, context)
    run = Run("smoke", "mann_classification", "mann", "five", 0, root=tmp_path)
    result = _kept(run, outcome)
    group = Group([result])
    learned = curves.learning_curves([group], figures.panels([group], (1, 2)))
    for figure in (figures.memory(result), figures.retrieval(result), learned):
        assert figure.axes
        plt.close(figure)
    assert "MANN" in tables.retrieval_table([group])
    assert "of 1 seeds left" in tables.plateau([group], chance=1 / 3)


def _kept(run, outcome, configuration=None):
    """A result as it is read back, without files."""

    class Kept(Result):
        history = [{_new_name(name): value for name, value in row.items()} for row in outcome.history]
        scores, example = outcome.by_shot, outcome.example

    manifest = {**outcome.facts, "hardware": "here", "configuration": configuration or {}}
    return Kept(run, manifest)


def test_what_counts_of_a_row_is_what_comes_after_its_first_episode(context):
    outcome = binding_rows.conduct(config(model=MODEL, rows={"row": 2}), "mann", 0, context)
    first, second = outcome.example["by_place"]
    found = [row["accuracy"] for row in outcome.by_shot[:3]]
    assert found == pytest.approx(second[:3]) and found != pytest.approx(first[:3])


def test_the_merit_is_accuracy_from_the_second_instance_on(context, images):
    task = Binding(images, 3, 30, size=8)
    learner = santoro.learner_of("lstm", task, {"label_gain": 1.0, "model": {"hidden": 8}}, 0, context)
    validation_score, row = santoro._validation(task, 6, 0)(learner)
    later = [row[f"accuracy_instance_{k}"] for k in range(2, 11)]
    assert validation_score == pytest.approx(np.nanmean(later)) and validation_score != pytest.approx(
        np.nanmean(list(row.values()))
    )


def test_an_episode_of_the_curriculum_has_ten_steps_a_class():
    assert growing_classes.PER_CLASS == 10
