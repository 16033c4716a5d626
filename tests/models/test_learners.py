"""What holds for every learner that answers with labels: whatever lies in models/ is tested here."""

import pytest
import torch
from torch.nn import functional as fn

from metamemory import models
from metamemory.errors import UserError
from metamemory.models import TaskDescription, available, learner_class
from metamemory.models.learner import Learner
from metamemory.study.methods import method
from metamemory.tasks.online_few_shot import OnlineFewShot

SMALL = {
    "lstm": {"hidden": 24},
    "cl_lstm": {"filters": 6, "hidden": 24, "pool_after": [1, 2]},
    "feedforward": {"hidden": 24},
    "autoencoder_neighbour": {"hidden": 16, "features": 8},
    "mann": {"hidden": 24, "slots": 16, "width": 6, "heads": 2},
    "mann_strength": {"hidden": 24, "slots": 16, "width": 6, "heads": 2},
    "mann_value_strength": {"hidden": 24, "slots": 16, "width": 6, "heads": 2, "own_slots": True},
    "mann_feedforward": {"hidden": 24, "slots": 16, "width": 6, "heads": 2},
    "ntm": {"hidden": 24, "rows": 16, "width": 8, "read_heads": 2},
    "meta_networks": {"network": "perceptron", "hidden": 16, "generator_hidden": 8, "initialisation": "lecun"},
    "matching": {"filters": 8, "distance": "euclidean"},  # cosines alone, of which none is large, learn slowly
    "siamese": {"filters": 8, "features": 16},
    "snail": {
        "length": 8,
        "attention": [[8, 4], [8, 4], [8, 4]],
        "tc_filters": 8,
        "features": 16,
        "filters": 8,
    },
    "transformer": {"layers": 2, "width": 16, "heads": 2, "filters": 8},
    "in_context": {"layers": 2, "width": 16, "heads": 2},
    "delta_net": {"width": 24, "heads": 3, "filters": 8},
    "srwm": {"width": 24, "heads": 3, "filters": 8},
    "opn": {"filters": 8},
    "protonet": {"filters": 8},
    "cpm": {"filters": 8, "features": 8, "hidden": 16},
    "apl": {"filters": 8, "features": 16, "neighbours": 3, "label_features": 8, "layers": 2, "size": 16},
    "cnn_lstm": {"filters": 6, "hidden": 24, "pools": 1},
    "cnn_f_lstm": {"filters": 6, "hidden": 24, "pools": 1},
    "oml": {"filters": 6, "hidden": 16, "pools": 2, "rate": 0.3},
    "anml": {"filters": 8, "modulating_filters": 8, "pools": 2, "rate": 0.1},
    "fine_tuning": {"filters": 8, "pools": 2, "rate": 0.03},
    "maml": {"filters": 8, "strided": False, "average": False, "rate": 0.03},
    "anil": {"filters": 8, "strided": False, "average": False, "rate": 0.1},
    "reptile": {"filters": 8, "strided": False, "rate": 0.03},
    "ridge": {"filters": 8, "penalty": 0.1},
    "cnp": {"filters": 8, "features": 16, "hidden": 16, "layers": 2},
}
SHOWN = ("protonet", "matching", "siamese")  # for them a class without a sample is not to be answered: see their files
VARIANTS = ("mann_strength", "mann_value_strength", "mann_feedforward", "cnn_f_lstm", "anil")
LEARNING_RATE = {
    "anml": 3e-3,
    "fine_tuning": 3e-3,
    "maml": 3e-3,
    "reptile": 3e-3,
}  # 0.01 for the others; faster, these go astray
SHAPE = (1, 8, 8)


def small(name, delay=1, n_way=3):
    torch.manual_seed(0)
    return method(name).build(TaskDescription(SHAPE, n_way, delay), SMALL.get(name)).eval()


def batch(images, delay=1, seed=0, batch=4):
    return OnlineFewShot(images, 3, 4, delay).sample(batch, torch.Generator().manual_seed(seed))


def trained(learner, episode, updates=3, rate=1e-2):
    """A few updates, so that running statistics and weights are not what they began as."""
    optimiser = torch.optim.Adam(learner.parameters(), lr=rate)
    y = torch.where(episode.shot >= 1, episode.y, -1) if learner.name in SHOWN else episode.y
    learner.train()
    for _ in range(updates):
        loss = fn.cross_entropy(learner(episode.x, episode.y_seen).flatten(0, 1), y.flatten(), ignore_index=-1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return learner.eval()


NAMES = [name for name in (*available(), *VARIANTS) if method(name).learner_class.answers == "label"]
LONG = ("anml", "fine_tuning", "maml")  # to learn a batch by heart takes them half a minute


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def learner(name, images):
    learner = small(name)
    return trained(learner, batch(images)) if list(learner.parameters()) else learner


def test_logits_have_the_shape_of_the_contract(learner, images):
    episode = batch(images)
    assert learner(episode.x, episode.y_seen).shape == (12, 4, 3)
    assert isinstance(learner.transductive, bool)


@pytest.mark.parametrize("delay", [1, 3])
def test_step_equals_forward(name, images, delay):
    learner, episode = small(name, delay), batch(images, delay)
    if list(learner.parameters()):
        trained(learner, episode)
    with torch.no_grad():
        whole = learner(episode.x, episode.y_seen)
        state = learner.initial_state(4)
        for t in range(12):
            logits, state = learner.step(episode.x[t], episode.y_seen[t], state)
            torch.testing.assert_close(logits, whole[t], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_comes_later_changes_nothing_before(learner, images):
    episode, t = batch(images), 7
    x, y_seen = episode.x.clone(), episode.y_seen.clone()
    x[t] = 1 - x[t]
    y_seen[t] = (y_seen[t] + 1) % 3
    before, after = learner(episode.x, episode.y_seen), learner(x, y_seen)
    assert torch.equal(before[:t], after[:t])
    assert not torch.equal(before[t:], after[t:])


@torch.no_grad()
def test_labels_alone_change_the_answers_from_then_on(learner, images):
    episode, t = batch(images), 7
    y_seen = episode.y_seen.clone()
    y_seen[t] = (y_seen[t] + 1) % 3
    before, after = learner(episode.x, episode.y_seen), learner(episode.x, y_seen)
    assert torch.equal(before[:t], after[:t])
    assert not torch.equal(before[t:], after[t:])


@torch.no_grad()
def test_episodes_of_a_batch_do_not_see_each_other(learner, images):
    episode = batch(images)
    alone = learner(episode.x[:, 2:3], episode.y_seen[:, 2:3])
    torch.testing.assert_close(alone[:, 0], learner(episode.x, episode.y_seen)[:, 2], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_queries_are_answered_from_a_frozen_state(learner, images):
    episode = batch(images)
    state = learner.initial_state(4)
    for t in range(6):
        _, state = learner.step(episode.x[t], episode.y_seen[t], state)
    answers = learner.predict(episode.x[6:9], state)
    assert answers.shape == (3, 4, 3)
    torch.testing.assert_close(learner.predict(episode.x[8:9], state)[0], answers[2])
    torch.testing.assert_close(answers, Learner.predict(learner, episode.x[6:9], state))  # one query after the other


def test_the_same_seed_gives_the_same_bits(name, images):
    if not list(small(name).parameters()):
        pytest.skip("nothing to train")
    one, two = (trained(small(name), batch(images)).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.slow) if each in LONG else each for each in NAMES]
)
def test_a_small_batch_can_be_learned_by_heart(name, images):
    learner, episode = small(name), batch(images, batch=2)
    if not list(learner.parameters()) or learner.trained_by == "reconstruction":
        pytest.skip("nothing to train, or not by its answers")
    for _ in range(8):  # how soon depends on how the processor rounds
        trained(learner, episode, updates=100, rate=LEARNING_RATE.get(name, 1e-2))
        learner.train()  # the very batch that it was trained on, statistics and all
        right = learner(episode.x, episode.y_seen).argmax(-1) == episode.y
        # a class not named yet is anybody's guess to a method whose answers are names that it was shown
        known = right[episode.shot >= 1].float().mean()
        if known > 0.95:
            break
    assert known > 0.95


def test_unknown_names_are_refused_with_what_there_is(name):
    with pytest.raises(UserError, match=f"{method(name).learner}: unknown setting filtres"):
        method(name).build(TaskDescription(SHAPE, 3), {"filtres": 3})
    with pytest.raises(UserError, match="no learner 'cl_ltsm'"):
        learner_class("cl_ltsm")


def test_classes_can_be_imported_from_the_package():
    assert models.CLLSTM is learner_class("cl_lstm")
    with pytest.raises(AttributeError):
        models.Missing  # noqa: B018
