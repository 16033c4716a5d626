"""Reader of `mosaic-pack/1`, the format of a mirror's files.

A stored zip. `manifest.json` lists the classes in canonical order: `split`, `name`, `member`, `count`,
`columns`, `sha256`, `ids`. A member is one lossless WebP: the class's `count` images, row by row in `columns`
columns, in natural order of `ids`, their original file names. `sha256` is over the decoded uint8 array
[count, height, width(, 3)] in C order. A class that the original has in two parts, for training and for testing,
has two entries of the same name.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from metamemory.data.archives import read_member, told
from metamemory.data.pictures import opened
from metamemory.data.store import array_sha256
from metamemory.errors import UserError


def read_pack(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [count, height, width(, 3)]), the classes in canonical order.

    Of a class with several entries, the images follow each other in the order of the manifest.

    Raises:
        UserError: the pack is not readable, or a class does not have its sha256.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(read_member(archive, "manifest.json"))
            if manifest["format"] != "mosaic-pack/1":
                raise ValueError(f"format {manifest['format']}, not mosaic-pack/1")
            entries: dict[str, list[dict]] = {}
            for entry in manifest["classes"]:
                entries.setdefault(entry["name"], []).append(entry)
            for name, of_class in entries.items():
                yield name, np.concatenate([_read(archive, entry, manifest["image_shape"]) for entry in of_class])
    except Exception as reason:  # what a damaged archive, manifest or image may raise is anything at all
        raise UserError(f"{path} is not a whole pack ({told(reason)}): fetch it again") from reason


def natural_order(name: str) -> list[tuple[str, int]]:
    """Sort key in which "2" comes before "10", and folders sort before what their names are a prefix of."""
    return [(part, int(number or -1)) for part, number in re.findall(r"(\D*)(\d*)", name)]


def _read(archive: zipfile.ZipFile, entry: dict, image_shape: list[int]) -> np.ndarray:
    """The images of one entry, checked."""
    with opened(io.BytesIO(read_member(archive, entry["member"])), ("WEBP",)) as mosaic:
        images = _cut(np.asarray(mosaic), entry, image_shape)
    if array_sha256(images) != entry["sha256"]:
        raise ValueError(f"class {entry['name']} does not have its sha256")
    return images


def _cut(mosaic: np.ndarray, entry: dict, image_shape: list[int]) -> np.ndarray:
    """Cut the mosaic [height, width, 3] of an entry into its images."""
    (height, width), columns = image_shape[:2], entry["columns"]
    if len(image_shape) == 2:
        mosaic = mosaic[..., :1]  # WebP knows no grey: the three channels are equal
    rows = mosaic.shape[0] // height
    tiles = mosaic.reshape(rows, height, columns, width, -1).swapaxes(1, 2)
    return tiles.reshape(rows * columns, *image_shape)[: entry["count"]]
