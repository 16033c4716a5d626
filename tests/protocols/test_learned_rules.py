"""Networks that learn by a rule: what is trained, what is tested, what is chosen."""

import copy
from dataclasses import replace

import pytest
import torch

from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.protocols.conduct import conduct
from metamemory.protocols.learned_rules import LearnedRulesProtocol

CONFIG = {
    "protocol": "learned_rules",
    "learner": "blur",
    "data": {"name": "digits", "size": 8, "other": "drawings"},
    "task": {"n_way": 4, "steps": 2, "minibatch": 6, "n_query": 5, "crop": 8, "size": 4, "groups": [[0, 1], [1, 2, 3]]},
    "curriculum": [{"steps": 1, "episodes": 4}],
    "training": {"episodes": 8, "batch_size": 2, "validations": 2, "validation_episodes": 2, "warmup": 0},
    "evaluation": {"networks": 3, "at": [0, 2, 3], "n_query": 20},
    "tests": {"same": {}, "large": {"crop": 8, "size": 8, "hidden": [7, 5]}, "other": {"other": True, "permuted": 1.0}},
    "model": {"hidden": [6]},
}
SGD = {**CONFIG, "learner": "sgd_network", "model": {"hidden": [6], "rates": [1e-6, 0.5], "momenta": [0.0]}}


@pytest.fixture
def both(context):
    """Four classes, in each of which another corner is bright, and a second data set of six."""
    draw = torch.Generator().manual_seed(3)
    bright = torch.randint(0, 90, (4, 24, 1, 8, 8), generator=draw, dtype=torch.uint8)
    for label in range(4):
        row, column = 4 * (label // 2), 4 * (label % 2)
        bright[label, :, :, row : row + 4, column : column + 4] += 150
    other = torch.randint(0, 256, (6, 24, 1, 8, 8), generator=draw, dtype=torch.uint8)
    found = context()
    second = ImageSet("drawings", None, "1", other, tuple("abcdef"), {}, "drawings")
    first = ImageSet("digits", None, "0", bright, tuple("0123"), {}, "digits", second)
    return replace(found, images=first)


def done(config, context, seed=0):
    return conduct(copy.deepcopy(config), seed, context)


def test_every_test_is_a_learning_curve(both):
    outcome = done(CONFIG, both)
    rows = outcome.scores
    assert [(row["test"], row["step"], row["examples"]) for row in rows] == [
        (test, step, 6 * step) for test in range(3) for step in (0, 2, 3)
    ]
    assert all(0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1 and row["candidate"] == 0 for row in rows)
    assert outcome.metrics["accuracy_large"] == pytest.approx(rows[5]["accuracy"], abs=1e-5)
    assert outcome.metrics["curve_same"] == pytest.approx(sum(row["accuracy"] for row in rows[:3]) / 3, abs=1e-5)
    assert outcome.facts["data"]["title"] == "digits and drawings" and outcome.facts["test_episodes"] == 3
    assert set(outcome.example["tests"]) == {"same", "large", "other"}
    shown = outcome.example["tests"]["large"]
    assert shown["x_shape"][1:] == [1, 8, 8] and len(shown["answers"]) == 3
    assert len(shown["answers"][0]) == len(shown["y"]) == shown["x_shape"][0]
    assert outcome.history[-1]["episodes"] == 8 and outcome.history[-1]["stage"] == 2


def test_the_same_seed_gives_the_same_bits_and_networks_of_tests_are_the_same_for_every_seed(both):
    one = done(CONFIG, both)
    again = done(CONFIG, replace(both, checkpoint=both.checkpoint.with_name("again.pt")))
    assert one.metrics == again.metrics and one.scores == again.scores
    first, second = (done(SGD, replace(both, checkpoint=both.checkpoint.with_name(f"{n}.pt")), seed=n) for n in (0, 1))
    assert first.scores == second.scores


def test_tests_learn_from_training_images_and_are_asked_about_test_images(both):
    protocol = LearnedRulesProtocol(CONFIG, 0, both)
    large, other = (protocol._of_test(name, "test") for name in ("large", "other"))
    assert torch.equal(large.queries, both.images.images[:, 20:]) and large.groups is None and large.n_way == 4
    assert other.images.shape[0] == 6 and other.permuted == 1 and other.images.shape[-1] == 4
    assert torch.equal(protocol._of_test("large", "validation").queries, both.images.images[:, [9, 19]])
    assert protocol.task("train").groups == CONFIG["task"]["groups"]


def test_the_best_candidate_of_held_out_images_is_taken_for_each_test(both):
    outcome = done(SGD, both)
    assert {row["candidate"] for row in outcome.scores if row["test"] == 1} == {1}
    assert not outcome.history and "training_episodes" in outcome.facts
    slow = done({**SGD, "model": {**SGD["model"], "rates": [1e-6]}}, both)
    assert outcome.metrics["accuracy_large"] > slow.metrics["accuracy_large"] + 0.2


def test_faults_are_told_before_training(both):
    with pytest.raises(UserError, match="lstm: its answers are of kind label; this protocol measures rule"):
        done({**CONFIG, "learner": "lstm", "model": {}}, both)
    alone = replace(both, images=replace(both.images, other=None))
    with pytest.raises(UserError, match="tests.other: other is true, but there is no data.other"):
        done(CONFIG, alone)
    with pytest.raises(UserError, match="crop is 9 and must be from 1 to 8"):
        done({**CONFIG, "tests": {"same": {"crop": 9}}}, both)
