"""A MANN's memory at work in one test episode: what of that which was stored is read again, and when."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from metamemory.papers.santoro2016.figures import LABELLED, SEEN
from metamemory.study.diagrams import EDGE, INK, QUIET, SMALL, Box, Diagram
from metamemory.study.figures import RIGHT, WRONG, unpacked
from metamemory.study.methods import colour
from metamemory.study.results import Group, Result

FIRST, TOP, PITCH, SIDE = (
    0.97,
    0.92,
    0.315,
    0.28,
)  # inches: x of the first step, y of the first row, from one to the next


def most_retrieving(groups: Sequence[Group]) -> Result | None:
    """The run whose memory prefers most what was stored with an image of the same class; None where none has one."""
    kept = [result for group in groups for result in group.results if "retrieval" in result.example]
    return max(kept, key=lambda result: result.example["retrieval"]["its drawing"], default=None)


def reading(result: Result, steps: int = 12) -> Figure:
    """Steps along the top read what was stored at the steps at the left: the darker, the more."""
    shown = result.example
    share = np.array([[np.nan if each is None else each for each in row] for row in shown["read_of_step"]], dtype=float)
    share = np.nan_to_num(share[:steps, :steps])
    highest = max(1.0, np.tril(share, -1).max())  # what was written just now is left out, else nothing else would show
    images, y = unpacked(shown["x"], shown["x_shape"])[:, 0], shown["y"]
    diagram = Diagram(colour(result.run.method), 5.6)
    diagram.text(2.7, 0.13, "step at which is read", size=SMALL, tint=QUIET)
    diagram.text(
        0.17,
        TOP + PITCH * (steps - 1) / 2,
        "step at which was stored",
        size=SMALL,
        tint=QUIET,
        rotation=90,
        va="center",
    )
    for t in range(steps):
        along, down = FIRST + PITCH * t, TOP + PITCH * t
        for box in (Box(along, TOP - PITCH - 0.08, SIDE, SIDE), Box(FIRST - PITCH - 0.08, down, SIDE, SIDE)):
            diagram.picture(box, images[t], INK, 0, 255)
            diagram.frame(box, ec="#AAAAAA", lw=0.8, zorder=4)
        for s in range(t):
            box = Box(along, TOP + PITCH * s, SIDE, SIDE)
            diagram.picture(box, share[t, s][None, None], diagram.shades(), 0, 1.4 * highest)
            same, told = y[s] == y[t], s > 0 and y[s - 1] == y[t]
            edge, width = (SEEN, 2.0) if same else (LABELLED, 2.0) if told else ("#CCCCCC", 0.5)
            diagram.frame(box, ec=edge, lw=width, zorder=5 if same or told else 4)
        diagram.changing(along, down, SIDE, SIDE, lw=0.8)
    _answers(diagram, shown, steps)
    return diagram.figure


def _answers(diagram: Diagram, shown: dict, steps: int) -> None:
    """What is said at each step, and what the frames mean."""
    below = TOP + PITCH * steps + 0.02
    diagram.text(FIRST - PITCH / 2 - 0.06, below, "answer", size=SMALL, tint=QUIET, ha="right")
    for t in range(steps):
        said = int(np.argmax(shown["probability"][t]))
        tint = RIGHT if said == shown["y"][t] else WRONG
        diagram.text(FIRST + PITCH * t, below, str(said), size=SMALL, tint=tint, weight="bold")
    for y, tint, words in (
        (below + 0.32, SEEN, "an image of the same class was stored"),
        (below + 0.6, LABELLED, "the label of the class was stored"),
    ):
        diagram.frame(Box(0.3, y, 0.16, 0.16), ec=tint, lw=2.0)
        diagram.text(0.5, y, words, size=SMALL, tint=QUIET, ha="left")
    diagram.changing(3.55, below + 0.6, 0.16, 0.16, lw=0.8)
    diagram.text(3.72, below + 0.6, "just now", size=SMALL, tint=QUIET, ha="left")
    diagram.line([(FIRST - 0.16, below - 0.17), (FIRST + PITCH * steps - 0.16, below - 0.17)], EDGE, lw=0.6)
