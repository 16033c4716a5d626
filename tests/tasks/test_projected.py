"""Tasks made by random projections: each has its number, and its images and labels follow from that."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.tasks.projected import Projected

torch.manual_seed(0)
IMAGES = torch.randint(256, (6, 12, 1, 5, 5), dtype=torch.uint8)


def projected(**settings):
    return Projected(IMAGES, **{"n_way": 3, "steps": 20, "features": 4, **settings})


def drawn(task, batch=8, seed=0):
    return task.sample(batch, torch.Generator().manual_seed(seed))


def sources(task, episode, matrix, classes, b):
    """Class and image of each step: the one whose projection is what is seen."""
    flat = (IMAGES.flatten(2).float() / 255 - task.mean) / task.deviation
    every = torch.einsum("cip,fp->cif", flat, matrix)
    for x, y in zip(episode.x[:, b, 0, 0], episode.y[:, b].tolist(), strict=True):
        distances = (every - x).norm(dim=-1)
        assert distances.min() < 1e-4
        yield int(distances.argmin()) // IMAGES.shape[1], int(classes[y])


def test_an_episode_is_images_of_one_task_projected_by_its_matrix():
    task = projected(tasks=1)
    matrix, classes = task.task(0)
    assert matrix.shape == (4, 25) and len(set(classes.tolist())) == 3
    episode = drawn(task)
    assert episode.x.shape == (20, 8, 1, 1, 4)
    assert all(found == named for b in range(8) for found, named in sources(task, episode, matrix, classes, b))
    assert torch.equal(episode.y_seen[1:], episode.y[:-1]) and (episode.y_seen[0] == -1).all()


def test_a_number_is_a_task_and_other_seeds_have_others():
    task, again, other = projected(), projected(), projected(task_seed=1)
    assert all(torch.equal(*pair) for pair in zip(task.task(17), again.task(17), strict=True))
    assert not torch.equal(task.task(17)[0], task.task(18)[0])
    assert not torch.equal(task.task(17)[0], other.task(17)[0])


def test_labels_can_be_fixed():
    task = projected(tasks=1, fixed_labels=1.0)
    matrix, _ = task.task(0)
    episode = drawn(task, 2)
    first = torch.arange(3)
    assert all(found == named for found, named in sources(task, episode, matrix, first, 0))


def test_few_images_come_again():
    episode = drawn(projected(images_per_class=1))
    for b in range(8):
        for label in range(3):
            seen = episode.x[episode.y[:, b] == label, b]
            assert torch.allclose(seen, seen[:1].expand_as(seen), atol=1e-6)
    several = drawn(projected(images_per_class=2, steps=60))
    of_one = several.x[several.y[:, 0] == 0, 0]
    assert len(of_one.flatten(1).mul(1e4).round().unique(dim=0)) <= 2


def test_the_generator_decides_everything():
    one, other, third = (drawn(projected(), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.x, other.x) and not torch.equal(one.x, third.x)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"n_way": 7}, "n_way is 7 and must be from 2 to 6"),
        ({"tasks": 0}, "tasks is 0, and must be a whole number from 1"),
        ({"fixed_labels": 1.5}, "fixed_labels is 1.5, and must be a number from 0 to 1"),
        ({"images_per_class": 13}, "images_per_class is 13 and must be from 1 to 12"),
    ],
)
def test_settings_out_of_their_range_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        projected(**settings)
