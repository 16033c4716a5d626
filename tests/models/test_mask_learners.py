"""What holds for every learner that answers with masks: whatever lies in models/ and says so is tested here."""

import pytest
import torch

from metamemory.models import TaskDescription, available, build, learner_class
from metamemory.models.learner import Learner
from metamemory.tasks.segmentation import Segmentation
from metamemory.tasks.segmentation_support_query import SegmentationSupportQuery

SMALL = {"cl_unet": {"filters": 4}, "unet": {"filters": 4}}
SHAPE = (3, 8, 8)


@pytest.fixture
def pictures():
    """[class 8, picture 10, channel 4, 8, 8] uint8: a bright square on a dark ground, and where it is."""
    images = torch.randint(0, 100, (8, 10, 4, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[:, :, 3] = 0
    for kind in range(8):
        for number in range(10):
            here = slice(number % 5, number % 5 + 4), slice(kind % 5, kind % 5 + 4)
            images[kind, number, :3, *here] += torch.tensor([155, 20 * kind, 0], dtype=torch.uint8)[:, None, None]
            images[kind, number, 3, *here] = 255
    return images


def stream(pictures, batch=3):
    return Segmentation(pictures, 4).sample(batch, torch.Generator().manual_seed(0))


def trained(learner, pictures, updates=3):
    """A few updates on the same batch, by the task that the learner is trained with; the last loss with it."""
    adapts = learner.adapts
    task = SegmentationSupportQuery(pictures, 4, 4) if adapts else Segmentation(pictures, 4)
    episode = task.sample(3, torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(learner.parameters(), lr=1e-2)
    learner.train()
    for _ in range(updates):
        score = task.score(learner, episode)
        optimiser.zero_grad()
        score.loss.backward()
        optimiser.step()
    return learner.eval(), score


@pytest.fixture(params=[name for name in available() if learner_class(name).answers == "mask"])
def name(request):
    return request.param


def small(name):
    torch.manual_seed(0)
    return build(name, TaskDescription(SHAPE, 2), SMALL.get(name, {}))


@pytest.fixture
def learner(name, pictures):
    return trained(small(name), pictures)[0]


@torch.no_grad()
def test_step_equals_forward(learner, pictures):
    episode = stream(pictures)
    whole = learner(episode.x, episode.y_seen)
    assert whole.shape == episode.y.shape and whole.dtype == torch.float32
    state = learner.initial_state(3)
    for t in range(8):
        logits, state = learner.step(episode.x[t], episode.y_seen[t], state)
        torch.testing.assert_close(logits, whole[t], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_comes_later_changes_nothing_before(learner, pictures):
    episode, t = stream(pictures), 5
    for name in ("x", "y_seen"):
        changed = {"x": episode.x, "y_seen": episode.y_seen, name: getattr(episode, name).clone()}
        changed[name][t] = 1 - changed[name][t]
        before, after = learner(episode.x, episode.y_seen), learner(**changed)
        assert torch.equal(before[:t], after[:t])
        assert not torch.equal(before[t:], after[t:])


@torch.no_grad()
def test_episodes_of_a_batch_do_not_see_each_other(learner, pictures):
    episode = stream(pictures)
    alone = learner(episode.x[:, 1:2], episode.y_seen[:, 1:2])
    torch.testing.assert_close(alone[:, 0], learner(episode.x, episode.y_seen)[:, 1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_nothing_is_left_of_an_episode(learner, pictures):
    """The learner after an episode is the one before it: what it learned went with the state."""
    episode = stream(pictures)
    weights = {name: value.clone() for name, value in learner.state_dict().items()}
    first = learner(episode.x, episode.y_seen)
    assert all(torch.equal(value, weights[name]) for name, value in learner.state_dict().items())
    assert torch.equal(learner(episode.x, episode.y_seen), first)


@torch.no_grad()
def test_queries_are_answered_from_a_frozen_state(learner, pictures):
    episode = stream(pictures)
    state = learner.initial_state(3)
    for t in range(4):
        _, state = learner.step(episode.x[t], episode.y_seen[t], state)
    answers = learner.predict(episode.x[4:7], state)
    assert answers.shape == (3, 3, 8, 8)
    torch.testing.assert_close(learner.predict(episode.x[6:7], state)[0], answers[2])


def test_the_same_seed_gives_the_same_bits(name, pictures):
    one, two = (trained(small(name), pictures)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_small_batch_can_be_learned_by_heart(name, pictures):
    score = trained(small(name), pictures, updates=200)[1]
    assert score.accuracy > 0.9


def test_a_learner_of_masks_says_so(learner):
    assert isinstance(learner, Learner) and learner.answers == "mask" and isinstance(learner.transductive, bool)
