"""The stand-in: as many classes as Omniglot; a class is one character, and its drawings differ."""

import numpy as np
import pytest
import torch

from metamemory.data import glyphs
from metamemory.data.images import area_average

pytestmark = pytest.mark.slow  # all 1,623 classes are drawn once, 20 s


@pytest.fixture(scope="module")
def classes() -> dict[str, np.ndarray]:
    return dict(glyphs.draw_classes())


def test_has_the_shape_of_omniglot(classes):
    assert len(classes) == 1623
    for drawings in classes.values():
        assert drawings.shape == (20, 105, 105)
        assert np.isin(drawings, (0, 255)).all()
        assert (drawings == 0).any(axis=(1, 2)).all()  # no drawing is empty
    ink = np.mean([(drawings == 0).mean() for drawings in classes.values()])
    assert 0.04 < ink < 0.09  # Omniglot: 0.08


def test_splits(classes, assert_partition):
    names = tuple(classes)
    splits = glyphs.splits(names)
    assert_partition(splits["vinyals"], {"train": 1028, "validation": 172, "test": 423})
    sizes = {part: len(indices) for part, indices in splits["lake"].items()}
    assert_partition(splits["lake"], sizes)
    assert sizes == pytest.approx({"train": 806, "validation": 158, "test": 659}, abs=40)
    scripts = [{names[index].partition("/")[0] for index in indices} for indices in splits["lake"].values()]
    assert sum(map(len, scripts)) == len(set.union(*scripts))


def test_is_the_same_every_time_and_a_class_does_not_depend_on_the_others(classes):
    for name, drawings in glyphs.draw_classes(5):
        assert np.array_equal(drawings, classes[name])


def test_drawings_differ(classes):
    for drawings in list(classes.values())[::50]:
        assert len(np.unique(drawings, axis=0)) == 20


def test_a_class_is_recognisable(classes):
    """The nearest mean of ten writers' drawings tells what the other ten drew, far above chance (1 in 60)."""
    drawings = torch.from_numpy(255 - np.stack(list(classes.values())[::27][:60]))
    small = area_average(drawings, 7).flatten(2).float()
    means = small[:, :10].mean(1)
    nearest = torch.cdist(small[:, 10:].flatten(0, 1), means).argmin(1).view(60, 10)
    accuracy = (nearest == torch.arange(60)[:, None]).float().mean()
    assert 0.5 < accuracy < 0.98  # nor is it trivial


def test_thinning_keeps_the_topology():
    image = np.zeros((1, 105, 105), bool)
    image[0, 20:80, 20:80] = True
    image[0, 40:60, 40:60] = False  # a ring
    image[0, 90:92, 90:92] = True  # and a dot, which many thinning algorithms lose
    thin = glyphs._thin(image)
    assert thin[0, 88:94, 88:94].any()
    assert thin.sum() < 0.1 * image.sum()
    assert thin[0, :, 50].sum() == 2 and thin[0, 50].sum() == 2  # the ring is still closed
