"""Networks that learn their own learning rule, drawn: what is written, by what, and when."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from metamemory.study.diagrams import EDGE, GAP, INK, QUIET, SMALL, Box, Diagram, characters
from metamemory.study.figures import unpacked
from metamemory.study.methods import colour, title
from metamemory.study.results import finished

LAYERS = ((1.1, 4), (2.22, 3), (3.35, 2))  # x and neurons of a network
WEIGHTS = ((0.9, 0.2, 0.6, 0.3), (0.2, 0.8, 0.3, 0.9), (0.6, 0.4, 0.9, 0.2), (0.3, 0.7, 0.5, 0.8))


def delta_rules(root: Path = Path(".")) -> Figure:
    """DeltaNet, whose slow weights say what is written into fast ones, and SRWM, whose weights say it themselves."""
    diagram = Diagram(colour("delta_net"), 4.55)
    _delta_net(diagram)
    diagram.line([(2.3, 0.1), (2.3, 3.85)], "#CCCCCC", lw=0.8)
    diagram.tint = colour("srwm")
    _srwm(diagram)
    diagram.tint = colour("delta_net")
    diagram.legend(4.25, labels=False, query=False)
    return diagram.figure


def _delta_net(diagram: Diagram) -> None:
    diagram.text(1.1, 0.15, title("delta_net"), weight="bold")
    diagram.text(1.1, 0.45, "$x_t$")
    slow = diagram.fixed(1.1, 0.92, 1.3, 0.32, "slow weights")
    diagram.arrow((1.1, 0.56), (1.1, slow.top[1] - GAP))
    told = diagram.fixed(0.75, 1.75, 0.95, 0.3, "delta rule", size=SMALL)
    diagram.arrow((0.75, slow.bottom[1] + GAP), (0.75, told.top[1] - GAP))
    diagram.text(0.68, 1.34, r"$k_t, v_t, \beta_t$", size=SMALL, ha="right")
    weights = diagram.cells(0.85, 2.75, WEIGHTS, 0.16)
    diagram.arrow((0.75, told.bottom[1] + GAP), (0.75, weights.top[1] - GAP), kept=True)
    diagram.text(0.68, 2.15, "writes", size=SMALL, tint=QUIET, ha="right")
    diagram.text(0.46, 2.75, "$W_t$", ha="right")
    diagram.path([(1.55, slow.bottom[1] + GAP), (1.55, 2.75), (weights.right[0] + GAP, 2.75)])
    diagram.text(1.64, 1.75, "$q_t$", size=SMALL, ha="left")
    diagram.arrow((0.85, weights.bottom[1] + GAP), (0.85, 3.42))
    diagram.text(0.85, 3.56, "$y_t = W_t q_t$", size=SMALL)


def _srwm(diagram: Diagram) -> None:
    diagram.text(3.45, 0.15, "SRWM", weight="bold")
    diagram.text(3.2, 0.45, "$x_t$")
    weights = diagram.cells(3.2, 1.32, [row * 2 for row in WEIGHTS], 0.16)
    diagram.arrow((3.2, 0.56), (3.2, weights.top[1] - GAP))
    for number in (1, 2, 3):
        x = weights.left[0] + 0.32 * number
        diagram.line([(x, weights.top[1] - 0.03), (x, weights.bottom[1] + 0.03)], "#1A1A1A", lw=1.5, zorder=6)
    rule = diagram.fixed(3.36, 2.45, 0.95, 0.3, "delta rule", size=SMALL)
    for number, name in enumerate(("$y_t$", "$q_t$", "$k_t$", "$b_t$")):
        x = weights.left[0] + 0.16 + 0.32 * number
        diagram.text(x, weights.bottom[1] + 0.17, name, size=SMALL)
        start = weights.bottom[1] + 0.3
        diagram.arrow((x, start), (x, rule.top[1] - GAP if number else 3.42))
    diagram.text(2.72, 3.56, "answer", size=SMALL, tint=QUIET)
    diagram.line([(rule.right[0] + GAP, 2.45), (4.25, 2.45), (4.25, 1.32)], diagram.tint, lw=2.2)
    diagram.arrow((4.25, 1.32), (weights.right[0] + GAP, 1.32), kept=True)
    diagram.text(3.45, 2.8, "written by itself", size=SMALL, tint=QUIET)


def blur(root: Path = Path(".")) -> Figure:
    """BLUR: states of neurons, passed forwards and backwards, then the synapse; a genome of small matrices."""
    diagram = Diagram(colour("blur"), 4.85, characters(root))
    neurons = []
    for x, name in ((0.55, "i"), (4.05, "j")):
        neurons.append(diagram.cells(x, 1.03, ((0.7,), (0.25,), (0.5,), (0.15,)), 0.3))
        for state in range(4):
            diagram.text(x, 0.58 + 0.3 * state, f"$a_{name}^{state + 1}$", size=SMALL)
        diagram.text(x, 0.16, f"neuron ${name}$")
    below, above = neurons
    synapse = diagram.changing(2.3, 1.03, 1.0, 0.32, "$w_{ij}, v_{ji}$", size=SMALL)
    _pass(diagram, below, above, 0.58, r"$\nu$", "1  forwards")
    _pass(diagram, above, below, 1.48, r"$\mu$", "2  backwards")
    for start, end, x, matrix in (
        (below.right, synapse.left, 1.27, r"$\tilde\nu$"),
        (above.left, synapse.right, 3.33, r"$\tilde\mu$"),
    ):
        _through(diagram, start[0], end[0], 1.03, x, matrix)
    diagram.text(2.3, 1.85, "3  synapses change by the states of both", size=SMALL, tint=QUIET)
    diagram.text(2.3, 2.13, r"genome, for all alike: $\nu, \mu, \tilde\nu, \tilde\mu$", size=SMALL, tint=QUIET)
    _network(diagram, 2.6, "label")
    diagram.legend(4.28, query=False)
    return diagram.figure


def _through(diagram: Diagram, start: float, end: float, y: float, x: float, words: str) -> None:
    """From one place to another through a small matrix at x."""
    side = 1 if end > start else -1
    diagram.fixed(x, y, 0.3, 0.28, words)
    diagram.line([(start + side * GAP, y), (x - side * 0.15, y)])
    diagram.arrow((x + side * (0.15 + GAP), y), (end - side * GAP, y))


def _pass(diagram: Diagram, start: Box, end: Box, y: float, matrix: str, words: str) -> None:
    """States that go through a matrix of the genome to another neuron."""
    side = 1 if end.x > start.x else -1
    _through(diagram, start.x + side * 0.15, end.x - side * 0.15, y, 2.3, matrix)
    diagram.text(1.45 if side > 0 else 3.15, y - 0.16, words, size=SMALL, tint=QUIET)


def _network(diagram: Diagram, top: float, told: str) -> None:
    """A network that learns: an image comes in below, its label above; synapses change."""
    image = diagram.image(0.42, top + 0.62, 0)
    layers = [[(x, top + 0.62 + 0.3 * (n - (count - 1) / 2)) for n in range(count)] for x, count in LAYERS]
    for first, second in zip(layers, layers[1:], strict=False):
        for start in first:
            for end in second:
                diagram.line([start, end], diagram.tint, lw=1.2)
    for place in (place for layer in layers for place in layer):
        diagram.axes.plot(*[[each] for each in place], marker="o", markersize=9, mfc="white", mec=EDGE, zorder=4)
    diagram.arrow((image.right[0] + GAP, image.y), (layers[0][0][0] - 0.1, image.y))
    label = diagram.chip(4.05, top + 0.62, "0")
    diagram.arrow((label.left[0] - GAP, label.y), (layers[-1][0][0] + 0.1, label.y))
    for y, start, end, words in (
        (top, 1.1, 3.35, "forwards: the image"),
        (top + 1.24, 3.35, 1.1, f"backwards: the {told}"),
    ):
        diagram.arrow((start, y), (end, y))
        diagram.text(2.22, y + (-0.14 if start < end else 0.14), words, size=SMALL, tint=QUIET)


def vsml(root: Path = Path(".")) -> Figure:
    """VSML: a small LSTM in every synapse; all have the same weights, and each a state of its own."""
    diagram = Diagram(colour("vsml"), 4.85, characters(root))
    neurons = [diagram.fixed(x, 0.9, 0.5, 0.5, f"${name}$") for x, name in ((0.45, "i"), (4.15, "j"))]
    diagram.text(0.45, 0.4, "neuron", size=SMALL, tint=QUIET)
    diagram.text(4.15, 0.4, "neuron", size=SMALL, tint=QUIET)
    lstm = diagram.fixed(2.3, 0.9, 0.9, 0.5, "LSTM")
    diagram.text(2.3, 0.4, "the same in each", size=SMALL, tint=QUIET)
    state = diagram.changing(2.3, 1.55, 0.9, 0.28, "$h_{ij}, c_{ij}$", size=SMALL)
    diagram.arrow((2.15, lstm.bottom[1] + GAP), (2.15, state.top[1] - GAP), kept=True)
    diagram.arrow((2.45, state.top[1] - GAP), (2.45, lstm.bottom[1] + GAP), kept=True)
    for neuron, edge, read, said in (
        (neurons[0].right, lstm.left, "$m_i$", "to $e_i$"),
        (neurons[1].left, lstm.right, "$e_j$", "to $m_j$"),
    ):
        side = 1 if edge[0] > neuron[0] else -1
        diagram.arrow((neuron[0] + side * GAP, 0.77), (edge[0] - side * GAP, 0.77))
        diagram.arrow((edge[0] - side * GAP, 1.03), (neuron[0] + side * GAP, 1.03))
        middle = (neuron[0] + edge[0]) / 2
        diagram.text(middle, 0.62, read, size=SMALL)
        diagram.text(middle, 1.2, said, size=SMALL)
    diagram.text(2.3, 1.9, "a state of its own", size=SMALL, tint=QUIET)
    diagram.text(2.3, 2.17, "neurons pass on sums over their synapses", size=SMALL, tint=QUIET)
    _network(diagram, 2.6, "error")
    diagram.legend(4.28, query=False)
    return diagram.figure


def fitness(root: Path = Path(".")) -> Figure:
    """Fitness-monotonic execution: candidates, what each was paid, and what becomes of the one that is executed."""
    diagram = Diagram(colour("fitness_monotonic"), 3.5)
    for x, words in ((0.62, "candidates"), (1.42, "paid, $f$")):
        diagram.text(x, 0.15, words, size=SMALL, tint=QUIET)
    rng = np.random.default_rng(0)
    places = []
    for number, paid in enumerate(PAID):
        y = 0.5 + 0.52 * number
        places.append(diagram.cells(0.62, y, rng.uniform(size=(3, 5)), 0.13))
        diagram.axes.add_patch(Rectangle((1.1, y - 0.07), 0.75 * paid, 0.14, fc=diagram.tint, ec="none"))
    chosen, worst = (places[place] for place in (1, 3))
    y = chosen.y
    diagram.arrow((1.85, y), (2.6, y))
    diagram.text(2.2, y - 0.17, "executed", size=SMALL)
    life = diagram.changing(3.42, y, 1.6, 0.86, "a lifetime:\nacts, is paid,\nwrites itself", size=SMALL)
    after = diagram.cells(3.42, worst.y, rng.uniform(size=(3, 5)), 0.13)
    diagram.down(life, after, kept=True)
    diagram.text(3.85, worst.y, "$W'$", ha="left")
    diagram.arrow((after.left[0] - GAP, worst.y), (1.42, worst.y), kept=True)
    diagram.text(2.15, worst.y - 0.17, "replaces the worst", size=SMALL)
    diagram.text(2.3, 3.0, "the better it was paid, the more often it is executed", size=SMALL, tint=QUIET)
    diagram.text(2.3, 3.28, "nobody else changes weights", size=SMALL, tint=QUIET)
    return diagram.figure


PAID = (0.55, 0.95, 0.7, 0.2, 0.6)  # candidates of the drawing


def projected_tasks(root: Path = Path(".")) -> Figure:
    """Learning in context: tasks made of one data set by random projections, and what tests are of."""
    diagram = Diagram(colour("in_context"), 3.72, characters(root))
    digits = _digits(root)
    for x, words in ((1.42, "image"), (2.2, "matrix $A$"), (3.05, "input")):
        diagram.text(x, 0.12, words, size=SMALL, tint=QUIET)
    kinds = (  # name, whether of digits, seed of the matrix, what it asks
        ("training:\ntasks 1 to $N$", True, 0, ""),
        ("the same\ntasks", True, 0, "known by\nheart?"),
        ("new tasks", True, 1, "learned\nanew?"),
        ("another\ndata set", False, 2, "learned\nstill?"),
    )
    for number, (name, of_digits, seed, asks) in enumerate(kinds):
        y = 0.55 + 0.78 * number
        diagram.text(0.98, y, name, size=SMALL, ha="right")
        place = Box(1.42, y, 0.5, 0.5)
        pixels = digits[number] if of_digits and digits else diagram.classes[number][0]
        diagram.frame(diagram.picture(place, pixels, INK, 0, 255), ec="#AAAAAA", lw=0.8, zorder=4)
        shades = np.random.default_rng(seed).uniform(size=(5, 4))
        matrix = diagram.cells(2.2, y, shades, 0.1)
        vector = diagram.cells(3.05, y, shades[:, :1] * 0.5 + shades[:, 3:] * 0.5, 0.1)
        diagram.across(place, matrix)
        diagram.across(matrix, vector)
        if asks:
            diagram.text(3.42, y, asks, size=SMALL, tint=QUIET, ha="left")
    diagram.line([(0.1, 0.94), (4.5, 0.94)], "#CCCCCC", lw=0.8)
    diagram.text(2.3, 3.42, "labels are shuffled in each task", size=SMALL, tint=QUIET)
    return diagram.figure


def _digits(root: Path) -> list[np.ndarray]:
    """Digits of a finished run, as it shows them; none where there is none."""
    for result in finished(root, "update_rules"):
        example = result.example.get("tests", {}).get("large")
        if example:
            return list(unpacked(example["x"], example["x_shape"])[:, 0])
    return []
