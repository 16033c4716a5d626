"""Networks in place of the learner's own: what is measured, and who can be measured so."""

import copy

import pytest

from metamemory.errors import UserError

CONFIG = {
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"n_way": 3, "k_shot": 1, "n_query": 2},
    "test": {"n_way": 3},
    "others": {"small": {"filters": 2, "seed": 1}, "own": {"filters": 3, "seed": 2}},
    "curve_episodes": 3,
    "training": {"episodes": 8, "batch_size": 2, "validations": 2, "validation_episodes": 4},
    "evaluation": {"episodes": 5, "batch_size": 2},
    "model": {"filters": 3, "hidden": 4, "generator_hidden": 4},
}


def test_each_network_is_measured_in_validation_and_at_the_end(run):
    outcome = run("exchanged_network", "meta_networks", copy.deepcopy(CONFIG))
    assert set(outcome.metrics) == {"accuracy", "accuracy_small", "accuracy_own"}
    assert [row["network"] for row in outcome.scores] == [0, 1, 2]
    assert all(0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1 for row in outcome.scores)
    assert outcome.metrics["accuracy"] == round(outcome.scores[0]["accuracy"], 5)
    for row in outcome.history:
        assert {"accuracy", "test_accuracy", "test_accuracy_small", "test_accuracy_own"} <= set(row)


def test_the_curve_changes_no_training(run):
    """The same weights are chosen, and the same tests answered, as without other networks."""
    config = copy.deepcopy(CONFIG)
    with_others = run("exchanged_network", "meta_networks", config)
    plain = {key: each for key, each in config.items() if key not in ("others", "curve_episodes")}
    assert run("support_query", "meta_networks", plain).metrics["accuracy"] == with_others.metrics["accuracy"]


def test_a_learner_of_no_weights_is_refused(run):
    with pytest.raises(UserError, match="protonet: it writes no weights for another network than its own"):
        run("exchanged_network", "protonet", {**copy.deepcopy(CONFIG), "model": {"filters": 2}})
