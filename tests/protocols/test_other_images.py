"""Two data sets in one run: tested on the other, or the rule trained on it as well."""

import copy
from dataclasses import replace

import pytest
import torch

from metamemory.data.images import ImageSet
from metamemory.errors import UserError
from metamemory.protocols.conduct import conduct
from metamemory.protocols.other_images import OtherImagesProtocol
from metamemory.protocols.reverse_transfer import ReverseTransferProtocol

CONFIG = {
    "protocol": "other_images",
    "learner": "meta_networks",
    "data": {"name": "drawings", "split": "thirds", "size": 8, "other": "digits"},
    "task": {"n_way": 3, "k_shot": 1, "n_query": 2},
    "test": {"n_way": 2},
    "training": {"episodes": 4, "batch_size": 1, "validations": 2, "validation_episodes": 2, "clip_norm": 10.0},
    "evaluation": {"episodes": 4, "batch_size": 2},
    "model": {"filters": 3, "hidden": 4, "generator_hidden": 4},
}
SECOND = {"permutations": 3, "tasks": 4, "every": 2, "repeats": 2, "test_episodes": 3}
REVERSE = {
    **CONFIG,
    "protocol": "reverse_transfer",
    "model": {"network": "perceptron", "hidden": 4, "generator_hidden": 4},
    "second": SECOND,
}


@pytest.fixture
def both(context):
    """A context whose images have a second data set: 5 classes of 60 images."""
    random = torch.Generator().manual_seed(3)
    other = torch.randint(0, 256, (5, 60, 1, 8, 8), generator=random, dtype=torch.uint8)
    found = context()
    digits = ImageSet("digits", "mnist", "1", other, tuple("01234"), {}, "digits (stand-in for MNIST)")
    return replace(found, images=replace(found.images, other=digits))


def done(config, context, seed=0):
    return conduct(copy.deepcopy(config), seed, context)


def test_tests_are_of_the_last_sixth_of_the_other_set(both):
    protocol = OtherImagesProtocol(CONFIG, 0, both)
    assert protocol.task("test").images.equal(both.images.other.images[:, 50:])
    assert protocol.task("validation").images.equal(both.images.images[4:8])
    outcome = done(CONFIG, both)
    assert outcome.facts["data"]["title"] == "Omniglot, then digits (stand-in for MNIST)"
    assert 0 <= outcome.metrics["accuracy"] <= 1 and [row["n_way"] for row in outcome.scores] == [2]


def test_training_does_not_look_at_the_other_set(both):
    black = replace(both.images.other, images=torch.zeros_like(both.images.other.images))
    altered = replace(both, images=replace(both.images, other=black), checkpoint=both.checkpoint.with_name("other.pt"))
    first, second = done(CONFIG, both), done(CONFIG, altered)
    assert [row["loss"] for row in first.history] == [row["loss"] for row in second.history]


@pytest.mark.parametrize("config", [CONFIG, REVERSE])
def test_a_set_that_is_missing_or_unlike_is_refused_before_training(both, config):
    with pytest.raises(UserError, match="data.other is missing"):
        done(config, replace(both, images=replace(both.images, other=None)))
    wide = replace(both.images.other, images=torch.zeros(5, 60, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(UserError, match=r"images are \[3, 8, 8\] .* but those of omniglot \[1, 8, 8\]") as error:
        done(config, replace(both, images=replace(both.images, other=wide)))
    assert "\n" not in str(error.value)


def test_a_row_for_every_measurement_and_the_same_every_time(both):
    outcome = done(REVERSE, both)
    assert [row["tasks"] for row in outcome.scores] == [2, 4]
    for row in outcome.scores:
        assert row["low"] <= row["change"] <= row["high"] and 0 <= row["second_accuracy"] <= 1
    assert outcome.metrics["change_at_the_end"] == round(outcome.scores[-1]["change"], 5)
    assert outcome.facts["second_repeats"] == 2
    again = done(REVERSE, replace(both, checkpoint=both.checkpoint.with_name("again.pt")))
    assert again.scores == outcome.scores


def test_the_learner_is_left_as_it_was_and_only_its_rule_moves_in_a_repeat(both, monkeypatch):
    protocol = ReverseTransferProtocol(REVERSE, 0, both)
    learner = protocol.learner_class((1, 8, 8), 3, network="perceptron", hidden=4, generator_hidden=4)
    before = copy.deepcopy(learner.state_dict())
    measured = []
    monkeypatch.setattr(
        ReverseTransferProtocol,
        "_accuracy",
        lambda self, learner: measured.append(copy.deepcopy(learner.state_dict())) or 0.5,
    )
    rows = list(protocol._repeat(learner, 0, 0.5))
    assert [change for change, _ in rows] == [0.0, 0.0] and len(measured) == 2
    assert all(value.equal(learner.state_dict()[name]) for name, value in before.items())
    for name, value in before.items():
        moved = [not value.equal(each[name]) for each in measured]
        if name.startswith(("m.", "d.")) and name.endswith("weight"):
            assert all(moved), name
        elif name.startswith(("base.", "embedding.")):
            assert not any(moved), name


def test_repeats_differ(both):
    protocol = ReverseTransferProtocol({**REVERSE, "second": {**SECOND, "tasks": 20, "every": 20}}, 0, both)
    learner = protocol.learner_class((1, 8, 8), 3, network="perceptron", hidden=4, generator_hidden=4)
    assert list(protocol._repeat(learner, 0, 0.0)) != list(protocol._repeat(learner, 1, 0.0))


def test_a_repeat_that_is_done_is_not_done_again(both, monkeypatch):
    whole = done(REVERSE, replace(both, checkpoint=both.checkpoint.with_name("whole.pt")))
    begun, repeat_of = [], ReverseTransferProtocol._repeat

    def stopped_in_the_second(self, learner, repeat, before):
        begun.append(repeat)
        if begun == [0, 1]:
            raise KeyboardInterrupt
        yield from repeat_of(self, learner, repeat, before)

    monkeypatch.setattr(ReverseTransferProtocol, "_repeat", stopped_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        done(REVERSE, both)
    assert done(REVERSE, both).scores == whole.scores
    assert begun == [0, 1, 1]


def test_what_cannot_be_is_refused(both):
    with pytest.raises(UserError, match="protonet: it has no rule that could be shared"):
        done({**REVERSE, "learner": "protonet", "model": {"filters": 2}}, both)
    with pytest.raises(UserError, match="second.every is 5, but there are 4 tasks"):
        done({**REVERSE, "second": {**SECOND, "every": 5}}, both)
