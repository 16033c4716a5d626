"""CIFAR-FS (Bertinetto et al. 2019): the 100 classes of CIFAR-100 (Krizhevsky 2009) in three parts, for few shots.

600 photographs of 32 x 32 pixels a class. The canonical order of the classes is that of their names; of a class
the 500 images for training come before the 100 for testing, each in natural order of file name. (The few-shot
split is of classes, so the images of both kinds serve alike.)
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metamemory.data import cifar
from metamemory.data.store import Splits

HOST = cifar.HOST
ARCHIVES = {"cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85"}  # md5, as torchvision pins it
PACK = "cifar100.zip"  # at a mirror
PACKED = False  # in colour
DIGEST = "426a6553236e79101cffc7f14924a3867580da001287900c7e534d009a19b47b"  # of the whole, see store.Record
LAYOUT = cifar.Layout(
    title="CIFAR-100",
    folder="cifar-100-python",
    names=("meta", "fine_label_names"),
    parts=(("train",), ("test",)),
    labels="fine_labels",
)


def read_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [600, 32, 32, 3]) from the original archive; see `cifar.read_archive`."""
    return cifar.read_archive(path, LAYOUT)


def splits(classes: tuple[str, ...]) -> Splits:
    """The one split, "bertinetto", as indices: 64 / 16 / 20 classes, the lists of Bertinetto et al. (2019)."""
    index = {name: position for position, name in enumerate(classes)}
    lists = json.loads((Path(__file__).parent / "splits" / "cifar_fs_bertinetto.json").read_text(encoding="utf-8"))
    parts = ("train", "validation", "test")
    return {"bertinetto": {part: sorted(index[name] for name in lists[part]) for part in parts}}
