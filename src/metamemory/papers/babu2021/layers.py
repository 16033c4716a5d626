"""What a CL layer is, and what ten of them make: drawings of the main paper's equations and of its U-Net."""

import base64
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from metamemory.study.diagrams import EDGE, GAP, QUIET, SMALL, Box, Diagram
from metamemory.study.figures import RIGHT, unpacked
from metamemory.study.methods import colour
from metamemory.study.results import finished

MAP = ((0.2, 0.7, 0.3), (0.8, 0.4, 0.9), (0.3, 0.6, 0.2))
UNET = (  # x and level of layers 1 to 10
    *((0.75, 0), (1.25, 0), (1.25, 1), (1.75, 1), (2.05, 2)),
    *((2.55, 2), (2.85, 1), (3.35, 1), (3.35, 0), (3.85, 0)),
)


def cl_layer(root: Path = Path(".")) -> Figure:
    """A convolutional LSTM layer, the paper's equations 1 to 5: c and h are kept, a number of each at every pixel of
    every filter."""
    del root  # as all drawings have it
    diagram = Diagram(colour("cl_lstm"), 3.75)
    diagram.text(2.7, 0.14, "$x_t$, from the layer below")
    product = diagram.fixed(2.7, 0.72, 2.9, 0.32, "$W_i * x_t + W_h * h_{t-1}$")
    diagram.arrow((2.7, 0.28), (2.7, product.top[1] - GAP))
    h_before = diagram.changing(0.5, 0.72, 0.66, 0.32, "$h_{t-1}$")
    diagram.across(h_before, product, kept=True)
    gates = {}
    for x, name, function in (
        (1.6, "f", r"\sigma"),
        (2.35, "i", r"\sigma"),
        (3.0, "g", r"\tanh"),
        (3.85, "o", r"\sigma"),
    ):
        gates[name] = diagram.fixed(x, 1.32, 0.34, 0.28, f"${name}$")
        diagram.arrow((x, product.bottom[1] + GAP), (x, gates[name].top[1] - GAP))
        diagram.text(x + 0.06, 1.03, f"${function}$", size=SMALL, tint=QUIET, ha="left")
    c_before = diagram.changing(0.5, 2.28, 0.66, 0.32, "$c_{t-1}$")
    forget, gain, total = _times(diagram, 1.6, 2.28), _times(diagram, 2.68, 1.82), _times(diagram, 2.68, 2.28, "+")
    for name, end in (("f", forget), ("i", gain), ("g", gain)):
        gate = gates[name]
        if name == "f":
            diagram.down(gate, end)
        else:
            side = -1 if name == "i" else 1
            diagram.path([(gate.x, gate.bottom[1] + GAP), (gate.x, gain.y), (gain.x + side * 0.14, gain.y)])
    diagram.across(c_before, forget, kept=True)
    diagram.across(forget, total, kept=True)
    diagram.down(gain, total)
    c_now = diagram.changing(4.2, 2.28, 0.5, 0.32, "$c_t$")
    diagram.across(total, c_now, kept=True)
    tanh, out = diagram.fixed(2.68, 2.92, 0.52, 0.28, r"$\tanh$", size=SMALL), _times(diagram, 3.85 - 0.28, 2.92)
    diagram.down(total, tanh)
    diagram.across(tanh, out)
    diagram.path(
        [
            (gates["o"].x - 0.1, gates["o"].bottom[1] + GAP),
            (gates["o"].x - 0.1, 2.0),
            (out.x, 2.0),
            (out.x, out.top[1] - GAP),
        ]
    )
    h_now = diagram.changing(4.2, 2.92, 0.5, 0.32, "$h_t$")
    diagram.across(out, h_now, kept=True)
    diagram.text(0.2, 2.92, "$h_t$ goes on to the\nlayer above, too", size=SMALL, tint=QUIET, ha="left")
    diagram.legend(3.5, labels=False, query=False)
    return diagram.figure


def _times(diagram: Diagram, x: float, y: float, sign: str = r"$\odot$") -> Box:
    diagram.text(x, y, sign, size=12)
    return Box(x, y, 0.2, 0.2)


def cl_unet(root: Path = Path(".")) -> Figure:
    """CL U-Net: ten CL layers in the form of a U, with the mask of the picture before as a channel of the image."""
    diagram = Diagram(colour("cl_unet"), 4.05)
    boxes = []
    for number, (x, level) in enumerate(UNET, start=1):
        y = 1.42 + 0.78 * level
        boxes.append(diagram.fixed(x, y, 0.4, 0.27, str(number)))
        state = diagram.cells(x, y + 0.28, MAP, 0.06)
        diagram.line([boxes[-1].bottom, state.top], diagram.tint, lw=2.2)
    for first, second in zip(boxes, boxes[1:], strict=False):
        if first.y == second.y and second is not boxes[8]:
            diagram.across(first, second)
    for above, below in ((1, 2), (3, 4)):
        diagram.path(
            [(boxes[above].x + 0.15, boxes[above].bottom[1]), (boxes[above].x + 0.15, boxes[below].top[1] - GAP)]
        )
    for below, above in ((5, 6), (7, 8)):
        x = boxes[below].x + 0.15
        diagram.path([(x, boxes[below].top[1]), (x, boxes[above].bottom[1] + GAP)])
    for left, right in ((1, 8), (3, 6)):
        diagram.across(boxes[left], boxes[right], ls="--")
    pictures, masks = _pictures_and_masks(root)
    for x, words, pixels, tint, cmap in (
        (0.4, "mask\nbefore", masks[0], EDGE, "Greys"),
        (1.1, "picture", pictures[1], EDGE, None),
        (3.85, "answer", masks[1], RIGHT, "Greys"),
    ):
        diagram.text(x, 0.18, words, size=SMALL, tint=QUIET)
        box = diagram.picture(Box(x, 0.66, 0.5, 0.5), pixels, cmap, 0, 1)
        diagram.frame(box, ec=tint, lw=1.8 if tint == RIGHT else 0.9, zorder=4)
    for x, to in ((0.4, 0.62), (1.1, 0.88)):
        diagram.path([(x, 0.94), (x, 1.08), (to, 1.08), (to, boxes[0].top[1] - GAP)])
    diagram.arrow((3.85, boxes[9].top[1] - GAP), (3.85, 0.94))
    diagram.text(2.3, 1.25, "skips", size=SMALL, tint=QUIET)
    for level, words in ((1, "half"), (2, "quarter")):
        diagram.text(3.75, 1.42 + 0.78 * level, words, size=SMALL, tint=QUIET, ha="left")
    diagram.legend(3.8, labels=False, query=False)
    return diagram.figure


def _pictures_and_masks(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures of an object [2, height, width, 3], from 0 to 1, and what is to be marked in them [2, height,
    width]: of a finished run's test episode; blank where there is none."""
    for result in finished(root, "segmentation"):
        example = result.example
        if "thing" not in example:
            continue
        pictures = np.moveaxis(unpacked(example["x"], example["x_shape"]), 1, -1) / 255
        steps, height, width = pictures.shape[:3]
        bits = np.unpackbits(np.frombuffer(base64.b64decode(example["thing"]), np.uint8), count=steps * height * width)
        of_object = np.flatnonzero(example["wanted"])[:2]
        return pictures[of_object], bits.reshape(steps, height, width)[of_object]
    return np.ones((2, 1, 1, 3)), np.zeros((2, 1, 1))
