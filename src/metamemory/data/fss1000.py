"""FSS-1000 (Li et al. 2020): a thousand kinds of things, ten photographs of each, and where in them the thing is.

    <class>/1.jpg ... 10.jpg      224 x 224 photographs, in colour
    <class>/1.png ... 10.png      their masks, white on the thing

The original lies on Google Drive, which asks questions before it serves a large file, and then often does not. Who has
fetched it by hand names it: METAMEMORY_FSS1000=<the archive, or the folder unpacked from it>.

Photographs are brought to 64 x 64 pixels by exact area averaging, each with its mask as a fourth channel, 0 or 255:
164 MB instead of 2 GB, and larger than what the study trains on at its smaller scales. The canonical order of the
classes is that of their names.

A mask is black and white, but its files are not: outlines are smoothed, and some are tinted as a JPEG would leave them.
So white is what is at least half bright, and a third value is refused where it is more than an outline: an area of
medium grey (64 to 191) that covers a square of a 32nd of the side, 7 pixels of 224.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch.nn import functional as fn

from metamemory.data.archives import read_member, told
from metamemory.data.images import area_weights
from metamemory.data.packs import natural_order
from metamemory.data.pictures import opened
from metamemory.data.store import Splits
from metamemory.errors import UserError

VARIABLE = "METAMEMORY_FSS1000"  # of the environment: the user's own copy
HOST = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
ARCHIVES = {"16TgqOeI_0P41Eh3jWQlxlRXG9KIqtMgI": None}  # no md5 was published
PACK = None  # not at a mirror
PACKED = False  # in colour
DIGEST = None  # none was published: the files must be those that were used first, the classes those of the lists
SIDE, PAIRS = 64, 10
PARTS = ("train", "validation", "test")
Read = Callable[[str], bytes]


def class_lists() -> dict[str, list[str]]:
    """Names of the 520 / 240 / 240 classes of each part: the test classes of Li et al. (2020), the others as Min et al.
    (2021) divided them."""
    lists = json.loads((Path(__file__).parent / "splits" / "fss1000_hsnet.json").read_text(encoding="utf-8"))
    return {part: lists[part] for part in PARTS}


def splits(classes: tuple[str, ...]) -> Splits:
    """The one split, "hsnet", as indices."""
    index = {name: position for position, name in enumerate(classes)}
    return {"hsnet": {part: sorted(index[name] for name in names) for part, names in class_lists().items()}}


def read_archive(path: Path, seen: Callable[[bytes], object] = bool) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [10, 64, 64, 4]: red, green, blue, mask) from the archive or a folder like it.

    The classes may lie at any depth; what is not of the lists is left alone, as are pairs beyond the tenth.

    Args:
        seen: is given the bytes of each file that is read, in canonical order, whether of an archive or a folder.

    Raises:
        UserError: the archive is broken, a class or a mask is missing, a class has fewer than ten pairs, an image and
            its mask differ in size, a mask has more than two values or no thing in it. It names the file.
    """

    def noted(content: bytes) -> bytes:
        seen(content)
        return content

    try:
        if path.is_dir():
            yield from _read_classes(path, _files(path), lambda file: noted((path / file).read_bytes()))
            return
        with zipfile.ZipFile(path) as archive:
            yield from _read_classes(path, archive.namelist(), lambda file: noted(read_member(archive, file)))
    except UserError:
        raise
    except Exception as reason:  # what a damaged archive may raise is anything at all
        raise UserError(f"{path} is not the archive of FSS-1000 ({told(reason)}): fetch it again") from reason


def _files(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]


def _read_classes(path: Path, files: list[str], read: Read) -> Iterator[tuple[str, np.ndarray]]:
    wanted = sorted(name for names in class_lists().values() for name in names)
    images: dict[str, list[str]] = {name: [] for name in wanted}
    for file in sorted(files, key=natural_order):
        place = PurePosixPath(file)
        if place.suffix == ".jpg" and place.parent.name in images and "__MACOSX" not in place.parts:
            images[place.parent.name].append(file)
    if missing := [name for name in wanted if not images[name]]:
        found = len(wanted) - len(missing)
        raise UserError(f"{path} has {found} of the {len(wanted)} classes of FSS-1000; not, for one, {missing[0]}")
    there = set(files)
    for name in wanted:  # before any is read: what is missing should not be found out at the end
        for file in images[name]:
            if _mask_of(file) not in there:
                raise UserError(f"{path}: {_mask_of(file)} is missing, the mask of {PurePosixPath(file).name}")
        if len(images[name]) < PAIRS:
            raise UserError(
                f"{path}: class {name} has {len(images[name])} pairs of image and mask, and {PAIRS} are needed"
            )
    for name in wanted:
        yield name, np.stack([_pair(path, file, read) for file in images[name][:PAIRS]])


def _mask_of(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(".png"))


def _pair(path: Path, file: str, read: Read) -> np.ndarray:
    """An image and its mask, reduced: uint8 [64, 64, 4]."""
    image = _open(path, file, read, "RGB")
    mask = _open(path, _mask_of(file), read, "L")
    if image.shape[:2] != mask.shape:
        sizes = (f"{shape[1]}x{shape[0]}" for shape in (image.shape, mask.shape))
        raise UserError(f"{path}: {_mask_of(file)}: the image is {' and its mask '.join(sizes)} pixels")
    if _has_grey_area(mask):
        raise UserError(f"{path}: {_mask_of(file)} has more than two values: a mask is black, and white on the thing")
    white = np.where(mask >= 128, 255, 0).astype(np.uint8)
    if not white.any():
        raise UserError(f"{path}: {_mask_of(file)} has no thing in it: a mask is white (255) on the thing")
    reduced = _reduced(np.dstack([image, white]))
    reduced[..., 3] = np.where(reduced[..., 3] >= 128, 255, 0)
    return reduced


def _open(path: Path, file: str, read: Read, mode: str) -> np.ndarray:
    content = read(file)
    try:
        with opened(io.BytesIO(content), ("JPEG", "PNG")) as picture:
            return np.asarray(picture.convert(mode))
    except Exception as reason:  # whatever a decoder says of broken bytes
        raise UserError(f"{path}: {file} is not a picture ({told(reason)})") from reason


def _has_grey_area(mask: np.ndarray) -> bool:
    """Whether a square of a 32nd of the mask's side is all of medium grey: more than a smoothed outline."""
    side = max(3, min(mask.shape) // 32)
    clear = torch.from_numpy((mask < 64) | (mask >= 192)).float()[None, None]
    return bool((fn.max_pool2d(clear, side, stride=1) == 0).any())


def _reduced(pixels: np.ndarray) -> np.ndarray:
    """uint8 [height, width, channel] -> [64, 64, channel], each pixel the mean of the area under it."""
    rows, columns = (area_weights(length, SIDE).double() for length in pixels.shape[:2])
    sums = rows @ torch.from_numpy(pixels).movedim(-1, 0).double() @ columns.T
    return (sums / (pixels.shape[0] * pixels.shape[1])).round().to(torch.uint8).movedim(0, -1).numpy()
