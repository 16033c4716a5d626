"""Rules that are trained otherwise than by what their networks answer: to imitate, and by evolution."""

import copy
from dataclasses import replace

import pytest
import torch

from metamemory.errors import UserError
from metamemory.protocols.conduct import conduct

TASK = {"n_way": 4, "steps": 2, "minibatch": 4, "n_query": 5, "crop": 8, "size": 4}
CONFIG = {
    "data": {"name": "digits", "size": 8},
    "task": TASK,
    "training": {"episodes": 8, "batch_size": 2, "validations": 2, "validation_episodes": 2, "warmup": 0},
    "evaluation": {"networks": 2, "at": [0, 2], "n_query": 10},
    "tests": {"same": {}, "large": {"crop": 8, "size": 8, "hidden": [5]}},
}
CLONED = {**CONFIG, "protocol": "cloned_rules", "learner": "cloned_backpropagation", "cloning": {"rate": 0.05}}
PAIRS = {"strategy": "antithetic", "population": 4, "deviation": 0.1}
EVOLVED = {**CONFIG, "protocol": "evolved_rules", "learner": "vsml", "evolution": PAIRS, "model": {"units": 4}}
COVARIANCE = {
    **EVOLVED,
    "learner": "blur_evolved",
    "evolution": {**PAIRS, "strategy": "covariance"},
    "model": {"states": 2, "hidden": [4]},
}


@pytest.fixture
def few(context):
    draw = torch.Generator().manual_seed(3)
    found = context(torch.randint(0, 256, (4, 24, 1, 8, 8), generator=draw, dtype=torch.uint8))
    return replace(found, images=replace(found.images, splits={}))


def done(config, context, seed=0, **changes):
    return conduct(copy.deepcopy({**config, **changes}), seed, context)


def test_a_cloned_rule_is_trained_on_synapses_and_tested_as_a_rule(few):
    outcome = done(
        CLONED, few, training={**CONFIG["training"], "episodes": 60_000, "batch_size": 400, "learning_rate": 0.02}
    )
    assert [(row["test"], row["step"]) for row in outcome.scores] == [(0, 0), (0, 2), (1, 0), (1, 2)]
    assert outcome.history[-1]["loss"] < outcome.history[0]["loss"]
    errors = {name: each for name, each in outcome.metrics.items() if name.startswith("error_")}
    assert set(errors) == {"error_y", "error_back", "error_of_w", "error_of_b"} and max(errors.values()) < 0.7


def test_pairs_move_the_rule_and_nothing_else(few):
    """Adam's first steps are as large as its rate: no number is where it was, and none is further than two of them."""
    begun = {}
    kept = replace(few, before_training=lambda learner: begun.update(copy.deepcopy(learner.state_dict())))
    training = {**CONFIG["training"], "episodes": 4, "learning_rate": 0.01, "cooldown": 0.0}
    outcome = done(EVOLVED, kept, training=training)
    assert outcome.history[-1]["episodes"] == 4
    for name, each in outcome.learner.named_parameters():
        far = (each - begun[name]).abs()
        assert (far > 0).any() and far.max() < 0.021, name
    again = done(EVOLVED, replace(few, checkpoint=few.checkpoint.with_name("again.pt")), training=training)
    assert outcome.scores == again.scores and outcome.history[0]["loss"] == again.history[0]["loss"]


@pytest.mark.parametrize("config", [EVOLVED, COVARIANCE], ids=["antithetic", "covariance"])
def test_what_is_interrupted_goes_on_to_the_same_bits(few, config):
    if config is COVARIANCE:
        pytest.importorskip("cma", reason="the package cma is not installed")
    whole = done(config, few)
    stopped = replace(few, checkpoint=few.checkpoint.with_name("stopped.pt"), minutes=0.0)
    calls, outcome = 0, None
    while outcome is None:  # an update a call
        outcome, calls = done(config, stopped), calls + 1
        assert calls < 10
    assert calls > 2
    weights = outcome.learner.state_dict()
    for name, each in whole.learner.state_dict().items():
        assert torch.equal(each, weights[name]), name
    assert whole.scores == outcome.scores


def test_the_losses_that_a_strategy_was_told_are_kept_with_the_rule(few):
    pytest.importorskip("cma", reason="the package cma is not installed")
    outcome = done(COVARIANCE, few)
    assert outcome.learner.told.shape[1] == 4 and 1 <= len(outcome.learner.told) <= 4
    assert not torch.equal(outcome.learner.origin, torch.cat([each.flatten() for each in outcome.learner.parameters()]))


def test_faults_of_a_strategy_are_told_before_training(few):
    with pytest.raises(UserError, match="3 pairs cannot share a batch of 2"):
        done(EVOLVED, few, evolution={**PAIRS, "population": 6})
    with pytest.raises(UserError, match="0 pairs cannot share"):
        done(EVOLVED, few, evolution={**PAIRS, "population": 1})
    pytest.importorskip("cma", reason="the package cma is not installed")
    with pytest.raises(UserError, match="vsml: it cannot keep what a strategy is told"):
        done(EVOLVED, few, evolution=COVARIANCE["evolution"])
    with pytest.raises(UserError, match="population is 1"):
        done(COVARIANCE, few, evolution={**COVARIANCE["evolution"], "population": 1})
