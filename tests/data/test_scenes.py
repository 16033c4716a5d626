"""The stand-in for CIFAR-FS: a class is one thing, and its pictures differ."""

import hashlib

import numpy as np
import pytest
import torch

from metamemory.data import scenes
from metamemory.data.images import area_average


@pytest.fixture(scope="module")
def things() -> tuple[np.ndarray, np.ndarray]:
    """Thirty pictures of each of twenty classes, and their masks."""
    images, masks = zip(*(scenes.draw(index, 30, 32) for index in range(20)), strict=True)
    return np.stack(images), np.stack(masks)


def test_shapes_and_types(things):
    images, masks = things
    assert images.shape == (20, 30, 32, 32, 3) and images.dtype == np.uint8
    assert masks.shape == (20, 30, 32, 32) and masks.dtype == bool


def test_every_thing_can_be_seen_and_none_fills_the_picture(things):
    share = things[1].mean(axis=(2, 3))
    assert share.min() > 0.02 and share.max() < 0.8


def test_has_the_form_of_cifar_fs(assert_partition):
    names, images = zip(*scenes.draw_classes(3, 7), strict=True)
    assert names == ("scene_0000", "scene_0001", "scene_0002")
    assert np.array_equal(images[2], scenes.draw(2, 7, 32)[0])
    classes = tuple(f"scene_{index:04d}" for index in range(scenes.CLASSES))
    for split in ("bertinetto", "ravi"):
        assert_partition(scenes.splits(classes)[split], {"train": 64, "validation": 16, "test": 20})


def test_the_first_pictures_are_pinned():
    """A change here makes another data set: its digest changes, and every result on it has to be made again."""
    images, masks = scenes.draw(0, 4, 32)
    assert np.array_equal(images, scenes.draw(0, 4, 32)[0])
    assert hashlib.sha256(images.tobytes() + masks.tobytes()).hexdigest()[:16] == "9791f86cfc89d755"


def test_a_mask_is_where_the_thing_is(things):
    """Inside, pictures of a class are alike and unlike the ground; the ground tells nothing of the class."""
    images, masks = (torch.from_numpy(each) for each in things)
    hue = images.float() - images.float().mean(dim=-1, keepdim=True)
    means = {
        where: (hue * mask[..., None]).sum(dim=(2, 3)) / mask[..., None].sum(dim=(2, 3))
        for where, mask in {"thing": masks, "ground": ~masks}.items()
    }
    share = {
        where: (mean.mean(dim=1).var(dim=0) / mean.flatten(0, 1).var(dim=0)).mean() for where, mean in means.items()
    }
    assert share["thing"] > 0.5 and share["ground"] < 0.1  # of the variance of colour, what is between classes


def test_another_size_shows_the_same(things):
    large = torch.from_numpy(scenes.draw(3, 30, 64)[0])
    small = area_average(large.movedim(-1, 1), 32).movedim(1, -1)
    difference = (small.float() - torch.from_numpy(things[0][3]).float()).abs().mean()
    other = (small.float() - torch.from_numpy(things[0][4]).float()).abs().mean()
    assert difference < 12 < 30 < other


def test_is_recognisable_and_not_trivial(things):
    """5-way 1-shot by nearest neighbour on pixels: above chance, but far from perfect (on CIFAR-FS: 0.31)."""
    correct = []
    for pixels in torch.from_numpy(things[0]).flatten(2).float().split(5):
        for shown in range(10):
            nearest = torch.cdist(pixels[:, 10:], pixels[:, shown]).argmin(dim=-1)  # [class, asked]
            correct.append(nearest == torch.arange(5)[:, None])
    assert 0.25 < torch.stack(correct).float().mean() < 0.45


def test_a_thousand_classes_differ():
    """No two of them have like textures; of shapes, the simplest come again, but less than one in ten."""
    shapes, textures = [], []
    for index in range(1000):
        random = np.random.default_rng([scenes.SEED, index])
        shapes.append(scenes._silhouette(random, 16) > 0)
        textures.append(scenes._weave(random, 16) > 0.5)
    nearest = []  # class to each, and how much of the template differs
    for templates in (shapes, textures):
        flat = torch.from_numpy(np.stack(templates)).flatten(1).float()
        nearest.append(torch.cdist(flat, flat, p=1).fill_diagonal_(torch.inf).amin(dim=1) / 16**2)
    assert (nearest[0] > 0.02).float().mean() > 0.9
    assert nearest[1].min() > 0.08
