"""Any learner is trained and tested on support sets and queries; n-way and k-shot of tests may be others."""

import base64
import copy

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.models import TaskDescription, build
from metamemory.protocols import protocol_class, support_query
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.rollout import rollout

CONFIG = {
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"n_way": 2, "k_shot": 1, "n_query": 3, "rotations": True},
    "test": {"n_way": 4, "k_shot": 2, "n_query": 2},
    "training": {"episodes": 16, "batch_size": 4, "validations": 2, "validation_episodes": 4},
    "evaluation": {"episodes": 6, "batch_size": 4},
}
SIZES = {
    "lstm": {"hidden": 8},
    "mann": {"hidden": 8, "slots": 6, "width": 4, "heads": 2},
    "cl_lstm": {"filters": 2, "hidden": 4, "pool_after": [1, 2]},
    "opn": {"filters": 2},
    "snail": {"filters": 2, "features": 4, "tc_filters": 2, "attention": [[4, 2]] * 3},
    "cnn_lstm": {"filters": 2, "hidden": 4, "pools": 1},
    "fine_tuning": {"filters": 2, "pools": 1, "inner_steps": 1},
    "maml": {"filters": 2, "inner_steps": 1, "test_steps": 2},
    "reptile": {"filters": 2, "inner_steps": 2, "inner_batch": 3, "test_steps": 2},
    "ridge": {"filters": 2},
    "cnp": {"filters": 2, "features": 4, "hidden": 4, "layers": 2},
    "autoencoder_neighbour": {"hidden": 4, "features": 2},
}


@pytest.fixture
def conduct(run):
    def conduct(learner, **changes):
        return run("support_query", learner, {**copy.deepcopy(CONFIG), "model": SIZES.get(learner, {}), **changes})

    return conduct


@pytest.mark.parametrize("learner", sorted(SIZES))
def test_a_learner_of_any_kind_is_trained_and_tested(conduct, learner):
    outcome = conduct(learner)
    (row,) = outcome.scores
    assert (row["n_way"], row["k_shot"]) == (4, 2) and 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
    assert outcome.metrics == {"accuracy": round(row["accuracy"], 5)}
    assert len(outcome.history) == 2 and 0 <= outcome.history[0]["accuracy"] <= 1
    assert outcome.facts["training_episodes"] == 16 and outcome.facts["test_episodes"] == 6


def test_several_tests(conduct):
    tests = [{"n_way": 3, "k_shot": 1, "n_query": 2}, {"n_way": 4, "k_shot": 3, "n_query": 2}]
    outcome = conduct("opn", test=tests)
    assert [(row["n_way"], row["k_shot"]) for row in outcome.scores] == [(3, 1), (4, 3)]
    assert set(outcome.metrics) == {"accuracy", "accuracy_3_way_1_shot", "accuracy_4_way_3_shot"}
    assert outcome.metrics["accuracy"] == outcome.metrics["accuracy_3_way_1_shot"]
    with pytest.raises(UserError, match="test is empty"):
        conduct("opn", test=[])


def test_nothing_is_trained_where_there_is_nothing_to_train(conduct):
    outcome = conduct("nearest_neighbour")
    assert outcome.history == [] and outcome.facts["training_episodes"] == 0


def test_the_example_can_be_read_back(conduct):
    shown = conduct("nearest_neighbour").example
    for name, samples in (("support", 8), ("query", 8)):
        pixels = np.frombuffer(base64.b64decode(shown[f"{name}_x"]), np.uint8).reshape(shown[f"{name}_shape"])
        assert pixels.shape == (samples, 1, 8, 8)
    assert sorted(shown["query_y"]) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert np.array(shown["probability"]).sum(axis=1) == pytest.approx(np.ones(8), abs=1e-3)


def test_an_accuracy_is_that_of_the_nearest_support_sample_by_loops(images):
    task = SupportQuery(images, n_way=4, k_shot=2, n_query=3, labels=6)
    learner = build("nearest_neighbour", TaskDescription((1, 8, 8), 6), {})
    found = support_query.accuracy_by_episode(rollout(learner, task, 5, 2, seed=1))
    generator, expected = torch.Generator().manual_seed(1), []
    for batch in (2, 2, 1):
        episode = task.sample(batch, generator)
        for b in range(batch):
            right = 0
            for x, y in zip(episode.query_x[:, b], episode.query_y[:, b], strict=True):
                distances = [(x - each).square().sum().item() for each in episode.support_x[:, b]]
                right += episode.support_y[int(np.argmin(distances)), b] == y
            expected.append(right.item() / 12)
    assert found.tolist() == pytest.approx(expected)


def test_what_is_measured_on_is_as_it_is_and_validation_is_of_other_classes(context, images):
    config = {**copy.deepcopy(CONFIG), "learner": "opn", "protocol": "support_query"}
    protocol = protocol_class("support_query")(config, 0, context())
    assert len(protocol.curriculum()[-1].task.images) == 16 and torch.equal(protocol.validation.images, images[4:8])
    assert torch.equal(protocol.task("test", **protocol.tests[0]).images, images[8:])
    assert protocol.description.labels.n_way == 4 and protocol.curriculum()[-1].task.labels == 4
