"""glyphs: the embedded stand-in for Omniglot, for machines that can reach neither a mirror nor its host.

Like Omniglot, 1,623 characters of many scripts, 20 drawings each, 105 x 105, binary; drawn from fonts that
ship with matplotlib. It is not Omniglot: results on it are always labelled with its own name.

A character becomes a class in three steps, and a class becomes drawings in one:

    bitmap --thinning--> skeleton --> compared with all classes so far; dropped if it looks like one of them
                             |
                             +--distance to the nearest stroke--> warped by a writer, inked with a pen

Thinning takes away what is typographic (weight, contrast) and leaves the path of a pen. The warp is affine
(slant, rotation, size, proportions, place) and elastic; the pen is 2 to 4 pixels wide. A writer has a style
that holds for the whole data set, as Omniglot's 20 drawers have within an alphabet, and varies around it from
one character to the next. Everything follows from a fixed seed, and a class's drawings do not depend on the
other classes. The bits may differ between versions of Pillow or matplotlib, and with them the digest.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional

from metamemory.data.store import Splits

CLASSES, DRAWINGS, SIDE = 1623, 20, 105  # as Omniglot
PACKED = True  # as omniglot.PACKED
MADE = "drawn from the fonts that ship with matplotlib"
SEED = 2015
BOX = 76  # pixels: the longer side of a character before it is warped
REACH = 8  # pixels: distances to a stroke are exact up to here
LOOK_ALIKE = 7  # pixels: two characters look alike if no part of either is farther from the other; below REACH

# Later scripts only fill up what is left of the 1,623: the likest to handwritten letters come first.
# "GREEK" means: letters, digits and symbols whose Unicode name begins so.
SCRIPTS = (
    "GREEK", "LATIN", "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC LETTER", "NKO", "LAO", "TIFINAGH",
    "OLD ITALIC", "OGHAM", "COPTIC", "LISU", "CANADIAN SYLLABICS", "MATHEMATICAL FRAKTUR",
    "MATHEMATICAL SCRIPT", "MATHEMATICAL DOUBLE-STRUCK", "DIGIT", "ARABIC-INDIC DIGIT",
    "APL FUNCTIONAL SYMBOL", "BRAILLE PATTERN", "OPERATOR",
)  # fmt: skip
OPERATORS = (*range(0x2200, 0x2300), *range(0x2A00, 0x2B00))  # whose names have no beginning in common
FACES = ("DejaVuSans", "DejaVuSansMono", "STIXGeneral")  # the first that has a character draws it


def draw_classes(count: int = CLASSES) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (class name, uint8 drawings [20, 105, 105], ink 0) of the first `count` classes.

    A class is named like Omniglot's: "Greek/SMALL_LETTER_ALPHA_03B1". All 1,623 take 20 s on one core.
    """
    kept = np.zeros((0, SIDE * SIDE), np.float32), np.zeros((0, SIDE * SIDE), np.float32)
    found = 0
    candidates = _candidates()
    for start in range(0, len(candidates), 64):  # 64: batches that stay in the processor's cache
        batch = candidates[start : start + 64]
        skeletons = _thin(np.stack([_bitmap(face, character) for _, face, character in batch]))
        distances = _distance(skeletons)
        new, kept = _without_look_alikes(skeletons, distances, kept)
        for position in new[: count - found]:
            name, _, character = batch[position]
            yield name, draw(distances[position], ord(character))
        found += len(new)
        if found >= count:
            return
    raise RuntimeError(f"the fonts give only {found} of {count} different characters")


def distances(characters: Sequence[tuple[str, str]]) -> np.ndarray:
    """Of each (face, character), how far every pixel is from its nearest stroke: float32 [n, SIDE, SIDE]."""
    return _distance(_thin(np.stack([_bitmap(face, character) for face, character in characters])))


def splits(classes: tuple[str, ...]) -> Splits:
    """Splits of the names and about the sizes of Omniglot's, as indices of classes.

    "vinyals"  1,028 / 172 / 423 classes at random; all scripts occur in all parts.
    "lake"     whole scripts, the largest first, each to the part that is furthest from the size of
               Omniglot's, 806 / 158 / 659.
    """
    order = np.random.default_rng(SEED).permutation(len(classes))
    vinyals = {
        part: sorted(indices.tolist())
        for part, indices in zip(("train", "validation", "test"), np.split(order, [1028, 1200]), strict=True)
    }
    scripts: dict[str, list[int]] = {}
    for index, name in enumerate(classes):
        scripts.setdefault(name.partition("/")[0], []).append(index)
    lake: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    room = {"train": 806, "validation": 158, "test": 659}
    for indices in sorted(scripts.values(), key=len, reverse=True):
        part = max(room, key=lambda part: room[part])
        lake[part] += indices
        room[part] -= len(indices)
    return {"vinyals": vinyals, "lake": {part: sorted(indices) for part, indices in lake.items()}}


def _candidates() -> list[tuple[str, str, str]]:
    """(class name, face, character) of all characters of the scripts that a face has, script by script."""
    from matplotlib.ft2font import FT2Font

    coverage = {face: FT2Font(str(_font_file(face))).get_charmap().keys() for face in FACES}
    face_of = {code: face for face in reversed(FACES) for code in coverage[face]}
    names = {
        code: ("OPERATOR " if code in OPERATORS else "") + unicodedata.name(chr(code), "")
        for code in sorted(face_of)
        if unicodedata.category(chr(code))[0] in "LNS"
    }
    candidates = []
    for script in SCRIPTS:
        for code, name in names.items():
            # An accented or ligated letter is a variant of its parts; but letters of "mathematical" alphabets
            # are variants, for Unicode, of plain ones that look quite different.
            decomposition = unicodedata.decomposition(chr(code))
            if name.startswith(f"{script} ") and (not decomposition or decomposition.startswith("<font>")):
                class_name = f"{script.title()}/{name.removeprefix(f'{script} ')}_{code:04X}".replace(" ", "_")
                candidates.append((class_name, face_of[code], chr(code)))
    return candidates


def _font_file(face: str) -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"


@cache
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_file(face), size, layout_engine=ImageFont.Layout.BASIC)


def _bitmap(face: str, character: str) -> np.ndarray:
    """The character as bool [SIDE, SIDE], its longer side about BOX pixels, in the middle."""
    trial = _ink(face, 64, character)
    ink = _ink(face, min(round(64 * BOX / max(*trial.size, 1)), 400), character)
    canvas = Image.new("L", (SIDE, SIDE))
    canvas.paste(ink, ((SIDE - ink.width) // 2, (SIDE - ink.height) // 2))
    return np.asarray(canvas) >= 128


def _ink(face: str, size: int, character: str) -> Image.Image:
    """The character in grey, cropped to its ink."""
    canvas = Image.new("L", (3 * size, 3 * size))
    ImageDraw.Draw(canvas).text((size, size // 2), character, font=_font(face, size), fill=255)
    return canvas.crop(canvas.getbbox())


def _thin(ink: np.ndarray) -> np.ndarray:
    """Thin bool [n, SIDE, SIDE] to lines of one pixel (Guo and Hall 1989, algorithm A1)."""
    ink = ink.copy()
    previous = -1
    while previous != (previous := np.count_nonzero(ink)):
        for east_side in (False, True):
            padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
            north, north_east, east, south_east, south, south_west, west, north_west = (
                padded[:, 1 + row : 1 + row + SIDE, 1 + column : 1 + column + SIDE]
                for row, column in ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
            )
            # Deleting the pixel must not disconnect its neighbours ...
            crossings = _count(
                ~north & (north_east | east),
                ~east & (south_east | south),
                ~south & (south_west | west),
                ~west & (north_west | north),
            )
            # ... nor shorten the end of a line.
            pairs = np.minimum(
                _count(north_west | north, north_east | east, south_east | south, south_west | west),
                _count(north | north_east, east | south_east, south | south_west, west | north_west),
            )
            if east_side:
                inner = (north | north_east | ~south_east) & east
            else:
                inner = (south | south_west | ~north_west) & west
            ink &= ~((crossings == 1) & (pairs >= 2) & (pairs <= 3) & ~inner)
    return ink


def _count(*masks: np.ndarray) -> np.ndarray:
    """How many of the masks are true, pixel by pixel."""
    return sum(mask.view(np.uint8) for mask in masks)


def _distance(skeletons: np.ndarray) -> np.ndarray:
    """Euclidean distance in pixels to the nearest stroke, at most REACH + 1: float32 [n, SIDE, SIDE]."""
    squared = np.where(skeletons, 0, (REACH + 1) ** 2).astype(np.float32)
    for axis in (1, 2):
        margin = [(0, 0), (0, 0), (0, 0)]
        margin[axis] = (REACH, REACH)
        padded = np.pad(squared, margin, constant_values=(REACH + 1) ** 2)
        for shift in range(-REACH, REACH + 1):
            window = [slice(None)] * 3
            window[axis] = slice(REACH + shift, REACH + shift + SIDE)
            np.minimum(squared, padded[tuple(window)] + shift**2, out=squared)
    return np.sqrt(squared)


def _without_look_alikes(
    skeletons: np.ndarray, distances: np.ndarray, kept: tuple[np.ndarray, np.ndarray]
) -> tuple[list[int], tuple[np.ndarray, np.ndarray]]:
    """Positions of the skeletons that look like no kept one and no earlier one of the batch.

    Two characters look alike when hardly a pixel of either is farther than LOOK_ALIKE from the other: a
    Hausdorff distance, which sees a dot or a short bar that a mean over all pixels would not. `kept` holds,
    of the classes so far, the strokes and what is far from them; it is returned with the new ones.
    """
    strokes = skeletons.reshape(len(skeletons), -1).astype(np.float32)
    far = (distances.reshape(len(distances), -1) > LOOK_ALIKE).astype(np.float32)
    all_strokes, all_far = np.concatenate([kept[0], strokes]), np.concatenate([kept[1], far])
    # [new, all]: pixels of the one that are far from the other, in the worse direction
    unlike = np.maximum(strokes @ all_far.T, far @ all_strokes.T) > 2
    taken = list(range(len(kept[0])))
    new = []
    for position in range(len(strokes)):
        if strokes[position].any() and unlike[position, taken].all():
            new.append(position)
            taken.append(len(kept[0]) + position)
    return new, (all_strokes[taken], all_far[taken])


def draw(distance: np.ndarray, seed: int) -> np.ndarray:
    """One drawing by each writer: uint8 [DRAWINGS, SIDE, SIDE], ink 0 and paper 255.

    `distance` is a row of `distances`; `seed` decides how the hands of the writers vary.
    """
    style = np.random.default_rng(SEED).standard_normal((DRAWINGS, 7))
    random = np.random.default_rng([SEED, seed])
    style = 0.6 * style + 0.8 * random.standard_normal((DRAWINGS, 7))
    turn, slant, size, proportion, right, down, pen = style.T
    size = np.exp(0.10 * size)
    radius = np.clip(1.6 + 0.25 * pen, 1.1, 2.1) / size  # in pixels of the undistorted character

    # Where in the undistorted character each pixel of the drawing lies, in units of half its side.
    turn, slant, stretch = 0.10 * turn, 0.15 * slant, np.exp(0.10 * proportion)
    affine = np.array(
        [
            [np.cos(turn) * stretch / size, (slant - np.sin(turn)) / size, 0.08 * right],
            [np.sin(turn) / size, np.cos(turn) / (stretch * size), 0.08 * down],
        ]
    ).transpose(2, 0, 1)
    shape = (DRAWINGS, 1, SIDE, SIDE)
    grid = functional.affine_grid(torch.from_numpy(affine), shape, align_corners=False)
    knots = random.standard_normal((DRAWINGS, 2, 6, 6))
    elastic = _bumps() @ (0.05 * knots) @ _bumps().T
    grid = (grid + torch.from_numpy(elastic).permute(0, 2, 3, 1)).float()

    field = torch.from_numpy(distance).expand(shape)
    warped = functional.grid_sample(field, grid, padding_mode="border", align_corners=False)[:, 0]
    return np.where(warped.numpy() <= radius[:, None, None], 0, 255).astype(np.uint8)


@cache
def _bumps() -> np.ndarray:
    """Smooth interpolation [SIDE, 6] between 6 knots across the drawing."""
    pixels, knots = np.linspace(0, 5, SIDE)[:, None], np.arange(6)
    return np.exp(-((pixels - knots) ** 2))
