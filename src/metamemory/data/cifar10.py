"""CIFAR-10 (Krizhevsky 2009): ten kinds of things, 6,000 photographs of 32 x 32 pixels each.

The canonical order of the classes is that of their labels; of a class the 5,000 images for training come before the
1,000 for testing, each in natural order of file name.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metamemory.data import cifar
from metamemory.data.store import Splits

HOST = cifar.HOST
ARCHIVES = {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"}  # md5, as torchvision pins it
PACK = "cifar10.zip"  # at a mirror
PACKED = False  # in colour
DIGEST = "f36c70093f5dab60d1017489c8baa82193c51c1b0f9ae4886f3fead824590472"  # of the whole, see store.Record
LAYOUT = cifar.Layout(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    names=("batches.meta", "label_names"),
    parts=(tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",)),
    labels="labels",
)


def read_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [6000, 32, 32, 3]) from the original archive; see `cifar.read_archive`."""
    return cifar.read_archive(path, LAYOUT)


def splits(classes: tuple[str, ...]) -> Splits:
    """None: every class is trained on and tested on."""
    return {}
