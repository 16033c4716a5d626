"""Episodes are what the protocol says they are."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metamemory.errors import UserError
from metamemory.tasks import OnlineFewShot
from metamemory.tasks.online_few_shot import delayed, shots


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_shapes_and_types(images):
    episode = OnlineFewShot(images, n_way=5, presentations=4).sample(3, generator())
    assert episode.x.shape == (20, 3, 1, 8, 8) and episode.x.dtype == torch.float32
    assert episode.x.min() >= 0 and episode.x.max() <= 1
    for each in (episode.y_seen, episode.y, episode.shot):
        assert each.shape == (20, 3) and each.dtype == torch.int64


@settings(max_examples=25, deadline=None)
@given(n_way=st.integers(1, 6), presentations=st.integers(1, 5), delay=st.integers(1, 7), seed=st.integers(0, 99))
def test_labels_and_shots_by_loops(n_way, presentations, delay, seed):
    images = torch.zeros(12, 10, 1, 2, 2, dtype=torch.uint8)
    task = OnlineFewShot(images, n_way, presentations, delay)
    episode = task.sample(2, generator(seed))
    for b in range(2):
        y = episode.y[:, b].tolist()
        assert sorted(y) == sorted(list(range(n_way)) * presentations)
        for t in range(task.length):
            assert episode.y_seen[t, b] == (y[t - delay] if t >= delay else -1)
            revealed = y[: max(t - delay + 1, 0)]
            assert episode.shot[t, b] == revealed.count(y[t])


def test_a_drawing_is_of_its_class_and_never_shown_twice(images):
    """Every drawing is unique, so each x can be looked up: class and label must go together."""
    task = OnlineFewShot(images, n_way=4, presentations=6)
    episode = task.sample(5, generator())
    for b in range(5):
        class_of_label, met = {}, set()
        for t in range(task.length):
            found = ((images.float() / 255 - episode.x[t, b]).abs().amax(dim=(2, 3, 4)) < 1e-6).nonzero()
            (character, drawing), label = found[0].tolist(), episode.y[t, b].item()
            assert class_of_label.setdefault(label, character) == character
            assert (character, drawing) not in met
            met.add((character, drawing))
        assert len(set(class_of_label.values())) == 4


def test_labels_are_dealt_anew(images):
    """Over episodes a class has every label about equally often: no label can be learned by heart."""
    task = OnlineFewShot(images[:5], n_way=5, presentations=1)
    episode = task.sample(2000, generator())
    first_class = ((episode.x - images[0, :, None, None].float() / 255).abs().amax(dim=(-1, -2, -3)) < 1e-6).any(0)
    counts = torch.bincount(episode.y[first_class], minlength=5) / first_class.sum()
    assert (counts - 0.2).abs().max() < 0.04


def test_the_generator_decides_everything(images):
    """The first episodes of a seed are pinned: a change of the sampler shows here before it shows in results."""
    task = OnlineFewShot(images, n_way=3, presentations=2)
    one, two, other = (task.sample(2, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.x, two.x) and torch.equal(one.y, two.y)
    assert not torch.equal(one.y, other.y)
    digest = hashlib.sha256(one.y.numpy().tobytes() + (one.x * 255).round().byte().numpy().tobytes()).hexdigest()
    assert digest[:16] == "6e4cda2b80767bc5"


def test_rotations_make_four_classes_of_one(images):
    task = OnlineFewShot(images[:1], n_way=4, presentations=1, rotations=True)
    episode = task.sample(1, generator())
    assert sorted(episode.y[:, 0].tolist()) == [0, 1, 2, 3]
    turned = {tuple(torch.rot90(images[0, d, 0], k).flatten().tolist()) for d in range(10) for k in range(4)}
    for t in range(4):
        assert tuple((episode.x[t, 0, 0] * 255).round().long().flatten().tolist()) in turned


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_way": 13}, "n_way is 13 and must be from 1 to 12"),
        ({"presentations": 11}, "presentations is 11"),
        ({"delay": 0}, "delay is 0 and must be at least 1"),
    ],
)
def test_impossible_tasks_are_refused(images, wrong, message):
    with pytest.raises(UserError, match=message):
        OnlineFewShot(images, **{"n_way": 5, "presentations": 2, **wrong})


def test_delay_longer_than_the_episode_shows_nothing():
    y = torch.tensor([[0], [1], [0]])
    assert delayed(y, 5).tolist() == [[-1], [-1], [-1]]
    assert shots(y, 5).tolist() == [[0], [0], [0]]
