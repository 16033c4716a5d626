"""Episodes are what the protocol says they are."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metamemory.errors import UserError
from metamemory.tasks.augmentation import flip_and_shift
from metamemory.tasks.online_few_shot import OnlineFewShot, delayed, shots
from metamemory.tasks.sampling import denormalise, normalise


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_shapes_and_types(images):
    episode = OnlineFewShot(images, n_way=5, samples_per_class=4).sample(3, generator())
    assert episode.x.shape == (20, 3, 1, 8, 8) and episode.x.dtype == torch.float32
    assert episode.x.min() >= 0 and episode.x.max() <= 1
    for each in (episode.y_seen, episode.y, episode.shot):
        assert each.shape == (20, 3) and each.dtype == torch.int64


@settings(max_examples=25, deadline=None)
@given(n_way=st.integers(1, 6), samples_per_class=st.integers(1, 5), delay=st.integers(1, 7), seed=st.integers(0, 99))
def test_labels_and_shots_by_loops(n_way, samples_per_class, delay, seed):
    images = torch.zeros(12, 10, 1, 2, 2, dtype=torch.uint8)
    task = OnlineFewShot(images, n_way, samples_per_class, delay)
    episode = task.sample(2, generator(seed))
    for b in range(2):
        y = episode.y[:, b].tolist()
        assert sorted(y) == sorted(list(range(n_way)) * samples_per_class)
        for t in range(task.length):
            assert episode.y_seen[t, b] == (y[t - delay] if t >= delay else -1)
            revealed = y[: max(t - delay + 1, 0)]
            assert episode.shot[t, b] == revealed.count(y[t])


def test_a_drawing_is_of_its_class_and_never_shown_twice(images):
    """Every drawing is unique, so each x can be looked up: class and label must go together."""
    task = OnlineFewShot(images, n_way=4, samples_per_class=6)
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


def test_few_classes_are_spread_over_all(images):
    """And turned only after they were chosen."""
    task = OnlineFewShot(images, n_way=2, samples_per_class=1, classes=3, rotations=True)
    every = len(images) // 3
    assert torch.equal(task.images[:3], images[[0, every, 2 * every]])
    assert len(task.images) == 12
    with pytest.raises(UserError, match="classes is 1000"):
        OnlineFewShot(images, n_way=2, samples_per_class=1, classes=1000)


def test_a_few_drawings_of_a_class_come_in_turn(images):
    """Each as often as the others; with as many as are shown, the episodes are those without the setting."""
    task = OnlineFewShot(images, n_way=3, samples_per_class=6, images_per_class=2)
    episode = task.sample(4, generator())
    for b in range(4):
        for label in range(3):
            shown, counts = episode.x[episode.y[:, b] == label, b].flatten(1).unique(dim=0, return_counts=True)
            assert len(shown) == 2 and counts.tolist() == [3, 3]
    plain, all_differ = (OnlineFewShot(images, n_way=3, samples_per_class=6, images_per_class=n) for n in (None, 6))
    assert torch.equal(plain.sample(4, generator()).x, all_differ.sample(4, generator()).x)
    for bad in (0, 11):
        with pytest.raises(UserError, match=rf"images_per_class is {bad}\b"):
            OnlineFewShot(images, n_way=3, samples_per_class=6, images_per_class=bad)


def test_labels_are_reshuffled_in_every_episode(images):
    """Over episodes a class has every label about equally often: no label can be learned by heart."""
    task = OnlineFewShot(images[:5], n_way=5, samples_per_class=1)
    episode = task.sample(2000, generator())
    first_class = ((episode.x - images[0, :, None, None].float() / 255).abs().amax(dim=(-1, -2, -3)) < 1e-6).any(0)
    counts = torch.bincount(episode.y[first_class], minlength=5) / first_class.sum()
    assert (counts - 0.2).abs().max() < 0.04


def test_the_generator_decides_everything(images):
    """The first episodes of a seed are pinned: a change of the sampler shows here before it shows in results."""
    task = OnlineFewShot(images, n_way=3, samples_per_class=2)
    one, two, other = (task.sample(2, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.x, two.x) and torch.equal(one.y, two.y)
    assert not torch.equal(one.y, other.y)
    digest = hashlib.sha256(one.y.numpy().tobytes() + (one.x * 255).round().byte().numpy().tobytes()).hexdigest()
    assert digest[:16] == "6e4cda2b80767bc5"


def test_rotations_make_four_classes_of_one(images):
    task = OnlineFewShot(images[:1], n_way=4, samples_per_class=1, rotations=True)
    episode = task.sample(1, generator())
    assert sorted(episode.y[:, 0].tolist()) == [0, 1, 2, 3]
    turned = {tuple(torch.rot90(images[0, d, 0], k).flatten().tolist()): k for d in range(10) for k in range(4)}
    shown = [tuple((episode.x[t, 0, 0] * 255).round().long().flatten().tolist()) for t in range(4)]
    assert sorted(turned[each] for each in shown) == [0, 1, 2, 3]


def test_augmentation_changes_the_drawings_and_nothing_else(images):
    """The first episode has the same drawings and labels with and without: only how they are shown differs."""
    plain, one, two = (
        OnlineFewShot(images, n_way=3, samples_per_class=4, augment=augment).sample(2, generator())
        for augment in (False, True, True)
    )
    for name in ("y_seen", "y", "shot"):
        assert torch.equal(getattr(plain, name), getattr(one, name))
    assert torch.equal(one.x, two.x) and one.x.shape == plain.x.shape and one.x.dtype == plain.x.dtype
    expected = augmentations((plain.x * 255).round())
    assert (expected == (one.x * 255).round()).flatten(3).all(dim=-1).any(dim=0).all()


def test_photographs_are_seen_about_zero_and_can_be_had_back():
    photographs = torch.randint(256, (3, 6, 3, 8, 8), generator=generator(), dtype=torch.uint8)
    episode = OnlineFewShot(photographs, n_way=3, samples_per_class=4).sample(50, generator())
    assert abs(episode.x.mean()) < 0.05 and 1 < episode.x.std() < 1.3  # of even numbers, sqrt(4 / 3)
    kept = {tuple(each.flatten().tolist()) for each in photographs.flatten(0, 1)}
    assert all(tuple(each.flatten().tolist()) in kept for each in denormalise(episode.x).flatten(0, 1))


def test_ink_is_seen_as_1_and_can_be_had_back(images):
    assert torch.equal(normalise(images), images.float() / 255) and torch.equal(denormalise(normalise(images)), images)


def augmentations(x):
    """All that may become of [time, batch, channel, size, size], by slicing: [2 * places, time, batch, ...]."""
    size, margin = x.shape[-1], x.shape[-1] // 8
    found = []
    for image in (x, x.flip(-1)):
        padded = torch.zeros(*x.shape[:-2], size + 2 * margin, size + 2 * margin)
        padded[..., margin : margin + size, margin : margin + size] = image
        for down in range(2 * margin + 1):
            for right in range(2 * margin + 1):
                found.append(padded[..., down : down + size, right : right + size])
    return torch.stack(found)


def test_every_place_and_its_mirror_image_come_equally_often():
    """16 x 16 in colour: 2 pixels each way, 25 places, and all channels of an image go the same way."""
    image = torch.randint(1, 256, (3, 16, 16), generator=generator(), dtype=torch.uint8)
    x = flip_and_shift(image.expand(100, 50, 3, 16, 16), generator())
    same = (augmentations(image.float()[None, None])[:, None, None, 0, 0] == x).flatten(3).all(dim=-1)
    assert same.sum(dim=0).eq(1).all()  # each is one of them
    share = same.float().mean(dim=(1, 2))
    assert len(share) == 50 and (share - 0.02).abs().max() < 0.008


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_way": 13}, "n_way is 13 and must be from 1 to 12"),
        ({"samples_per_class": 11}, "samples_per_class is 11"),
        ({"delay": 0}, "delay is 0 and must be at least 1"),
    ],
)
def test_impossible_tasks_are_refused(images, wrong, message):
    with pytest.raises(UserError, match=message):
        OnlineFewShot(images, **{"n_way": 5, "samples_per_class": 2, **wrong})


def test_delay_longer_than_the_episode_shows_nothing():
    y = torch.tensor([[0], [1], [0]])
    assert delayed(y, 5).tolist() == [[-1], [-1], [-1]]
    assert shots(y, 5).tolist() == [[0], [0], [0]]
