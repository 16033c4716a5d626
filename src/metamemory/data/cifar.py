"""Reader of the original archives of CIFAR-10 and CIFAR-100 (Krizhevsky 2009).

The members of an archive are pickles: one with the names of the classes, and others with an image a row, all red,
then all green, then all blue values. They are read where they lie, and nothing in them is run.
"""

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metamemory.data import pickles
from metamemory.data.packs import natural_order
from metamemory.errors import UserError

HOST = "https://www.cs.toronto.edu/~kriz/"
SIDE = 32


@dataclass(frozen=True)
class Layout:
    """Where in an archive things are.

    Attributes:
        title: of the data set.
        folder: that all members are in.
        names: member and key of the names of the classes.
        parts: members with the images for training, and those with the images for testing.
        labels: key of the labels of a member.
    """

    title: str
    folder: str
    names: tuple[str, str]
    parts: tuple[tuple[str, ...], tuple[str, ...]]
    labels: str


def read_archive(path: Path, layout: Layout) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [image, 32, 32, 3]) from an original archive.

    Of a class, the images for training come before those for testing, each in natural order of file name.

    Raises:
        UserError: the archive is truncated, a member or a key is missing, a pickle holds more than arrays and
            plain values.
    """
    keys = ("data", layout.labels, "filenames")
    try:
        with tarfile.open(path) as archive:
            member, key = layout.names
            (names,) = _read(archive, f"{layout.folder}/{member}", key)
            parts = [
                _together([_read(archive, f"{layout.folder}/{member}", *keys) for member in members])
                for members in layout.parts
            ]
        for label, name in enumerate(names):
            yield name, np.concatenate([_of_class(label, *part) for part in parts])
    except (
        tarfile.TarError,
        OSError,
        EOFError,
        zlib.error,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
    ) as reason:
        raise UserError(f"{path} is not the archive of {layout.title} ({reason}): fetch it again") from reason


def _read(archive: tarfile.TarFile, member: str, *keys: str) -> list:
    """What a member holds under the keys."""
    content = pickles.load(archive.extractfile(member))
    for key in keys:
        if key not in content:
            raise ValueError(f"{member.rpartition('/')[2]} has no {key}")
    return [content[key] for key in keys]


def _together(members: list[list]) -> tuple[np.ndarray, list[int], list[str]]:
    """Data, labels and file names of several members, one after the other."""
    for data, labels, files in members:
        if data.dtype != np.uint8 or data.shape != (len(files), 3 * SIDE**2) or len(labels) != len(files):
            raise ValueError(f"{data.shape} {data.dtype}, {len(labels)} labels and {len(files)} names do not fit")
    data, labels, files = zip(*members, strict=True)
    return np.concatenate(data), sum(labels, []), sum(files, [])


def _of_class(label: int, data: np.ndarray, labels: list[int], files: list[str]) -> np.ndarray:
    """Images uint8 [image, 32, 32, 3] of one class, in natural order of file name."""
    chosen = sorted(np.flatnonzero(np.equal(labels, label)), key=lambda index: natural_order(files[index]))
    return data[chosen].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
