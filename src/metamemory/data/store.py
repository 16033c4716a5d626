"""How a prepared data set lies on disk: two files in one folder, the same bytes whichever source served them.

`images.npy`    uint8 [class, drawing, height, width], or [class, drawing, height, width, 3] in colour.
                Drawings in black ink on white paper (Omniglot: every pixel 0 or 255) are bit-packed along the
                width with `numpy.packbits`, one bit a pixel, 1 = ink: 48 MB instead of 358 MB.
`classes.json`  a `Record`: names, splits, digests. Its last key is a checksum of all the others.

Nothing in the folder tells which source served, or when: DVC tracks the folder by its content.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from metamemory.errors import UserError

FORMAT = "metamemory-images/1"

Splits = dict[str, dict[str, list[int]]]  # split name -> part -> indices of classes


@dataclass(frozen=True)
class Record:
    """What `classes.json` says.

    `digest` is the identity of the data set: the SHA-256 over the lines "<class name> <class sha256>\\n" in
    the order of `classes`, where a class's sha256 is over its decoded original uint8 array
    [drawing, height, width(, 3)] in C order, ink 0 and paper 255 in the case of drawings. It does not depend
    on the layout on disk, so a pack, the original archive and this store have the same one. Of a lossy pack, whose
    decoders may differ in the last bit, a class's sha256 is over its encoded bytes. That of a data set with a title of
    its own is over its splits as well, as JSON.
    """

    name: str
    digest: str
    shape: tuple[int, ...]  # of the unpacked images
    packed: bool  # one bit a pixel along the last axis, 1 = ink
    images_bytes: int  # size of images.npy
    images_sha256: str  # of the file images.npy
    classes: tuple[str, ...]
    splits: Splits
    title: str | None = None  # for captions, of a data set of the user's own, or not quite the original


def write(
    folder: Path,
    name: str,
    classes: Iterable[tuple[str, np.ndarray]],
    split: Callable[[tuple[str, ...]], Splits],
    packed: bool,
    digest: str | None = None,
    title: str | None = None,
    sums: Mapping[str, str] | None = None,
) -> Record:
    """Write a data set into `folder`, which exists, from pairs of class name and original uint8 images.

    Every class has the same shape [drawing, height, width(, 3)]; `split` maps the class names to the splits. `title` is
    that of a data set of the user's own, or of one that is not quite the original; the splits are then a part of its
    digest. `sums` are the sha256 of the classes, where they are not those of their arrays.

    Raises:
        ValueError: the classes differ in shape, or their digest is not `digest`.
    """
    names, arrays, lines = [], [], hashlib.sha256()
    shape: tuple[int, ...] = ()
    for class_name, images in classes:
        shape = images.shape
        names.append(class_name)
        arrays.append(np.packbits(images == 0, axis=-1) if packed else np.ascontiguousarray(images))
        lines.update(f"{class_name} {sums[class_name] if sums else array_sha256(images)}\n".encode())
    splits = split(tuple(names))
    if title is not None:
        lines.update(json.dumps(splits, sort_keys=True).encode())
    if digest not in (None, lines.hexdigest()):
        raise ValueError(f"its digest is {lines.hexdigest()}, not {digest}")
    _save(folder / "images.npy", np.stack(arrays))
    record = Record(
        name=name,
        digest=lines.hexdigest(),
        shape=(len(names), *shape),
        packed=packed,
        images_bytes=(folder / "images.npy").stat().st_size,
        images_sha256=file_sha256(folder / "images.npy"),
        classes=tuple(names),
        splits=splits,
        title=title,
    )
    content = {"format": FORMAT, **{key: value for key, value in asdict(record).items() if value is not None}}
    (folder / "classes.json").write_text(json.dumps({**content, "sha256": _checksum(content)}) + "\n", encoding="utf-8")
    return record


def exists(folder: Path) -> bool:
    """Whether `folder` holds, or should hold, a data set."""
    return (folder / "classes.json").exists() or (folder / "images.npy").exists()


def read_record(folder: Path) -> Record:
    """Read `classes.json` and check it, and the size of `images.npy`; takes milliseconds.

    Raises:
        UserError: a file is missing, truncated or altered.
    """
    path = folder / "classes.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        intact = content.pop("sha256") == _checksum(content) and content.pop("format") == FORMAT
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise _damaged(folder, path)
    content["shape"], content["classes"] = tuple(content["shape"]), tuple(content["classes"])
    record = Record(**content)
    images = folder / "images.npy"
    if not images.is_file() or images.stat().st_size != record.images_bytes:
        raise _damaged(folder, images)
    return record


def check_images(folder: Path, record: Record) -> None:
    """Check every byte of `images.npy`; takes a fraction of a second.

    Raises:
        UserError: the file is not the one `record` describes.
    """
    if file_sha256(folder / "images.npy") != record.images_sha256:
        raise _damaged(folder, folder / "images.npy")


def read_classes(folder: Path, record: Record) -> Iterator[np.ndarray]:
    """Yield each class's uint8 images [drawing, height, width(, 3)]; of drawings, ink is 255 and paper 0."""
    for images in np.load(folder / "images.npy", mmap_mode="r"):
        yield 255 * np.unpackbits(images, axis=-1, count=record.shape[-1]) if record.packed else images


def array_sha256(images: np.ndarray) -> str:
    """SHA-256 of a uint8 array in C order."""
    return hashlib.sha256(np.ascontiguousarray(images)).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _save(path: Path, array: np.ndarray) -> None:
    """`numpy.save`, which however hides the reason (errno) when the disk is full."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def _checksum(content: dict) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _damaged(folder: Path, path: Path) -> UserError:
    return UserError(f"{path} is missing, truncated or altered: delete {folder} and run `make data`")
