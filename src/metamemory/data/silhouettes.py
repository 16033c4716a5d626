"""silhouettes: the embedded stand-in for FSS-1000, for machines that cannot have it.

The things of `scenes`, with their masks: a thousand classes of ten pictures, each class with a shape and a texture of
its own, so that those met in testing are new in both. What is harder than in FSS-1000 and what is easier: nothing but
shape and texture tells a thing from its ground, but things are always whole, and alike but for place, size, turn and
light. It is nobody's data set: results on it are always labelled with its own name.

32 x 32 pixels, in some seconds; where larger ones are asked for, pixels are repeated.
"""

from collections.abc import Iterator

import numpy as np

from metamemory.data import scenes
from metamemory.data.store import Splits

CLASSES, PICTURES, SIDE = 1000, 10, 32
PACKED = False
MADE = "painted by numpy from a fixed seed"


def draw_classes(count: int = CLASSES, pictures: int = PICTURES, size: int = SIDE) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [pictures, size, size, 4]: red, green, blue, mask) of the first `count` classes.

    The mask is 255 on the thing, else 0.
    """
    for index in range(count):
        images, masks = scenes.draw(index, pictures, size)
        yield f"silhouette_{index:04d}", np.concatenate([images, 255 * masks[..., None].astype(np.uint8)], axis=-1)


def splits(classes: tuple[str, ...]) -> Splits:
    """The one split of FSS-1000, under its name: 520 / 240 / 240 of the classes, which come in random order."""
    parts = zip(("train", "validation", "test"), np.split(np.arange(len(classes)), [520, 760]), strict=True)
    return {"hsnet": {part: indices.tolist() for part, indices in parts}}
