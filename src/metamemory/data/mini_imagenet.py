"""miniImageNet (Vinyals et al. 2016), in the split of Ravi and Larochelle (2017): 100 kinds of things, 600 photographs
of 84 x 84 pixels each.

There is no direct download. Who has a copy names it: METAMEMORY_MINI_IMAGENET=<folder>, in which, at any depth, are

    n0153282900000005.jpg ...               the photographs, in class folders or all in one, of any size
    train.csv, val.csv, test.csv            which they are: filename,label. The split's own files

Without the three CSV files a photograph is of the class that its folder, or else its name, begins with, and each class
has 600 and no more. Photographs of another size are brought to 84 x 84 by exact area averaging, whatever their
proportions, as is usual. The canonical order is that of the split's parts, then of the names of the classes, then of
those of the files.

A mirror's pack is lossy, about 30 dB from the JPEG files, and what is made of it says so in its title.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from metamemory.data.archives import told
from metamemory.data.images import area_weights
from metamemory.data.packs import natural_order
from metamemory.data.pictures import opened
from metamemory.data.store import Splits
from metamemory.errors import UserError

VARIABLE = "METAMEMORY_MINI_IMAGENET"  # of the environment: the user's own copy
HOST, ARCHIVES = None, {}  # nobody serves it as one file
PACK = "mini_imagenet.zip"  # at a mirror
PACKED = False  # in colour
DIGEST = "25ceed0ab95df22653f4e48befd37c44c7b35082445d6fc11e917c1e3ff4e319"  # of the pack (store.Record)
SIDE, PICTURES = 84, 600
WORD = 9  # characters of a class's name, as n01532829
TABLES = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
ENDINGS = (".jpg", ".jpeg", ".png")


def class_lists() -> dict[str, list[str]]:
    """Names of the 64 / 16 / 20 classes of each part."""
    lists = json.loads((Path(__file__).parent / "splits" / "mini_imagenet_ravi.json").read_text(encoding="utf-8"))
    return {part: lists[part] for part in TABLES}


def splits(classes: tuple[str, ...]) -> Splits:
    """The one split, "ravi", as indices."""
    index = {name: position for position, name in enumerate(classes)}
    return {"ravi": {part: sorted(index[name] for name in names) for part, names in class_lists().items()}}


def read_archive(path: Path, seen: Callable[[bytes], object] = bool) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [600, 84, 84, 3]) from a folder.

    Args:
        seen: is given the bytes of each photograph, in canonical order.

    Raises:
        UserError: it is no folder; a table names photographs that are not there, or classes that are not of its part; a
            class has not 600; a photograph is broken. It names the file.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a folder: unpack it, and name the folder with {VARIABLE}")
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    tables = {file.name: file for file in files if file.name in TABLES.values()}
    photographs = [file for file in files if file.suffix.lower() in ENDINGS]
    wanted = _listed(path, tables, photographs) if tables else _by_name(photographs)
    for part, names in class_lists().items():  # before any is read: what is missing should not be found out at the end
        for name in names:
            if (count := len(wanted.get(name, ()))) != PICTURES:
                where = tables.get(TABLES[part], path)
                raise UserError(f"{where}: class {name} has {count} photographs, and in miniImageNet {PICTURES}")
    for names in class_lists().values():
        for name in names:
            yield name, np.stack([_photograph(file, seen) for file in wanted[name]])


def _listed(path: Path, tables: dict[str, Path], photographs: list[Path]) -> dict[str, list[Path]]:
    """Class -> its photographs, as the tables say."""
    if missing := [name for name in TABLES.values() if name not in tables]:
        raise UserError(
            f"{path} has {', '.join(tables)} and no {missing[0]}: the split has all three, or leave them out"
        )
    places = {file.name: file for file in photographs}
    found: dict[str, list[Path]] = {}
    for part, classes in class_lists().items():
        table = tables[TABLES[part]]
        rows = sorted(set(_rows(table)), key=lambda row: natural_order(row[0]))
        if lost := [name for name, _ in rows if name not in places]:
            raise UserError(
                f"{table} names {len(rows)} photographs, of which {len(lost)} are not in {path}: for one, {lost[0]}"
            )
        for name, label in rows:
            if label not in classes:
                raise UserError(
                    f"{table}: {name} is of class {label}, which the split of Ravi and Larochelle has elsewhere"
                )
            found.setdefault(label, []).append(places[name])
    return found


def _rows(table: Path) -> Iterator[tuple[str, str]]:
    """(name of the file, class) of each line below the first."""
    try:
        lines = list(csv.reader(table.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError, csv.Error) as reason:
        raise UserError(f"{table} cannot be read ({told(reason)}): fetch it again") from reason
    for number, line in enumerate(lines, start=1):
        if len(line) != 2 or (number == 1) != (line == ["filename", "label"]):
            raise UserError(f"{table}, line {number}: such a table has two columns, and begins with filename,label")
        if number > 1:
            yield line[0], line[1]


def _by_name(photographs: list[Path]) -> dict[str, list[Path]]:
    """Class -> photographs in a folder, or else with a name, that begins as it is called."""
    classes = {name for names in class_lists().values() for name in names}
    found: dict[str, list[Path]] = {}
    for file in sorted(photographs, key=lambda file: natural_order(file.name)):
        name = next((each for each in (file.parent.name[:WORD], file.name[:WORD]) if each in classes), None)
        if name is not None:
            found.setdefault(name, []).append(file)
    return found


def _photograph(file: Path, seen: Callable[[bytes], object]) -> np.ndarray:
    """uint8 [84, 84, 3]."""
    content = file.read_bytes()
    seen(content)
    try:
        with opened(io.BytesIO(content), ("JPEG", "PNG")) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except Exception as reason:  # whatever a decoder says of broken bytes
        raise UserError(f"{file} is not a picture ({told(reason)}): fetch it again") from reason
    if pixels.shape[:2] == (SIDE, SIDE):
        return pixels
    rows, columns = (area_weights(length, SIDE).double() for length in pixels.shape[:2])
    sums = rows @ torch.from_numpy(pixels.copy()).movedim(-1, 0).double() @ columns.T
    return (sums / (pixels.shape[0] * pixels.shape[1])).round().to(torch.uint8).movedim(0, -1).numpy()
