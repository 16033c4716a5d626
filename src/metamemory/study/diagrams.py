"""The grammar of diagrams: how a task flows through a learner, in boxes, arrows and characters.

All diagrams of the book say the same thing in the same way:

    white box, grey edge          fixed within a task: learned over many tasks, then left as it is
    box in the learner's colour   changes within the task: what the task has left behind
    thin grey arrow               what flows within a step
    thick arrow in the colour     what is kept from step to step
    round chip                    a label that is shown; "-" is the null label
    dashed frame                  a query, to be answered; its answer is a chip with a green edge

A page shows them 4.6 inches wide, so that the smallest text can still be read on a telephone. Places are in inches from
the upper left corner; x and y are of centres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from metamemory.data import glyphs
from metamemory.study.figures import RIGHT, unpacked
from metamemory.study.results import finished

WIDTH = 4.6  # inches
INK = "gray_r"  # of characters
NORMAL, SMALL = 10.0, 9.5  # points
EDGE, TEXT, QUIET = "#6B6B6B", "#1A1A1A", "#5A5A5A"
GAP = 0.03  # inches between an arrow and what it leads to
CLASSES, IMAGES = 5, 4  # of characters at least, so that every diagram has enough
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A place: its centre and size, in inches; `left`, `right`, `top`, `bottom` are where arrows meet it."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> Point:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> Point:
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> Point:
        return self.x, self.y - self.height / 2

    @property
    def bottom(self) -> Point:
        return self.x, self.y + self.height / 2


def pale(tint: str, share: float = 0.3) -> tuple[float, float, float]:
    """A colour, mixed with white."""
    red, green, blue = (1 - share * (1 - each) for each in to_rgb(tint))
    return red, green, blue


@lru_cache(maxsize=4)
def characters(root: Path) -> list[np.ndarray]:
    """Classes of characters, each uint8 [image, height, width], ink 255: those of a finished run's test episode where
    there is one, else of the embedded stand-in."""
    for result in finished(root):
        if (found := _of_episode(result)) is not None:
            return found
    return [255 * (1 - images[:IMAGES] // 255) for _, images in glyphs.draw_classes(CLASSES)]


def _of_episode(result) -> list[np.ndarray] | None:
    """The characters of a test episode of Omniglot at the original size of 28 pixels; None where it has no such."""
    if result.manifest["data"]["title"] != "Omniglot" or result.manifest["data"].get("size") != 28:
        return None
    example = result.example
    if "x" not in example or not isinstance(example.get("y"), list) or not isinstance(example["y"][0], int):
        return None
    images, labels = unpacked(example["x"], example["x_shape"])[:, 0], np.array(example["y"])
    classes = [images[labels == label] for label in np.unique(labels)]
    enough = len(classes) >= CLASSES and min(map(len, classes)) >= IMAGES
    return classes if enough else None


class Diagram:
    """A figure in inches, with the pieces of the grammar.

    Args:
        tint: the learner's colour.
        height, width: of the figure.
        classes: characters to show, as `characters` finds them.
    """

    def __init__(self, tint: str, height: float, classes: Sequence[np.ndarray] = (), width: float = WIDTH):
        self.tint, self.classes, self.width, self.height = tint, classes, width, height
        self.figure = plt.figure(figsize=(width, height))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
        self.axes.axis("off")

    def text(
        self, x: float, y: float, words: str, *, size: float = NORMAL, tint: str = TEXT, ha: str = "center", **how
    ):
        """Words with their centre at a place, or with their left or right end there."""
        style = {"va": "center_baseline", "zorder": 5, "linespacing": 1.15, **how}
        self.axes.text(x, y, words, ha=ha, fontsize=size, color=tint, **style)

    def row(self, y: float, words: str) -> None:
        """The name of a row, at the left."""
        self.text(0.74, y, words, size=SMALL, tint=QUIET, ha="right")

    def fixed(self, x: float, y: float, width: float, height: float, words: str = "", **how) -> Box:
        """What does not change within a task."""
        return self._box(Box(x, y, width, height), "white", EDGE, words, **how)

    def changing(self, x: float, y: float, width: float, height: float, words: str = "", tint: str = "", **how) -> Box:
        """What the task changes."""
        tint = tint or self.tint
        return self._box(Box(x, y, width, height), pale(tint), tint, words, **how)

    def _box(self, box: Box, face, edge: str, words: str, size: float = NORMAL, lw: float = 1.2, **how) -> Box:
        corner = box.left[0], box.top[1]
        style = "round,pad=0,rounding_size=0.05"
        shape = FancyBboxPatch(corner, box.width, box.height, boxstyle=style, **{"zorder": 3, **how})
        self.axes.add_patch(shape)
        shape.set(facecolor=face, edgecolor=edge, linewidth=lw)
        if words:
            self.text(box.x, box.y, words, size=size)
        return box

    def chip(self, x: float, y: float, words: str, answer: bool = False, size: float = SMALL) -> Box:
        """A label that is shown, or an answer."""
        edge, width = (RIGHT, 1.8) if answer else (EDGE, 0.9)
        self.axes.add_patch(Circle((x, y), 0.115, fc="#F3F3F3", ec=edge, lw=width, zorder=4))
        self.text(x, y, words, size=size)
        return Box(x, y, 0.23, 0.23)

    def image(self, x: float, y: float, of_class: int, number: int = 0, size: float = 0.42, query: bool = False) -> Box:
        """A character in a thin frame, dashed if it is a query."""
        box = self.picture(Box(x, y, size, size), self.classes[of_class][number], INK, 0, 255)
        style = {"ls": (0, (3, 2)), "lw": 1.4, "ec": TEXT} if query else {"lw": 0.8, "ec": "#AAAAAA"}
        self.frame(box, zorder=4, **style)
        return box

    def picture(self, box: Box, values: np.ndarray, cmap: str | Colormap, low: float, high: float) -> Box:
        """Numbers [height, width] as colours, in a box."""
        extent = (box.left[0], box.right[0], box.bottom[1], box.top[1])
        how = {"cmap": cmap, "vmin": low, "vmax": high, "interpolation": "antialiased" if cmap == INK else "nearest"}
        self.axes.imshow(values, extent=extent, aspect="auto", zorder=3, **how)
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="equal")  # which imshow has changed
        return box

    def frame(self, box: Box, **how) -> None:
        """Its edge."""
        self.axes.add_patch(Rectangle((box.left[0], box.top[1]), box.width, box.height, fill=False, **how))

    def shades(self) -> Colormap:
        """From white through the learner's colour to black."""
        return LinearSegmentedColormap.from_list("", ["white", self.tint, "black"])

    def labelled(self, x: float, y: float, of_class: int, number: int = 0, words: str = "", size: float = 0.42) -> Box:
        """A character with its label at its side; the place is that of both."""
        words = words or str(of_class)
        box = self.image(x - 0.14, y, of_class, number, size)
        self.chip(x + size / 2 + 0.02, y, words)
        return box

    def arrow(self, start: Point, end: Point, kept: bool = False, bend: float = 0.0, tint: str = "", **how) -> None:
        """What flows, or what is kept."""
        style = {"color": tint or (self.tint if kept else EDGE), "lw": 2.2 if kept else 1.1}
        self.axes.add_patch(
            FancyArrowPatch(
                start, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=11 if kept else 9,
                shrinkA=0, shrinkB=0, zorder=2, **{**style, **how},
            )
        )  # fmt: skip

    def down(self, above: Box, below: Box, x: float | None = None, **how) -> None:
        """From the bottom of a box straight down to the top of another, at x or below the first one's middle."""
        x = above.x if x is None else x
        self.arrow((x, above.bottom[1] + GAP), (x, below.top[1] - GAP), **how)

    def across(self, first: Box, second: Box, y: float | None = None, **how) -> None:
        """From the right of a box to the left of another."""
        y = first.y if y is None else y
        self.arrow((first.right[0] + GAP, y), (second.left[0] - GAP, y), **how)

    def line(self, points: Sequence[Point], tint: str = EDGE, **how) -> None:
        """A line through points."""
        self.axes.plot(*zip(*points, strict=True), color=tint, **{"lw": 1.1, "zorder": 2, **how})

    def path(self, points: Sequence[Point], tint: str = EDGE, **how) -> None:
        """A line through points with an arrow at its end."""
        self.line(points[:-1], tint, **how)
        self.arrow(points[-2], points[-1], tint=tint, **how)

    def cells(self, x: float, y: float, filled: Sequence[Sequence[float]], cell: float = 0.1, tint: str = "") -> Box:
        """A vector or a matrix: a row each of `filled`, from 0, white, to 1."""
        shades = np.array(filled, dtype=float)
        rows, columns = shades.shape
        box = Box(x, y, columns * cell, rows * cell)
        for row in range(rows):
            for column in range(columns):
                corner = box.left[0] + column * cell, box.top[1] + row * cell
                face = pale(tint or self.tint, shades[row, column])
                self.axes.add_patch(Rectangle(corner, cell, cell, fc=face, ec=EDGE, lw=0.4, zorder=3))
        self.axes.add_patch(
            Rectangle((box.left[0], box.top[1]), box.width, box.height, fill=False, ec=EDGE, lw=0.9, zorder=4)
        )
        return box

    def network(self, left: float, y: float, moved: int = 0, layers: int = 4) -> list[Box]:
        """A small network from an image to an answer: its layers, of which the last `moved` change."""
        image = self.image(left + 0.14, y, 0, size=0.26)
        made = [self.changing if number >= layers - moved else self.fixed for number in range(layers)]
        boxes = [make(left + 0.56 + 0.24 * number, y, 0.14, 0.34) for number, make in enumerate(made)]
        for first, second in zip([image, *boxes], boxes, strict=False):
            self.line([(first.right[0] + 0.01, y), (second.left[0] - 0.01, y)])
        self.arrow((boxes[-1].right[0] + GAP / 2, y), (boxes[-1].right[0] + 0.21, y))
        return boxes

    def legend(self, y: float, labels: bool = True, query: bool = True) -> None:
        """What boxes, chips and frames mean, in two lines from y on."""

        def name(x: float, words: str, at: float = y) -> None:
            self.text(x, at, words, size=SMALL, tint=QUIET, ha="left")

        self.fixed(0.22, y, 0.2, 0.15)
        name(0.42, "fixed within the task")
        self.changing(2.42, y, 0.2, 0.15)
        name(2.62, "changes within the task")
        below = y + 0.29
        if labels:
            self.chip(0.22, below, "1")
            name(0.42, "label shown", below)
        if query:
            style = {"ls": (0, (3, 2)), "lw": 1.4, "ec": TEXT}
            left = 1.48 if labels else 0.13
            self.axes.add_patch(Rectangle((left, below - 0.09), 0.18, 0.18, fill=False, **style))
            name(left + 0.28, "query", below)
            self.chip(2.42, below, "1", answer=True)
            name(2.62, "answer", below)


COLUMNS = (1.22, 2.15, 3.08, 4.01)  # x of the steps of a stream
STREAM = ((0, 0, "–"), (1, 0, "0"), (2, 0, "1"), (0, 1, "2"))  # class, image, label shown: of the step before
ANSWERS = ("?", "?", "?", "0")


def stream(diagram: Diagram, y: float, query: bool = True) -> list[tuple[Box, Box]]:
    """Four steps of a stream whose labels come a step late, from y on: a box of each image, and one of the label beside
    it. The last image is of the first one's class."""
    found = []
    diagram.row(y, "step")
    diagram.row(y + 0.4, "image and\nlabel")
    for number, (x, (of_class, image, label)) in enumerate(zip(COLUMNS, STREAM, strict=True), start=1):
        diagram.text(x, y, str(number), size=SMALL, tint=QUIET)
        last = query and number == len(STREAM)
        box = diagram.image(x - 0.13, y + 0.4, of_class, image, query=last)
        found.append((box, diagram.chip(x + 0.26, y + 0.4, label)))
    return found


def answers(diagram: Diagram, y: float) -> list[Box]:
    """What is said at each step: only the last class has been seen before."""
    diagram.row(y, "answer")
    return [diagram.chip(x, y, word, answer=word != "?") for x, word in zip(COLUMNS, ANSWERS, strict=True)]
