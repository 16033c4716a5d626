"""Tests of a trained learner beyond its own: shots, ways, altered support sets, operations."""

import copy

import pytest
import torch

from metamemory.models import TaskDescription, build
from metamemory.protocols import probes
from metamemory.tasks.support_query import SupportQuery
from metamemory.training.flops import flops_of

CONFIG = {
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"n_way": 2, "k_shot": 1, "n_query": 1},
    "evaluation": {"episodes": 6, "batch_size": 4},
    "probes": {"shots": [1, 2], "ways": [2, 4], "n_way": 3, "k_shot": 2, "n_query": 2},
    "trained": "nothing",
}
MODEL = {
    "protonet": {"filters": 2},
    "maml": {"filters": 2},
    "reptile": {"filters": 2, "test_steps": 2, "inner_steps": 2, "inner_batch": 2},
}


@pytest.mark.parametrize("learner", ["nearest_neighbour", *MODEL])
def test_a_learner_of_any_kind_is_tested(run, learner):
    outcome = run("probes", learner, {**copy.deepcopy(CONFIG), "model": MODEL.get(learner, {})})
    assert [(row["n_way"], row["k_shot"]) for row in outcome.scores] == [(3, 1), (3, 2), (2, 1), (4, 1)]
    metrics = outcome.metrics
    assert metrics["accuracy_3_way_2_shot"] == pytest.approx(outcome.scores[1]["accuracy"], abs=1e-5)
    assert {f"{what}_{name}" for what in ("accuracy", "changed") for name in probes.ALTER} <= set(metrics)
    assert all(0 <= metrics[name] <= 1 for name in metrics if not name.startswith("flops"))
    assert outcome.history == []
    if learner in ("protonet", "nearest_neighbour"):  # for which a support set is a set, and labels are names
        assert metrics["changed_order"] == metrics["changed_labels"] == 0
        assert metrics["accuracy_labels"] == metrics["accuracy_unaltered"]
    if learner == "nearest_neighbour":
        assert metrics["changed_duplicate"] == 0


def test_a_data_set_without_a_split_is_tested_whole(run):
    config = copy.deepcopy(CONFIG)
    config["data"]["split"] = None
    config["probes"]["ways"] = [12]
    assert run("probes", "nearest_neighbour", config).scores[-1]["n_way"] == 12


def episode(images, labels=6):
    return SupportQuery(images, 3, 2, 2, labels=labels).sample(5, torch.Generator().manual_seed(0))


def test_alterations_by_hand(images):
    before = episode(images)
    altered = {name: alter(before, 6, torch.Generator().manual_seed(1)) for name, alter in probes.ALTER.items()}
    order = altered["order"].episode
    assert not torch.equal(order.support_y, before.support_y)
    assert sorted(order.support_x.flatten(1).sum(1).tolist()) == pytest.approx(
        sorted(before.support_x.flatten(1).sum(1).tolist())
    )
    wrong = altered["wrong_label"].episode
    assert (wrong.support_y != before.support_y).sum(dim=0).tolist() == [1] * 5
    duplicate = altered["duplicate"].episode
    assert torch.equal(duplicate.support_x[-1], before.support_x[0]) and len(duplicate.support_y) == 7
    labels = altered["labels"]
    for b in range(5):
        own = before.support_y[:, b].unique()
        called = labels.names[:, b]
        assert sorted(called[own].tolist()) == own.tolist() and (called[own] != own).all()
        assert torch.equal(labels.episode.support_y[:, b], called[before.support_y[:, b]])
        assert torch.equal(labels.episode.query_y[:, b], called[before.query_y[:, b]])


def test_shares_are_of_a_learner_that_answers_with_the_first_label_shown(run, monkeypatch):
    """Every wrong label changes all of its answers, and so does no duplicate."""

    def answer_queries(self, support_x, support_y, query_x):
        first = torch.nn.functional.one_hot(support_y[0], self.n_way).float()
        return first.expand(len(query_x), -1, -1)

    monkeypatch.setattr("metamemory.models.metric.nearest_neighbour.NearestNeighbour.answer_queries", answer_queries)
    metrics = run("probes", "nearest_neighbour", copy.deepcopy(CONFIG)).metrics
    assert metrics["changed_wrong_label"] == 1 and metrics["changed_duplicate"] == metrics["changed_labels"] == 0
    assert metrics["accuracy_unaltered"] == pytest.approx(1 / 3, abs=1e-4)  # queries of each class are as many


def test_operations_are_those_of_images():
    """A prototype takes what an image does, for each sample; a query as well, and three products with prototypes."""
    learner = build("protonet", TaskDescription((1, 8, 8), 3), {"filters": 2})
    of_image = flops_of(learner.encoder, lambda ghost: ghost(torch.empty(1, 1, 1, 8, 8, device="meta")))
    found = probes.operations(learner, 3)
    assert 0 <= found["flops_to_adapt"] - 3 * of_image < of_image / 2
    assert 0 <= found["flops_to_answer"] - of_image < of_image / 2
    steps = [
        probes.operations(build("maml", TaskDescription((1, 8, 8), 3), {"filters": 2, "inner_steps": n}).eval(), 3)
        for n in (1, 2, 3)
    ]
    one, two, three = (each["flops_to_adapt"] for each in steps)
    assert three - two == two - one > 0 and steps[0]["flops_to_answer"] == steps[2]["flops_to_answer"]
