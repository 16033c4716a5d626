"""digits: the embedded stand-in for MNIST, for machines that can have it from nowhere.

Ten digits, each in the faces of fonts that ship with matplotlib, thinned, warped and inked as `glyphs` are: 28 x 28
pixels, white ink on black. They are neater than those of MNIST, and fewer. It is nobody's data set: results on it are
always labelled with its own name. The bits may differ between versions of Pillow or matplotlib, and with them the
digest.
"""

from collections.abc import Iterator

import numpy as np
import torch

from metamemory.data import glyphs
from metamemory.data.images import area_average
from metamemory.data.store import Splits

IMAGES, SIDE = 600, 28  # of each digit
PACKED = False
MADE = "drawn from the fonts that ship with matplotlib"
FACES = ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralItalic")


def draw_classes(images: int = IMAGES) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ("0" to "9", uint8 images [images, 28, 28]); the faces take turns."""
    hands = -(-images // (len(FACES) * glyphs.DRAWINGS))
    for digit in "0123456789":
        distances = glyphs.distances([(face, digit) for face in FACES])
        drawn = [
            glyphs.draw(distance, seed=(ord(digit) * len(FACES) + face) * 1000 + hand)
            for hand in range(hands)
            for face, distance in enumerate(distances)
        ]
        turns = np.stack(drawn, axis=1).reshape(-1, glyphs.SIDE, glyphs.SIDE)[:images]
        yield digit, area_average(torch.from_numpy(255 - turns), SIDE).numpy()


def splits(classes: tuple[str, ...]) -> Splits:
    """None, as MNIST has none."""
    return {}
