"""Stages of pre-training in the curriculum, and the learners that cannot be given them."""

import copy

import pytest

from metamemory.errors import UserError

CONFIG = {
    "data": {"name": "drawings", "split": "thirds", "size": 8},
    "task": {"n_way": 3, "samples_per_class": 3, "delay": 1, "rotations": True},
    "curriculum": [
        {"pretrain": {"n_way": 3, "k_shot": 1, "n_query": 2}, "episodes": 16},
        {"n_way": 2, "samples_per_class": 3, "episodes": 8},
    ],
    "training": {"episodes": 40, "batch_size": 4, "validations": 5, "validation_episodes": 4},
    "evaluation": {"episodes": 4, "batch_size": 4},
}
SIZES = {"cnn_lstm": {"filters": 3, "hidden": 8, "pools": 1}, "lstm": {"hidden": 8}}


@pytest.fixture
def conduct(run):
    def conduct(learner, protocol="online_few_shot", **changes):
        return run(protocol, learner, {**copy.deepcopy(CONFIG), "model": SIZES[learner], **changes})

    return conduct


def test_pre_training_comes_before_the_stream(conduct):
    outcome = conduct("cnn_lstm")
    assert [row["stage"] for row in outcome.history] == [1, 2, 3, 3, 3]
    assert outcome.facts["stages_reached"] == "3 of 3"


def test_a_learner_that_cannot_be_pre_trained_is_refused_before_it_trains(conduct, tmp_path):
    with pytest.raises(UserError, match="pretrain is for learners that adapt to a support set; lstm does not"):
        conduct("lstm")
    assert not list(tmp_path.iterdir())


def test_more_labels_than_the_learner_knows_are_refused(conduct):
    with pytest.raises(UserError, match="pretrain.n_way is 4, but the learner knows 3 labels"):
        conduct("cnn_lstm", curriculum=[{"pretrain": {"n_way": 4, "k_shot": 1, "n_query": 2}}])


def test_with_delayed_labels_every_delay_is_tested(conduct):
    outcome = conduct("lstm", "delayed_labels", curriculum=[], task={**CONFIG["task"], "delay": 2})
    rows = outcome.example["by_delay"]
    assert [row["delay"] for row in rows if row["shot"] == 0] == list(range(1, 11))
    own = [row["accuracy"] for row in rows if row["delay"] == 2]
    assert own == pytest.approx([row["accuracy"] for row in outcome.scores][: len(own)])
    # of 9 steps none has seen two labels of its class where each comes 8 steps late
    assert max(row["shot"] for row in rows if row["delay"] == 8) == 1
