"""The stand-in for FSS-1000: the things of `scenes` with their masks, a thousand of them."""

import hashlib

import numpy as np

from metamemory.data import scenes, silhouettes


def test_has_the_form_of_fss1000(assert_partition):
    names, images = zip(*silhouettes.draw_classes(3), strict=True)
    assert names == ("silhouette_0000", "silhouette_0001", "silhouette_0002")
    assert images[2].shape == (10, 32, 32, 4) and images[2].dtype == np.uint8
    classes = tuple(f"silhouette_{index:04d}" for index in range(silhouettes.CLASSES))
    assert_partition(silhouettes.splits(classes)["hsnet"], {"train": 520, "validation": 240, "test": 240})


def test_the_fourth_channel_is_where_the_thing_is():
    ((_, images),) = silhouettes.draw_classes(1)
    pictures, masks = scenes.draw(0, 10, 32)
    assert np.array_equal(images[..., :3], pictures)
    assert np.array_equal(images[..., 3], np.where(masks, 255, 0))


def test_the_first_pictures_are_pinned():
    """A change here makes another data set: its digest changes, and every result on it has to be made again."""
    ((_, images),) = silhouettes.draw_classes(1)
    assert hashlib.sha256(images.tobytes()).hexdigest()[:16] == "9f0223eb63917b2b"
