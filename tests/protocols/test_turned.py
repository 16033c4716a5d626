"""Tests on characters as they are, and with each character in its four turns."""

import copy

import pytest
import torch

from metamemory.protocols.protocol import Protocol

DATA = {"name": "drawings", "split": "thirds", "size": 8}
EVALUATION = {"episodes": 40, "batch_size": 20}
STREAMS = {
    "data": DATA,
    "task": {"n_way": 3, "samples_per_class": 3, "rotations": True},
    "evaluation": EVALUATION,
    "trained": "nothing",
}
QUERIES = {
    "data": DATA,
    "task": {"n_way": 2, "k_shot": 1, "n_query": 2, "rotations": True},
    "test": [{"n_way": 2}, {"n_way": 4}],
    "evaluation": EVALUATION,
    "trained": "nothing",
}


@pytest.fixture
def upright():
    """Images of twelve classes, [class, sample, 1, 8, 8], with ink in the upper half only, a column a class."""
    images = torch.zeros(12, 6, 1, 8, 8, dtype=torch.uint8)
    for number in range(12):
        images[number, :, :, :4, number % 8] = 255
    return images


def is_upright(x):
    """Whether there is ink in the upper half alone, whatever the pixels were normalised by."""
    ink = x > x.amin()
    return ink[..., :4, :].any(dim=(-1, -2)) & ~ink[..., 4:, :].any(dim=(-1, -2))


def test_streams_are_tested_as_they_are_and_turned(run, upright):
    outcome = run("turned_streams", "counting", copy.deepcopy(STREAMS), upright)
    assert [(row["turned"], row["shot"]) for row in outcome.scores] == [(t, k) for t in (0, 1) for k in range(3)]
    for k in range(3):
        for name, row in ((f"accuracy_{k}_shot", k), (f"accuracy_{k}_shot_turned", 3 + k)):
            assert outcome.metrics[name] == pytest.approx(outcome.scores[row]["accuracy"], abs=1e-5)
    assert outcome.history == []


def test_what_is_as_it_is_measures_as_in_the_test_itself(run):
    """The first of the two is the test of `online_few_shot` and of `support_query`, to the last digit."""
    twice = run("turned_streams", "nearest_neighbour", copy.deepcopy(STREAMS))
    once = run("inspection", "nearest_neighbour", copy.deepcopy(STREAMS))
    assert [{**row, "turned": 0} for row in once.scores] == twice.scores[:3]
    twice = run("turned_queries", "nearest_neighbour", copy.deepcopy(QUERIES))
    assert [(row["turned"], row["n_way"]) for row in twice.scores] == [(0, 2), (1, 2), (0, 4), (1, 4)]
    assert twice.metrics["accuracy_4_way_1_shot_turned"] == pytest.approx(twice.scores[3]["accuracy"], abs=1e-5)
    config = {**copy.deepcopy(QUERIES), "training": {"episodes": 4, "batch_size": 2, "validations": 1}}
    del config["trained"]
    once = run("support_query", "nearest_neighbour", config)
    assert [{"turned": 0, **row} for row in once.scores] == twice.scores[::2]


@pytest.mark.parametrize(("protocol", "config"), [("turned_streams", STREAMS), ("turned_queries", QUERIES)])
def test_turned_characters_are_in_the_second_test_alone(run, upright, monkeypatch, protocol, config):
    drawn = []
    tested = Protocol.tested

    def note(self, learner, test):
        episode = test.sample(50, torch.Generator().manual_seed(0))
        drawn.append(episode.x if hasattr(episode, "x") else episode.support_x)
        return tested(self, learner, test)

    monkeypatch.setattr(Protocol, "tested", note)
    run(protocol, "nearest_neighbour", copy.deepcopy(config), upright)
    shares = [is_upright(x).double().mean().item() for x in drawn]
    assert all(share == 1 for share in shares[::2])
    assert all(0.3 < share < 0.7 for share in shares[1::2])  # two of four turns leave the ink above
