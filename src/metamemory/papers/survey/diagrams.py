"""How a support set and a query flow through the survey's families: metric, gradient, attention, neural process."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from metamemory.study.diagrams import (
    COLUMNS,
    EDGE,
    GAP,
    QUIET,
    SMALL,
    Diagram,
    Point,
    answers,
    characters,
    pale,
    stream,
)
from metamemory.study.figures import RIGHT
from metamemory.study.methods import colour, title

SPOTS = (((0.22, 0.42), (0.68, 0.18)), ((1.42, 0.24), (1.8, 0.56)), ((0.86, 1.1), (1.38, 0.98)))  # samples, by class
QUERY = (0.62, 0.58)  # in a learned space, as the spots
SPACE = (2.0, 1.24)  # width and height
VECTOR = ((0.2,), (0.9,), (0.5,), (0.7,))


def metric(root: Path = Path(".")) -> Figure:
    """One learned space, and four rules that answer in it."""
    diagram = Diagram(colour("protonet"), 5.8, characters(root))
    support = [diagram.labelled(0.4 + 0.63 * n, 0.47, n // 2, n % 2, size=0.33) for n in range(6)]
    diagram.text(1.85, 0.12, "support set", size=SMALL, tint=QUIET)
    diagram.text(4.25, 0.12, "query", size=SMALL, tint=QUIET)
    query = diagram.image(4.25, 0.47, 0, 2, 0.33, query=True)
    network = diagram.fixed(2.3, 1.02, 4.2, 0.28, "CNN: each image becomes a point")
    for image in (*support, query):
        diagram.down(image, network)
    panels = (
        ("protonet", _means, "nearest mean of a class"),
        ("matching", _attention, "all samples, as far as alike"),
        ("siamese", _pairs, "same or not, pair by pair"),
        ("ridge", _borders, "a linear layer, in one go"),
    )
    for number, (method, rule, words) in enumerate(panels):
        left, top = 0.2 + 2.22 * (number % 2), 1.82 + 1.88 * (number // 2)
        diagram.tint = colour(method)
        diagram.text(left + SPACE[0] / 2, top - 0.38, title(method), weight="bold")
        diagram.text(left + SPACE[0] / 2, top - 0.17, words, size=SMALL, tint=QUIET)
        diagram.fixed(left + SPACE[0] / 2, top + SPACE[1] / 2, *SPACE, lw=0.8, zorder=1)
        rule(
            diagram,
            [[(left + x, top + y) for x, y in of_class] for of_class in SPOTS],
            (left + QUERY[0], top + QUERY[1]),
        )
    diagram.tint = colour("protonet")
    diagram.legend(5.28)
    return diagram.figure


def _samples(diagram: Diagram, spots: Sequence[Sequence[Point]], query: Point) -> None:
    for of_class, places in enumerate(spots):
        for number, (x, y) in enumerate(places):
            diagram.image(x, y, of_class, number, 0.2)
    diagram.image(*query, 0, 2, 0.2, query=True)


def _means(diagram: Diagram, spots: Sequence[Sequence[Point]], query: Point) -> None:
    means = [tuple(np.mean(places, axis=0)) for places in spots]
    distances = [np.hypot(x - query[0], y - query[1]) for x, y in means]
    for mean, distance, places in zip(means, distances, spots, strict=True):
        nearest = distance == min(distances)
        diagram.line([query, mean], RIGHT if nearest else EDGE, lw=2.2 if nearest else 0.9, zorder=3)
        for place in places:
            diagram.line([place, mean], diagram.tint, lw=0.8, ls=":", zorder=3)
    _samples(diagram, spots, query)
    for x, y in means:
        diagram.axes.plot([x], [y], marker="D", markersize=9, mfc=pale(diagram.tint, 0.5), mec=diagram.tint, zorder=6)


def _attention(diagram: Diagram, spots: Sequence[Sequence[Point]], query: Point) -> None:
    for places in spots:
        for place in places:
            distance = np.hypot(place[0] - query[0], place[1] - query[1])
            diagram.line([query, place], diagram.tint, lw=0.4 + 20 * np.exp(-5.5 * distance), zorder=3)
    _samples(diagram, spots, query)


def _pairs(diagram: Diagram, spots: Sequence[Sequence[Point]], query: Point) -> None:
    """Beside one another: a sample and the query, their points, and how likely they are the same."""
    left, top = spots[0][0][0] - SPOTS[0][0][0], spots[0][0][1] - SPOTS[0][0][1]
    compared = diagram.fixed(left + 1.08, top + 0.62, 0.66, 0.3, "$|z - z'|$", size=SMALL)
    for row, (of_class, number, query_) in enumerate(((0, 0, False), (0, 2, True))):
        y = top + 0.36 + 0.52 * row
        image = diagram.image(left + 0.24, y, of_class, number, 0.26, query=query_)
        point = diagram.cells(left + 0.58, y, VECTOR if row else ((0.3,), (0.8,), (0.5,), (0.9,)), 0.075)
        diagram.across(image, point)
        diagram.arrow((point.right[0] + GAP, y), (compared.left[0] - GAP, compared.y + (0.08 if row else -0.08)))
    diagram.text(left + 1.7, top + 0.62, "same?", size=SMALL)
    diagram.arrow((compared.right[0] + GAP, compared.y), (left + 1.47, compared.y))


def _borders(diagram: Diagram, spots: Sequence[Sequence[Point]], query: Point) -> None:
    left, top = spots[0][0][0] - SPOTS[0][0][0], spots[0][0][1] - SPOTS[0][0][1]
    for ends in (((1.1, 0.7), (1.18, 0.04)), ((1.1, 0.7), (0.04, 0.82)), ((1.1, 0.7), (1.96, 1.16))):
        diagram.line([(left + x, top + y) for x, y in ends], diagram.tint, lw=2.2, zorder=3)
    _samples(diagram, spots, query)


def gradient(root: Path = Path(".")) -> Figure:
    """Steps of gradient descent from a learned start; which weights move, and what moves the start."""
    diagram = Diagram(colour("maml"), 5.0, characters(root))
    diagram.text(1.65, 0.12, "support set", size=SMALL, tint=QUIET)
    diagram.text(4.12, 0.12, "query", size=SMALL, tint=QUIET)
    support = [diagram.labelled(0.75 + 0.85 * n, 0.5, n) for n in range(3)]
    query = diagram.image(4.12, 0.5, 0, 1, query=True)
    loss = diagram.fixed(1.65, 1.07, 2.3, 0.27, "loss, its gradient")
    for image in support:
        diagram.down(image, loss)
    weights = [diagram.fixed(0.5, 1.75, 0.5, 0.4, r"$\theta$")]
    for x, words in ((1.5, r"$\theta_1$"), (2.5, r"$\theta_2$"), (4.12, r"$\theta_n$")):
        weights.append(diagram.changing(x, 1.75, 0.5, 0.4, words))
    for number, (first, second) in enumerate(zip(weights, weights[1:], strict=False)):
        far = number == 2
        diagram.arrow((first.right[0] + GAP, 1.75), (second.left[0] - GAP, 1.75), kept=True, ls=":" if far else "-")
        if not far:
            middle = (first.x + second.x) / 2
            diagram.arrow((middle, loss.bottom[1] + GAP), (middle, 1.75 - 2 * GAP))
    diagram.text(0.5, 2.1, "start", size=SMALL, tint=QUIET)
    diagram.text(2.0, 2.1, "a few steps", size=SMALL, tint=QUIET)
    diagram.down(query, weights[-1])
    answer = diagram.chip(4.12, 2.3, "0", answer=True)
    diagram.down(weights[-1], answer)
    for x, method, moved, words in (
        (0.8, "maml", 5, "all layers move;\nthe start by the\nqueries' loss,\nthrough the steps"),
        (2.3, "anil", 1, "the last layer\nmoves; the start\nas in MAML"),
        (3.8, "reptile", 5, r"all layers move;" + "\nthe start goes\ntowards " + r"$\theta_n$"),
    ):
        diagram.text(x, 2.72, title(method), weight="bold")
        _layers(diagram, x, 3.08, moved, colour(method))
        diagram.text(x, 3.38, words, size=SMALL, tint=QUIET, va="top")
    diagram.legend(4.5)
    return diagram.figure


def _layers(diagram: Diagram, x: float, y: float, moved: int, tint: str) -> None:
    """A network of five layers, of which the last `moved` change."""
    for layer in range(5):
        at = x + 0.2 * (layer - 2)
        box = (at, y, 0.15, 0.36)
        if layer >= 5 - moved:
            diagram.changing(*box, tint=tint)
        else:
            diagram.fixed(*box)


def attention(root: Path = Path(".")) -> Figure:
    """A transformer and SNAIL: every step is kept, and a later one looks back at all."""
    diagram = Diagram(colour("transformer"), 5.05, characters(root))
    shown = stream(diagram, 0.12)
    diagram.row(1.17, "encoder")
    encoders = [diagram.fixed(x, 1.17, 0.58, 0.28, "CNN") for x in COLUMNS]
    for (image, label), encoder in zip(shown, encoders, strict=True):
        diagram.down(image, encoder)
        diagram.path([(label.x + 0.06, label.bottom[1]), (label.x + 0.06, 1.56), (label.x - 0.02, 1.56)])
    tokens = [diagram.cells(x, 1.58, ((0.3, 0.8, 0.5, 0.9),), 0.12) for x in COLUMNS]
    diagram.row(1.58, "keys and\nvalues")
    for encoder, token in zip(encoders, tokens, strict=True):
        diagram.down(encoder, token)
    said = answers(diagram, 2.5)
    for last, answer in enumerate(said):
        for first in range(last + 1):
            strong = last == 3 and first in (0, 1)
            diagram.line(
                [(tokens[first].x, tokens[first].bottom[1]), (answer.x, answer.top[1])],
                diagram.tint, lw=2.6 if strong else 0.8, alpha=1 if strong else 0.6,
            )  # fmt: skip
    diagram.row(2.05, "attention")
    _dilated(diagram, 2.98)
    diagram.legend(4.55)
    return diagram.figure


def _dilated(diagram: Diagram, y: float) -> None:
    """The convolutions in time that SNAIL has between its layers of attention."""
    tint = colour("snail")
    diagram.text(2.3, y, f"{title('snail')}: convolutions in time, between layers of attention", size=SMALL, tint=QUIET)
    places = [0.95 + 0.47 * step for step in range(8)]
    heights = (y + 0.25, y + 0.58, y + 0.91, y + 1.24)
    for level, (below, above) in enumerate(zip(heights, heights[1:], strict=False)):
        for step in range(8):
            strong = {"lw": 2.0} if _reached(step, level) else {"lw": 0.7, "alpha": 0.5}
            for back in (0, 2**level):
                if step >= back:
                    diagram.line([(places[step - back], below), (places[step], above)], tint, **strong)
    for height in heights:
        for x in places:
            diagram.axes.plot([x], [height], marker="o", markersize=6, mfc=pale(tint, 0.5), mec=tint, zorder=4)
    for level, height in enumerate(heights[1:]):
        diagram.row(height, f"{2**level} back")


def _reached(step: int, level: int) -> bool:
    """Whether the last step at the top hears of this one, above a level."""
    return step % 2 ** (level + 1) == 2 ** (level + 1) - 1


def neural_process(root: Path = Path(".")) -> Figure:
    """Samples are encoded one by one and their mean is kept: of all for a function, within each class for classes."""
    diagram = Diagram(colour("cnp"), 5.75, characters(root))
    _of_a_function(diagram)
    diagram.line([(0.2, 2.62), (4.4, 2.62)], "#CCCCCC", lw=0.8)
    _of_classes(diagram)
    diagram.legend(5.22)
    return diagram.figure


def _of_a_function(diagram: Diagram) -> None:
    diagram.text(1.6, 0.12, "values that are known", size=SMALL, tint=QUIET)
    diagram.text(4.0, 0.12, "asked for", size=SMALL, tint=QUIET)
    codes = []
    for number, x in enumerate((0.6, 1.6, 2.6), start=1):
        diagram.text(x, 0.4, f"$(x_{number}, y_{number})$")
        encoder = diagram.fixed(x, 0.84, 0.5, 0.28, "$h$")
        diagram.arrow((x, 0.52), (x, encoder.top[1] - GAP))
        code = diagram.cells(x, 1.26, ((0.3 * number - 0.1, 1.2 - 0.3 * number, 0.4, 0.7),), 0.12)
        diagram.down(encoder, code)
        diagram.text(x + 0.42, 1.26, f"$r_{number}$", size=SMALL, tint=QUIET)
        codes.append(code)
    mean = diagram.cells(1.6, 1.87, ((0.5, 0.6, 0.4, 0.7),), 0.15)
    for code in codes:
        diagram.arrow((code.x, code.bottom[1] + GAP), (mean.x + 0.16 * (code.x - mean.x), mean.top[1] - GAP))
    diagram.text(1.18, 1.87, "mean $r$", size=SMALL, tint=QUIET, ha="right")
    diagram.text(4.0, 0.4, "$x$")
    decoder = diagram.fixed(4.0, 1.87, 0.6, 0.32, "$g$")
    diagram.arrow((4.0, 0.52), (4.0, decoder.top[1] - GAP))
    diagram.across(mean, decoder, kept=True)
    diagram.arrow((4.0, decoder.bottom[1] + GAP), (4.0, 2.2))
    diagram.text(4.0, 2.34, r"$\mu$ and $\sigma$", size=SMALL, ha="center")


def _of_classes(diagram: Diagram) -> None:
    means = []
    for of_class, x in enumerate((0.9, 2.3)):
        encoder = diagram.fixed(x, 3.5, 1.2, 0.26, "$f$ (CNN)")
        for number in range(2):
            sample = diagram.labelled(x - 0.33 + 0.66 * number, 2.95, of_class, number, size=0.33)
            diagram.down(sample, encoder)
        mean = diagram.cells(x, 3.95, ((0.3 + 0.5 * of_class, 0.9 - 0.5 * of_class, 0.4, 0.7),), 0.15)
        diagram.down(encoder, mean)
        diagram.text(x - 0.4, 3.95, f"$r_{of_class}$", size=SMALL, tint=QUIET, ha="right")
        means.append(mean)
    query = diagram.image(4.0, 2.95, 0, 2, 0.33, query=True)
    encoder = diagram.fixed(4.0, 3.5, 0.7, 0.26, "$f$")
    decoder = diagram.fixed(4.0, 4.38, 0.6, 0.32, "$g$")
    diagram.down(query, encoder)
    diagram.down(encoder, decoder)
    for number, mean in enumerate(means):
        y = decoder.y + (0.06 if number == 0 else -0.06)
        diagram.line([(mean.x, mean.bottom[1] + GAP), (mean.x, y)], diagram.tint, lw=2.2)
        diagram.arrow((mean.x, y), (decoder.left[0] - GAP, y), kept=True)
    diagram.text(1.6, 4.66, "means within each class", size=SMALL, tint=QUIET)
    answer = diagram.chip(4.0, 4.85, "0", answer=True)
    diagram.down(decoder, answer)
