"""How an episode flows through the learners of Babu et al. 2021: recurrent ones, and those that store samples."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from metamemory.study.diagrams import COLUMNS, GAP, QUIET, SMALL, Box, Diagram, answers, characters, stream
from metamemory.study.methods import colour, title

VECTOR = ((0.2, 0.9, 0.5),)
MAP = ((0.2, 0.7, 0.3), (0.8, 0.4, 0.9), (0.3, 0.6, 0.2))


def _kept(diagram: Diagram, boxes: Sequence[Box], shown: Sequence[Sequence[float]], cell: float = 0.055) -> None:
    """What is kept, drawn on its way from step to step."""
    for first, second in zip(boxes, boxes[1:], strict=False):
        diagram.across(first, second, kept=True)
        diagram.cells((first.right[0] + second.left[0]) / 2 - 0.03, first.y, shown, cell)


def lstm(root: Path = Path(".")) -> Figure:
    """An LSTM: one vector is all that is kept."""
    diagram = Diagram(colour("lstm"), 2.8, characters(root))
    shown = stream(diagram, 0.12)
    diagram.row(1.25, "one vector\nis kept")
    boxes = [diagram.fixed(x, 1.25, 0.58, 0.36, "LSTM") for x in COLUMNS]
    said = answers(diagram, 1.83)
    for (image, label), box, answer in zip(shown, boxes, said, strict=True):
        diagram.down(image, box)
        diagram.down(label, box)
        diagram.down(box, answer)
    _kept(diagram, boxes, VECTOR)
    diagram.legend(2.28)
    return diagram.figure


def cl_lstm(root: Path = Path(".")) -> Figure:
    """CL+LSTM: every layer keeps a state; labels are shown to the first and to the LSTM."""
    diagram = Diagram(colour("cl_lstm"), 5.0, characters(root))
    shown = stream(diagram, 0.12)
    heights = (1.22, 1.72, 2.22, 2.72, 3.42)
    names = ("CL-1", "CL-2", "CL-3", "CL-4", "LSTM")
    columns = [[diagram.fixed(x, y, 0.58, 0.3, name) for y, name in zip(heights, names, strict=True)] for x in COLUMNS]
    said = answers(diagram, 3.98)
    for (image, label), boxes, answer, word in zip(shown, columns, said, "–012", strict=True):
        diagram.down(image, boxes[0])
        diagram.down(label, boxes[0])
        for above, below in zip(boxes, boxes[1:], strict=False):
            diagram.down(above, below)
        again = diagram.chip(boxes[-1].x + 0.2, 3.02, word)
        diagram.arrow((again.x, again.bottom[1] + 0.01), (again.x, boxes[-1].top[1] - GAP / 2))
        diagram.down(boxes[-1], answer)
    *maps, last = zip(*columns, strict=True)
    for layer in maps:
        _kept(diagram, layer, MAP)
    _kept(diagram, last, VECTOR)
    diagram.row(1.97, "a state\nin every\nlayer")
    diagram.legend(4.45)
    return diagram.figure


def stored(root: Path = Path(".")) -> Figure:
    """OPN, and what CPM and APL do otherwise: embeddings are stored under their labels once these come."""
    diagram = Diagram(colour("opn"), 4.95, characters(root))
    shown = stream(diagram, 0.12)
    diagram.row(1.2, "encoder")
    boxes = [diagram.fixed(x, 1.2, 0.58, 0.3, "CNN") for x in COLUMNS]
    for (image, _), box in zip(shown, boxes, strict=True):
        diagram.down(image, box)
    _kept(diagram, boxes, VECTOR)
    diagram.row(1.87, "prototypes\nso far")
    empty, rows = (0.0,) * 4, ((0.9, 0.3, 0.6, 0.2), (0.3, 0.8, 0.2, 0.6), (0.5, 0.2, 0.9, 0.7))
    memories = []
    for step, (x, (_, label), box) in enumerate(zip(COLUMNS, shown, boxes, strict=True)):
        memories.append(diagram.cells(x, 1.87, [*rows[:step], *[empty] * (3 - step)], 0.12))
        diagram.down(box, memories[-1])
        if step:
            at = memories[-1].top[1] + 0.06 + 0.12 * (step - 1)
            side = label.x + 0.06
            diagram.path([(side, label.bottom[1]), (side, at), (memories[-1].right[0] + GAP, at)])
    for first, second in zip(memories, memories[1:], strict=False):
        diagram.across(first, second, y=first.bottom[1] - 0.06, kept=True)
    for memory, answer in zip(memories, answers(diagram, 2.5), strict=True):
        diagram.down(memory, answer)
    _kinds_of_stores(diagram, 2.98)
    diagram.legend(4.43)
    return diagram.figure


def _kinds_of_stores(diagram: Diagram, y: float) -> None:
    """What each of three learners keeps, side by side."""
    for x, method, words in (
        (0.78, "opn", "means of\neach class"),
        (2.3, "cpm", "gated means, in\na moving space"),
        (3.82, "apl", "only samples\nthat surprised"),
    ):
        tint = colour(method)
        diagram.text(x, y, title(method), weight="bold")
        here = x - 0.3 if method == "cpm" else x
        rows = ((0.9, 0.3, 0.6, 0.2), (0.3, 0.8, 0.2, 0.6), (0.5, 0.2, 0.9, 0.7), (0.7, 0.4, 0.3, 0.9))
        count = 4 if method == "apl" else 3
        diagram.cells(here, y + 0.47, rows[:count], 0.12, tint)
        if method == "cpm":
            lstm_box = diagram.fixed(x + 0.4, y + 0.47, 0.52, 0.28, "LSTM")
            diagram.arrow((lstm_box.left[0] - GAP, y + 0.47), (here + 0.24 + GAP, y + 0.47), kept=True, tint=tint)
        diagram.text(x, y + 0.95, words, size=SMALL, tint=QUIET)


def one_after_the_other(root: Path = Path(".")) -> Figure:
    """Continual learning: one class after the other, then queries; what four learners change meanwhile."""
    diagram = Diagram(colour("cl_lstm"), 4.4, characters(root))
    for of_class, left in ((0, 0.14), (1, 1.62)):
        for number in range(3):
            diagram.image(left + 0.17 + 0.44 * number, 0.52, of_class, number, 0.38)
        diagram.text(left + 0.61, 0.14, f"subtask {of_class + 1}", size=SMALL, tint=QUIET)
    for of_class, x in ((0, 3.55), (1, 4.15)):
        diagram.image(x, 0.52, of_class, 3, 0.38, query=True)
    diagram.text(3.85, 0.14, "queries", size=SMALL, tint=QUIET)
    diagram.arrow((0.14, 0.87), (2.96, 0.87))
    learners = (  # layers, and how many of them change
        ("cl_lstm", "states of all layers", 6, 0),
        ("oml", "the last two layers", 6, 2),
        ("anml", "all layers, behind gates", 5, 5),
        ("opn", "means of classes", 4, 0),
    )
    for number, (method, words, count, moved) in enumerate(learners):
        left, top = 0.12 + 2.3 * (number % 2), 1.2 + 1.3 * (number // 2)
        diagram.tint = colour(method)
        diagram.text(left, top, title(method), weight="bold", ha="left")
        diagram.text(left, top + 0.21, words, size=SMALL, tint=QUIET, ha="left")
        layers = diagram.network(left, top + 0.56, moved=moved, layers=count)
        if method == "cl_lstm":
            for layer in layers[:5]:
                state = diagram.cells(layer.x, layer.y + 0.34, ((0.2, 0.9), (0.6, 0.4)), 0.085)
                diagram.line([layer.bottom, state.top], diagram.tint, lw=2.2)
        elif method == "anml":
            gate = diagram.fixed(layers[1].x + 0.14, layers[2].y + 0.4, 0.7, 0.24, "gates", size=SMALL)
            diagram.path([(left + 0.14, top + 0.7), (left + 0.14, gate.y), (gate.left[0] - GAP, gate.y)])
            diagram.path([gate.right, (layers[4].x - 0.12, gate.y), (layers[4].x - 0.12, top + 0.59)])
        elif method == "opn":
            rows = ((0.9, 0.3, 0.6, 0.2), (0.3, 0.8, 0.2, 0.6))
            store = diagram.cells(layers[1].x, layers[-1].y + 0.4, rows, 0.1)
            turn = layers[-1].x
            diagram.path([layers[-1].bottom, (turn, store.y), (store.right[0] + GAP, store.y)], diagram.tint)
    diagram.tint = colour("cl_lstm")
    diagram.legend(3.83, labels=False)
    return diagram.figure
