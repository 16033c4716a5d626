"""Omniglot (Lake et al. 2015): 1,623 characters of 50 alphabets, 20 drawings each, 105 x 105, binary.

A class is called "<alphabet>/<character>", as in "Greek/character07". The canonical order is the background
set, then the evaluation set, each sorted by name; the drawings of a class are in natural order of file name.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from metamemory.data.archives import read_member
from metamemory.data.packs import natural_order
from metamemory.data.pictures import opened
from metamemory.data.store import Splits

HOST = "https://github.com/brendenlake/omniglot/raw/master/python/"
ARCHIVES = {  # file at the host -> its md5, as torchvision pins it
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
}
PACK = "omniglot.zip"  # at a mirror
PACKED = True  # black ink on white paper: a bit a pixel
DIGEST = "d397a423bbe8555bd347ace3d8fefb3f45931fd91c60552e718cd655a0ae63f6"  # of the whole, see store.Record
BACKGROUND = 964  # classes; they come first


def read_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 images [20, 105, 105], ink 0) from one of the two original zips.

    Its members are `images_background/<alphabet>/<character>/<id>.png`.
    """
    with zipfile.ZipFile(path) as archive:
        members = sorted((name for name in archive.namelist() if name.endswith(".png")), key=natural_order)
        for folder, names in groupby(members, key=lambda name: name.rpartition("/")[0]):
            yield folder.partition("/")[2], np.stack([_drawing(archive, name) for name in names])


def _drawing(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with opened(io.BytesIO(read_member(archive, name)), ("PNG",)) as picture:
        return np.asarray(picture.convert("L"))


def splits(classes: tuple[str, ...]) -> Splits:
    """Both usual splits of the 1,623 classes, as indices.

    "vinyals"  1,028 / 172 / 423 classes, the lists of Vinyals et al. (2016) as distributed with the code of
               Snell et al. (2017). All alphabets occur in all parts.
    "lake"     Lake et al. (2015): the evaluation set's 20 alphabets (659 classes) are the test. The original
               has no validation part. Ours, our own choice, is every sixth of the 30 background alphabets in
               alphabetical order: Balinese, Early Aramaic, Inuktitut, Mkhedruli and Tifinagh, 158 classes.
               The other 806 are for training; a run that needs no validation trains on both, all 964.
    """
    index = {name: position for position, name in enumerate(classes)}
    lists = json.loads((Path(__file__).parent / "splits" / "omniglot_vinyals.json").read_text(encoding="utf-8"))
    vinyals = {
        part: sorted(
            index[f"{alphabet}/character{number:02d}"]
            for alphabet, numbers in lists[part].items()
            for number in numbers
        )
        for part in ("train", "validation", "test")
    }
    background = range(BACKGROUND)
    held_out = sorted({_alphabet(classes[position]) for position in background})[5::6]
    lake = {
        "train": [position for position in background if _alphabet(classes[position]) not in held_out],
        "validation": [position for position in background if _alphabet(classes[position]) in held_out],
        "test": list(range(BACKGROUND, len(classes))),
    }
    return {"vinyals": vinyals, "lake": lake}


def _alphabet(class_name: str) -> str:
    return class_name.partition("/")[0]
