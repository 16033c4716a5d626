"""Reader of `mosaic-pack/1` and `mosaic-pack/2`, the formats of a mirror's files.

A stored zip. `manifest.json` lists the classes in canonical order: `split`, `name`, `member`, `count`,
`columns`, `sha256`, `ids`. A member is one lossless WebP: the class's `count` images, row by row in `columns`
columns, in natural order of `ids`, their original file names. `sha256` is over the decoded uint8 array
[count, height, width(, 3)] in C order. A class that the original has in two parts, for training and for testing,
has two entries of the same name.

In `mosaic-pack/2`, which is lossy, a member is an AVIF, and `sha256` is over its bytes: decoders may differ in the last
bit.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import features

from metamemory.data.archives import read_member, told
from metamemory.data.pictures import opened
from metamemory.data.store import array_sha256
from metamemory.errors import UserError

FORMATS = {"mosaic-pack/1": "WEBP", "mosaic-pack/2": "AVIF"}  # of the members, as Pillow calls them
LOSSY = "mosaic-pack/2"


def read_pack(path: Path, counts: Mapping[str, int] | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [count, height, width(, 3)]), the classes in canonical order.

    Of a class with several entries, the images follow each other in the order of the manifest.

    Args:
        counts: how many images of an entry are taken, the first ones, by its split; None for all.

    Raises:
        UserError: the pack is not readable, or a class does not have its sha256.
    """
    manifest = _manifest(path)
    if manifest["format"] == LOSSY and not features.check("avif"):
        raise UserError(f"{path} has pictures in AVIF, which this Pillow cannot read: install Pillow 11.3 or later")
    try:
        with zipfile.ZipFile(path) as archive:
            entries: dict[str, list[dict]] = {}
            for entry in manifest["classes"]:
                entries.setdefault(entry["name"], []).append(entry)
            for name, of_class in entries.items():
                parts = [
                    _read(archive, entry, manifest)[: counts[entry["split"]] if counts else None] for entry in of_class
                ]
                yield name, np.concatenate(parts)
    except Exception as reason:  # what a damaged archive, manifest or image may raise is anything at all
        raise _damaged(path, reason) from reason


def sums_of_lossy(path: Path) -> dict[str, str] | None:
    """Of a lossy pack, the sha256 of each class's member, which `read_pack` checks; None of another.

    Raises:
        UserError: the pack is not readable.
    """
    manifest = _manifest(path)
    if manifest["format"] != LOSSY:
        return None
    try:
        return {entry["name"]: entry["sha256"] for entry in manifest["classes"]}
    except Exception as reason:  # as above
        raise _damaged(path, reason) from reason


def natural_order(name: str) -> list[tuple[str, int]]:
    """Sort key in which "2" comes before "10", and folders sort before what their names are a prefix of."""
    return [(part, int(number or -1)) for part, number in re.findall(r"(\D*)(\d*)", name)]


def _manifest(path: Path) -> dict:
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(read_member(archive, "manifest.json"))
        if manifest["format"] not in FORMATS:
            raise ValueError(f"format {manifest['format']}, not {' or '.join(FORMATS)}")
        return manifest
    except Exception as reason:  # as above
        raise _damaged(path, reason) from reason


def _damaged(path: Path, reason: Exception) -> UserError:
    return UserError(f"{path} is not a whole pack ({told(reason)}): fetch it again")


def _read(archive: zipfile.ZipFile, entry: dict, manifest: dict) -> np.ndarray:
    """The images of one entry, checked."""
    member = read_member(archive, entry["member"])
    with opened(io.BytesIO(member), (FORMATS[manifest["format"]],)) as mosaic:
        images = _cut(np.asarray(mosaic), entry, manifest["image_shape"])
    lossy = manifest["format"] == LOSSY
    if (hashlib.sha256(member).hexdigest() if lossy else array_sha256(images)) != entry["sha256"]:
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
