"""A data set of the user's own: a folder of class folders.

    leaves/
        data_set.yaml             optional
        oak/1.jpg, 2.jpg, ...     a class is a folder with image files, and is called by its path: "oak",
        birch/paper/1.png, ...    "birch/paper"

    # data_set.yaml
    title: Leaves of the park     # in captions; the name if there is none
    side: 64                      # pixels that images are kept at, square; 128
    colour: true                  # or all in grey; by default in colour if any image is
    invert: false                 # dark drawings on light paper: true, so that paper becomes 0
    splits:                       # by default one, `random`: 0.6, 0.2 and 0.2 with seed 0
      random: {train: 0.6, validation: 0.2, test: 0.2, seed: 0}
      genus: {train: [oak], validation: [birch/paper], test: [ash, elm]}

Images may differ in size and kind. Each is turned as its EXIF says, put on white where it is transparent, cut to the
square in its middle, and brought to `side` by exact area averaging; 16 bits become 8. Classes have as many images as
the smallest of them, the first in natural order of their names. Nothing else is left out without a word: an empty
class, a file that is no image or of an unknown format, an animation, names that differ only in case are errors.

A split by shares sorts the classes by a hash of the seed and their names: another class moves few of the others.
"""

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from PIL import Image, ImageOps

from metamemory.data.archives import told
from metamemory.data.images import area_weights
from metamemory.data.packs import natural_order
from metamemory.data.pictures import opened
from metamemory.data.store import Splits
from metamemory.errors import UserError
from metamemory.settings import Range, check, declared
from metamemory.yaml_files import read_yaml

FORMATS = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP", "GIF")
DESCRIPTION = "data_set.yaml"
NAME = r"[a-z][a-z0-9_]{0,63}"  # of a data set, of a split
IGNORED = re.compile(r"\..*|Thumbs\.db|desktop\.ini", re.IGNORECASE)  # what systems leave in folders
PARTS = ("train", "validation", "test")
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
LEAST_IMAGES = 2  # of a class: one to show and one to ask for


@dataclass(frozen=True)
class Description:
    """What `data_set.yaml` says."""

    title: str | None = None
    side: Annotated[int, Range(least=1, most=1024)] = 128
    colour: bool | None = None
    invert: bool = False
    splits: dict | None = None


@dataclass(frozen=True)
class Found:
    """A folder as it was found.

    Attributes:
        classes: name -> its files, all those that are used.
        left: files that are left out, so that classes have equally many.
        stamp: digest of the names, sizes and times of change of all files: other files have another one.
    """

    folder: Path
    description: Description
    colour: bool
    classes: dict[str, list[Path]]
    left: int
    stamp: str

    def __str__(self) -> str:
        count = len(next(iter(self.classes.values())))
        kind = "in colour" if self.colour else "in grey"
        left = f", {self.left} images beyond those of the smallest class left out" if self.left else ""
        return f"{len(self.classes)} classes of {count} images {kind}{left}"

    @property
    def title(self) -> str | None:
        return self.description.title

    def splits(self, classes: tuple[str, ...]) -> Splits:
        """As indices of classes."""
        for name in map(str, self.description.splits or {}):
            if not re.fullmatch(NAME, name):
                where = f"{self.folder / DESCRIPTION}: split {name!r}"
                raise UserError(f"{where}: its name must be of the letters a to z, digits and _, as in random")
        wanted = self.description.splits or {"random": dict(zip(PARTS, (0.6, 0.2, 0.2), strict=True))}
        return {
            name: _split(each, classes, f"{self.folder / DESCRIPTION}: splits.{name}") for name, each in wanted.items()
        }


def require_name(name: str, taken: Collection[str]) -> None:
    """Refuse a name that is no name of a folder in data/, or that of another data set."""
    if not re.fullmatch(NAME, name):
        raise UserError(f"data set {name!r}: its name must be of the letters a to z, digits and _, as in my_set")
    if name in taken:
        raise UserError(f"data set {name}: there is one of this name that comes from elsewhere; choose another name")


def examine(folder: Path) -> Found:
    """What there is in a folder; the images are looked at, but not decoded.

    Raises:
        UserError: there is no such folder; in it something is not as the top of this module says. It names the file.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of class folders")
    description = _description(folder / DESCRIPTION)
    files = _files(folder)
    for name, each in files.items():
        if len(each) < LEAST_IMAGES:
            raise UserError(f"{folder / name} has {len(each)} images, and a class has at least {LEAST_IMAGES}")
    count = min(len(each) for each in files.values())
    classes = {name: each[:count] for name, each in files.items()}
    modes = {_mode(path) for each in files.values() for path in each}
    colour = bool(modes - {*GREY}) if description.colour is None else description.colour
    stamp = hashlib.sha256(repr(description).encode())
    for path in (path for each in files.values() for path in each):
        found = path.stat()
        stamp.update(
            f"{path.relative_to(folder)} {found.st_size} {found.st_mtime_ns}\n".encode(errors="surrogateescape")
        )
    left = sum(len(each) - count for each in files.values())
    return Found(folder, description, colour, classes, left, stamp.hexdigest())


def read(found: Found) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [image, side, side] or [image, side, side, 3]), in order of the names.

    Raises:
        UserError: an image is broken. It names the file.
    """
    for name, files in found.classes.items():
        yield name, np.stack([_decode(path, found.colour, found.description) for path in files])


def _description(path: Path) -> Description:
    values = read_yaml(path) if os.path.lexists(path) else {}
    try:
        check(declared(Description), {} if values is None else values, f"{path}: ")
    except UserError as reason:
        raise UserError(str(reason)) from None
    found = Description(**(values or {}))
    if found.title is not None and not found.title.isprintable():
        raise UserError(f"{path}: title is {found.title!r}, and must be one line that can be printed")
    return found


def _files(folder: Path) -> dict[str, list[Path]]:
    """Class -> its files in natural order of their names, the classes in order of theirs."""
    found: dict[str, list[Path]] = {}
    seen: dict[str, Path] = {}
    above: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error

    for here, inner, names in os.walk(folder, onerror=refuse, followlinks=True):
        place = Path(here)
        inner[:] = sorted(each for each in inner if not IGNORED.fullmatch(each))
        kept = [each for each in names if not IGNORED.fullmatch(each) and (place != folder or each != DESCRIPTION)]
        identity = (place.stat().st_dev, place.stat().st_ino)
        if identity in above:
            raise UserError(f"{place} is a folder that was met before, by a link: a class is in one place")
        above.add(identity)
        if place == folder and kept:
            raise UserError(f"{place / min(kept)} is in no class folder: move it into one, or out")
        if kept and inner:
            raise UserError(f"{place} has files and folders: a class folder has images, or folders of classes")
        if not kept and not inner:
            raise UserError(f"{place} has no images: fill or delete it")
        for each in (*inner, *kept):
            _require_unique(seen, place / each, folder)
        if kept:
            ordered = sorted(kept, key=lambda each: (natural_order(unicodedata.normalize("NFC", each)), each))
            found[_name(place, folder)] = [place / each for each in ordered]
    return dict(sorted(found.items()))


def _name(place: Path, folder: Path) -> str:
    """Of a class or a file, the same on file systems that spell accents in one letter or in two."""
    name = unicodedata.normalize("NFC", place.relative_to(folder).as_posix())
    if not name.isprintable():
        raise UserError(f"{folder}: {name!r} is no name that can be written: rename it")
    return name


def _require_unique(seen: dict[str, Path], path: Path, folder: Path) -> None:
    key = _name(path, folder).casefold()
    if key in seen:
        raise UserError(
            f"{seen[key]} and {path} differ only in case or accents, and are one on other systems: rename one"
        )
    seen[key] = path


def _mode(path: Path) -> str:
    """How an image is written, as Pillow calls it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("it is no file of bytes")  # to open a pipe would be to wait for ever
        with opened(path, FORMATS) as picture:
            if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":  # a phone's JPEG with previews
                raise ValueError("it has several frames")
            if picture.mode == "F":
                raise ValueError("its pixels are real numbers")
            return picture.mode
    except Exception as reason:  # whatever a decoder says of broken bytes
        raise _unreadable(path, reason) from reason


def _decode(path: Path, colour: bool, description: Description) -> np.ndarray:
    """uint8 [side, side], or [side, side, 3] in colour."""
    try:
        with opened(path, FORMATS) as picture:
            pixels = _pixels(ImageOps.exif_transpose(picture), colour)
    except Exception as reason:
        raise _unreadable(path, reason) from reason
    square = min(pixels.shape[:2])
    top, left = ((length - square) // 2 for length in pixels.shape[:2])
    pixels = pixels[top : top + square, left : left + square]
    pixels = 255 - pixels if description.invert else pixels
    return _reduced(pixels, description.side)


def _unreadable(path: Path, reason: Exception) -> UserError:
    if isinstance(reason, Image.UnidentifiedImageError):
        return UserError(f"{path} is no image of a known format ({', '.join(FORMATS)}): convert it, or move it out")
    return UserError(f"{path} cannot be read as an image ({told(reason)}): mend it, or move it out")


def _pixels(picture: Image.Image, colour: bool) -> np.ndarray:
    """uint8 [height, width(, 3)]."""
    if picture.mode.startswith("I"):  # 16 bits, of which 32 may have room
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() >= 1 << 16:
            raise ValueError("its pixels have more than 16 bits")
        grey = Image.fromarray(((values * 255 + (1 << 15)) // ((1 << 16) - 1)).astype(np.uint8))
        return np.asarray(grey.convert("RGB") if colour else grey)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return np.asarray(picture.convert("RGB") if colour else picture.convert("L"))


def _reduced(pixels: np.ndarray, side: int) -> np.ndarray:
    """Square uint8 pixels at another size, each the mean of the area under it; exact, as `images.area_average`."""
    length = len(pixels)
    weights = area_weights(length, side).double()
    values = torch.tensor(pixels).view(length, length, -1)
    rows = torch.zeros(side, length * values.shape[2], dtype=torch.float64)
    for start in range(0, length, 256):  # a part at a time: in float64 a large image is eight times as large
        rows += weights[:, start : start + 256] @ values[start : start + 256].flatten(1).double()
    sums = torch.einsum("rlc,sl->rsc", rows.view(side, length, -1), weights)
    return (sums / length**2).round().to(torch.uint8).numpy().reshape(side, side, *pixels.shape[2:])


def _split(wanted: Any, classes: tuple[str, ...], where: str) -> dict[str, list[int]]:
    """The parts of one split, as sorted indices."""
    if not isinstance(wanted, Mapping) or {*wanted} - {"seed"} != {*PARTS}:
        raise UserError(f"{where} must have {', '.join(PARTS)}, each a list of classes, or each a share")
    parts = {part: wanted[part] for part in PARTS}
    if all(isinstance(each, list) for each in parts.values()) and "seed" not in wanted:
        return _by_lists(parts, classes, where)
    shares = [each for each in parts.values() if type(each) in (int, float) and 0 < each < 1]
    if len(shares) < len(PARTS) or abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"{where}: the shares {', '.join(map(str, parts.values()))} must be above 0 and sum to 1")
    if type(wanted.get("seed", 0)) is not int:
        raise UserError(f"{where}.seed is {wanted['seed']!r} and must be a whole number")
    return _by_shares(shares, wanted.get("seed", 0), classes, where)


def _by_lists(parts: Mapping[str, list], classes: tuple[str, ...], where: str) -> dict[str, list[int]]:
    index = {name: position for position, name in enumerate(classes)}
    found: dict[str, str] = {}
    for part, names in parts.items():
        if not names:
            raise UserError(f"{where}.{part} has no class")
        for each in names:
            name = unicodedata.normalize("NFC", str(each))
            if name not in index:
                mend = "" if isinstance(each, str) else ": write names that YAML reads otherwise in quotation marks"
                raise UserError(f"{where}.{part}: there is no class {name!r}{mend}")
            if name in found:
                raise UserError(f"{where}: class {name} is in {found[name]} and in {part}")
            found[name] = part
    return {part: sorted(index[name] for name, of in found.items() if of == part) for part in PARTS}


def _by_shares(shares: list[float], seed: int, classes: tuple[str, ...], where: str) -> dict[str, list[int]]:
    if len(classes) < len(PARTS):
        raise UserError(f"{where}: {len(classes)} classes cannot be split into {', '.join(PARTS)}")
    order = sorted(range(len(classes)), key=lambda each: hashlib.sha256(f"{seed} {classes[each]}".encode()).digest())
    ends, total = [], 0.0
    for number, share in enumerate(shares, start=1):
        total += share
        left = len(PARTS) - number  # parts that come after, with a class each at least
        ends.append(min(max(round(total * len(classes)), number), len(classes) - left))
    return {part: sorted(order[begin:end]) for part, begin, end in zip(PARTS, [0, *ends[:-1]], ends, strict=True)}
