"""MNIST (LeCun et al. 1998): ten handwritten digits, 28 x 28 pixels in grey, white ink on black.

Digits do not come equally often, and a data set here has as many images of each class. Of each digit these are the
first 4,460 images for training and, after them, the first 892 for testing: as many as there are of every digit, and one
in six of the whole, as in CIFAR-10.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metamemory.data.archives import read_member, told
from metamemory.data.store import Splits
from metamemory.errors import UserError

HOST = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
ARCHIVES = {"mnist.npz": "8a61469f7ea1b51cbae51d4f78837e45"}  # md5, as Keras pins it
PACK = "mnist.zip"  # at a mirror
PACKED = False  # in grey
DIGEST = "f3dff5dc32eae7e9a2a7e9619df4d352616ccde3ed8a5cfdbfb7e4be64ec264b"  # of what is used, see store.Record
COUNTS = {"train": 4460, "test": 892}  # images of a digit
SIDE = 28


def read_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ("0" to "9", uint8 images [5352, 28, 28]) from Keras's archive: four arrays, each in the original's order.

    Raises:
        UserError: the archive is truncated, or an array is missing or of another shape.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {part: _part(archive, part) for part in COUNTS}
    except Exception as reason:  # what a damaged archive may raise is anything at all
        raise UserError(f"{path} is not the archive of MNIST ({told(reason)}): fetch it again") from reason
    for digit in range(10):
        of_digit = [images[labels == digit][: COUNTS[part]] for part, (images, labels) in parts.items()]
        yield str(digit), np.concatenate(of_digit)


def _part(archive: zipfile.ZipFile, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [image, 28, 28] and labels [image]."""
    images, labels = (_array(archive, f"{kind}_{part}.npy") for kind in ("x", "y"))
    if images.dtype != np.uint8 or images.shape != (len(labels), SIDE, SIDE):
        raise ValueError(f"x_{part} is {images.dtype} {list(images.shape)}, with {len(labels)} labels")
    return images, labels


def _array(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    return np.lib.format.read_array(io.BytesIO(read_member(archive, member)), allow_pickle=False)


def splits(classes: tuple[str, ...]) -> Splits:
    """None: all digits are trained on and tested on."""
    return {}
