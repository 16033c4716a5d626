"""A prepared data set in memory, at the size asked for, reduced by exact area averaging."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from metamemory.data import store
from metamemory.errors import UserError
from metamemory.refusals import check_memory

TITLES = {
    "omniglot": "Omniglot",
    "glyphs": "glyphs",
    "cifar_fs": "CIFAR-FS",
    "cifar10": "CIFAR-10",
    "scenes": "scenes",
    "fss1000": "FSS-1000",
    "silhouettes": "silhouettes",
    "mini_imagenet": "miniImageNet",
    "mnist": "MNIST",
    "digits": "digits",
}
STAND_INS = {  # data set -> the embedded one used where it cannot be had
    "omniglot": "glyphs",
    "cifar_fs": "scenes",
    "cifar10": "scenes",
    "fss1000": "silhouettes",
    "mini_imagenet": "scenes",
    "mnist": "digits",
}
CACHE = ".cache"  # beside the root
PARTIAL = ".partial"  # ending of the temporary folders in it


@dataclass(frozen=True, eq=False)
class ImageSet:
    """All images of a data set, by class.

    Attributes:
        name: what the images are, one of TITLES or of the user's own.
        stands_in_for: the data set that was asked for, where `name` is only its stand-in; else None.
        digest: SHA-256 of the original data at full resolution (`store.Record`); the same at every size.
        images: uint8 [class, drawing, channel, height, width]; of drawings, ink is 255 and paper 0.
        classes: names of the classes: "<alphabet>/<character>" of Omniglot, a word of CIFAR-FS.
        splits: split ("vinyals" and "lake" of Omniglot, "bertinetto" of CIFAR-FS) -> part ("train",
            "validation", "test") -> int64 [class] of indices into `images`. The parts of a split are disjoint.
        title: name for captions: "Omniglot", or "glyphs (stand-in for Omniglot)".
        other: a second data set, where one was asked for.
    """

    name: str
    stands_in_for: str | None
    digest: str
    images: Tensor
    classes: tuple[str, ...]
    splits: dict[str, dict[str, Tensor]]
    title: str = ""
    other: "ImageSet | None" = None


def load(name: str, size: int, root: Path | str = Path("data"), other: str | None = None) -> ImageSet:
    """Load a data set prepared under `root`, at `size` x `size` pixels.

    The reduced images are cached in `.cache` beside `root` and memory-mapped, copy on write. The sizes of the
    files are checked at every load; all their bytes when the cache of a size is built.

    Args:
        name: one of TITLES, or of a data set of the user's own. Where only the stand-in of `name` was prepared, that is
            loaded, and `stands_in_for` says so.
        other: a second data set, loaded in the same way; the digest is then that of both.

    Raises:
        UserError: the data set is unknown, not prepared, or damaged; the size is no number of pixels, or its images
            would fill the memory.
    """
    if not name.isidentifier():
        raise UserError(f"data set {name!r} must be a name, of letters, digits and _, without a folder")
    root = Path(root)
    if other is not None:
        first, second = load(name, size, root), load(other, size, root)
        return replace(first, digest=_digest_of_both(first.digest, second.digest), other=second)
    if type(size) is not int or size < 1:
        raise UserError(f"size of the images of {name} is {size!r} and must be a number of pixels, at least 1")
    found = _found(name, root)
    record = store.read_record(root / found)
    title = record.title or TITLES.get(found) or found
    check_memory(title, record.shape, size)
    images = _cached(root / found, record, size, root.parent / CACHE)
    return ImageSet(
        name=found,
        stands_in_for=None if found == name else name,
        digest=record.digest,
        images=torch.from_numpy(images),
        classes=record.classes,
        splits={
            split: {part: torch.tensor(indices) for part, indices in parts.items()}
            for split, parts in record.splits.items()
        },
        title=title if found == name else f"{title} (stand-in for {TITLES[name]})",
    )


def digest(name: str, root: Path | str = Path("data"), other: str | None = None) -> str:
    """The digest of what `load` would load, at any size; takes milliseconds.

    Raises:
        UserError: as `load`.
    """
    root = Path(root)
    own = store.read_record(root / _found(name, root)).digest
    return own if other is None else _digest_of_both(own, digest(other, root))


def _digest_of_both(first: str, second: str) -> str:
    return hashlib.sha256(f"{first} {second}".encode()).hexdigest()


def _found(name: str, root: Path) -> str:
    """The data set prepared under `root` that serves as this one: it or its stand-in."""
    if name not in TITLES and not store.exists(root / name):
        raise UserError(
            f"unknown data set {name!r}: choose from {', '.join(TITLES)}; one of your own is made by "
            f"`python -m metamemory data {name} --folder FOLDER`"
        )
    found = next((each for each in (name, STAND_INS.get(name)) if each and store.exists(root / each)), None)
    if found is None:
        raise UserError(
            f"data set {name} is not in {root.resolve()}: run `make data`, or `python -m metamemory data {name}`"
        )
    return found


def area_weights(source: int, size: int) -> Tensor:
    """Overlaps int64 [size, source] of `size` output with `source` input pixels, in 1/size input pixels.

    In this unit input pixel i covers [i size, (i + 1) size) and output pixel o [o source, (o + 1) source), so
    that all overlaps are whole numbers and every row sums to `source`.
    """
    inputs, outputs = torch.arange(source), torch.arange(size)[:, None]
    ends = torch.minimum((inputs + 1) * size, (outputs + 1) * source)
    starts = torch.maximum(inputs * size, outputs * source)
    return (ends - starts).clamp(min=0)


def area_average(images: Tensor, size: int) -> Tensor:
    """Reduce square uint8 images [..., n, n] to [..., size, size], each pixel the mean of the area under it.

    Computes `A @ image @ A.T` with whole numbers for weights, so the sums are exact in float64 and the
    result, rounded to uint8, is the same on every machine. (`interpolate(mode="area")` is not this mean when
    n / size is not whole: it averages whole input pixels, some of them twice.)
    """
    source = images.shape[-1]
    if source == size:
        return images
    weights = area_weights(source, size).double()
    sums = weights @ images.double() @ weights.T
    return (sums / source**2).round().to(torch.uint8)


def _cached(folder: Path, record: store.Record, size: int, cache: Path) -> np.ndarray:
    """Images uint8 [class, drawing, channel, size, size], from the cache where it is sound, else built."""
    path = cache / f"{record.name}-{record.digest[:16]}-{size}.npy"
    checksum = path.with_suffix(".sha256")
    with suppress(OSError, ValueError):
        if store.file_sha256(path) == checksum.read_text(encoding="utf-8"):
            return np.load(path, mmap_mode="c")
    store.check_images(folder, record)
    images = np.stack([_reduce(images, size) for images in store.read_classes(folder, record)])
    # The cache only saves time: where it cannot be written, the images in memory do as well.
    with suppress(OSError):
        cache.mkdir(exist_ok=True)
        with TemporaryDirectory(suffix=PARTIAL, dir=cache) as unfinished:
            fresh, fresh_checksum = Path(unfinished) / path.name, Path(unfinished) / checksum.name
            np.save(fresh, images)
            fresh_checksum.write_text(store.file_sha256(fresh), encoding="utf-8")
            fresh_checksum.replace(checksum)
            fresh.replace(path)
    return images


def _reduce(images: np.ndarray, size: int) -> np.ndarray:
    """[drawing, n, n] or [drawing, n, n, 3] -> [drawing, channel, size, size]."""
    tensor = torch.tensor(images)
    tensor = tensor[:, None] if tensor.dim() == 3 else tensor.movedim(-1, 1)
    return area_average(tensor, size).numpy()
