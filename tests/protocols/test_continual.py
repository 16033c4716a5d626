"""The experiment at a size of seconds: its rows, and tasks longer than those trained on where labels allow them."""

import copy

import numpy as np
import pytest

from metamemory.errors import UserError
from metamemory.protocols import continual

CONFIG = {
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"n_way": 3, "subtasks": 3, "k_shot": 2, "n_query": 1, "delay": 1, "rotations": True},
    "curriculum": [{"subtasks": 2, "episodes": 8}, {"subtasks": 3}],
    "training": {"episodes": 24, "batch_size": 4, "validations": 3, "validation_episodes": 4},
    "evaluation": {
        "episodes": 6,
        "batch_size": 4,
        "n_query": 2,
        "longer": {"subtasks": 4, "every": 2, "episodes": 2, "batch_size": 2},
    },
}
SIZES = {
    "cl_lstm": {"filters": 2, "hidden": 4, "pool_after": [1, 2]},
    "opn": {"filters": 3},
    "oml": {"filters": 3, "hidden": 4, "pools": 2},
    "anml": {"filters": 2, "modulating_filters": 2, "pools": 2},
    "fine_tuning": {"filters": 2, "pools": 2},
}


@pytest.fixture
def conduct(run):
    def conduct(learner, **changes):
        return run("continual", learner, {**copy.deepcopy(CONFIG), "model": SIZES[learner], **changes})

    return conduct


@pytest.mark.parametrize("method", sorted(set(SIZES) - {"fine_tuning"}))
def test_a_run_says_what_is_known_of_each_subtask(conduct, method):
    outcome = conduct(method)
    rows = {(row["seen"], row["first"], row["last"]): row for row in outcome.scores}
    assert {(n, 1, n) for n in (1, 2, 3)} | {(n, 1, 1) for n in (1, 2, 3)} | {(3, i, i) for i in (1, 2, 3)} <= set(rows)
    assert (3, 1, 2) in rows
    assert all(0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1 for row in outcome.scores)
    # queries of each subtask are as many: the mean of all is the mean of the means
    each = [rows[3, i, i]["accuracy"] for i in (1, 2, 3)]
    assert rows[3, 1, 3]["accuracy"] == pytest.approx(np.mean(each))
    assert rows[3, 1, 2]["accuracy"] == pytest.approx(np.mean(each[:2]))
    assert outcome.metrics["accuracy_3_subtasks"] == pytest.approx(rows[3, 1, 3]["accuracy"], abs=1e-5)
    assert outcome.metrics["accuracy_of_the_first_at_the_end"] == pytest.approx(each[0], abs=1e-5)
    assert [row["stage"] for row in outcome.history] == [2, 2, 2]
    assert len(outcome.example["probability"]) == 3 and [len(row) for row in outcome.example["known"]] == [1, 2, 3]
    assert outcome.facts["flops_per_step"] > 0 and outcome.facts["training_episodes"] == 24


@pytest.mark.parametrize(("method", "longest"), [("cl_lstm", 3), ("opn", 4), ("oml", 4), ("anml", 4)])
def test_only_a_learner_without_weights_for_labels_is_asked_for_more_of_them(conduct, method, longest):
    outcome = conduct(method)
    assert outcome.facts["longest_test"] == longest == max(row["seen"] for row in outcome.scores)
    assert ("accuracy_4_subtasks" in outcome.metrics) == (longest == 4)


def test_fine_tuning_is_trained_on_support_sets_alone(conduct):
    outcome = conduct("fine_tuning", curriculum=[{"pretrain": {"n_way": 3, "k_shot": 2, "n_query": 1}}])
    assert [row["stage"] for row in outcome.history] == [1, 1, 1]
    with pytest.raises(UserError, match="pretrain is for learners that adapt to a support set; oml does not"):
        conduct("oml", curriculum=[{"pretrain": {"n_way": 3, "k_shot": 2, "n_query": 1}}])
    with pytest.raises(UserError, match="curriculum has no stage"):
        conduct("oml", curriculum=[])


def test_the_same_seed_gives_the_same_numbers(conduct):
    assert conduct("oml").metrics == conduct("oml", data=CONFIG["data"]).metrics


def test_what_is_measured_on_is_as_it_is(conduct, images, monkeypatch):
    """Only training characters are turned into four; validation, test and longer tests are not."""
    built = []

    class Noted(continual.Continual):
        def __init__(self, images, *args, **settings):
            super().__init__(images, *args, **settings)
            built.append((images[0, 0].flatten().tolist(), len(self.images)))

    monkeypatch.setattr(continual, "Continual", Noted)
    conduct("opn")
    train = images[0, 0].flatten().tolist()
    assert {count for first, count in built if first == train} == {16}  # four classes, four ways each
    assert {count for first, count in built if first != train} == {4}
