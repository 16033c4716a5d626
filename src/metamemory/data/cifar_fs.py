"""CIFAR-FS (Bertinetto et al. 2019): the 100 classes of CIFAR-100 (Krizhevsky 2009) in three parts, for few shots.

600 photographs of 32 x 32 pixels a class. The canonical order of the classes is that of their names; of a class
the 500 images for training come before the 100 for testing, each in natural order of file name. (The few-shot
split is of classes, so the images of both kinds serve alike.)
"""

import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metamemory.data import pickles
from metamemory.data.packs import natural_order
from metamemory.data.store import Splits
from metamemory.errors import UserError

HOST = "https://www.cs.toronto.edu/~kriz/"
ARCHIVES = {"cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85"}  # md5, as torchvision pins it
PACK = "cifar100.zip"  # at a mirror
PACKED = False  # in colour
DIGEST = "426a6553236e79101cffc7f14924a3867580da001287900c7e534d009a19b47b"  # of the whole, see store.Record
SIDE = 32


def read_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [600, 32, 32, 3]) from the original archive.

    Its members are pickles: `meta` with the names of the classes, `train` and `test` with an image a row, all
    red, then all green, then all blue values. They are read where they lie, and nothing in them is run.

    Raises:
        UserError: the archive is truncated, a member or a key is missing, a pickle holds more than arrays and
            plain values.
    """
    try:
        with tarfile.open(path) as archive:
            (names,) = _read(archive, "meta", "fine_label_names")
            parts = [_read(archive, member, "data", "fine_labels", "filenames") for member in ("train", "test")]
        for data, labels, files in parts:
            if data.dtype != np.uint8 or data.shape != (len(files), 3 * SIDE**2) or len(labels) != len(files):
                raise ValueError(f"{data.shape} {data.dtype}, {len(labels)} labels and {len(files)} names do not fit")
        for label, name in enumerate(names):
            yield name, np.concatenate([_of_class(label, *part) for part in parts])
    except (tarfile.TarError, OSError, EOFError, zlib.error, LookupError, ValueError) as reason:
        raise UserError(f"{path} is not the archive of CIFAR-100 ({reason}): fetch it again") from reason


def splits(classes: tuple[str, ...]) -> Splits:
    """The one split, "bertinetto", as indices: 64 / 16 / 20 classes, the lists of Bertinetto et al. (2019)."""
    index = {name: position for position, name in enumerate(classes)}
    lists = json.loads((Path(__file__).parent / "splits" / "cifar_fs_bertinetto.json").read_text())
    parts = ("train", "validation", "test")
    return {"bertinetto": {part: sorted(index[name] for name in lists[part]) for part in parts}}


def _read(archive: tarfile.TarFile, member: str, *keys: str) -> list:
    """What a member holds under the keys."""
    content = pickles.load(archive.extractfile(f"cifar-100-python/{member}"))
    for key in keys:
        if key not in content:
            raise ValueError(f"{member} has no {key}")
    return [content[key] for key in keys]


def _of_class(label: int, data: np.ndarray, labels: list[int], files: list[str]) -> np.ndarray:
    """Images uint8 [image, 32, 32, 3] of one class, in natural order of file name."""
    chosen = sorted(np.flatnonzero(np.equal(labels, label)), key=lambda index: natural_order(files[index]))
    return data[chosen].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
