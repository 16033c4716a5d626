"""What changes within a task, in each family of learner: one small network a family."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from metamemory.study.diagrams import GAP, QUIET, SMALL, Box, Diagram, characters
from metamemory.study.methods import colour

ROWS = ((0.9, 0.3, 0.6, 0.2), (0.3, 0.8, 0.2, 0.6), (0.5, 0.2, 0.9, 0.7))
PITCH, ACROSS = 1.24, 2.3  # inches from panel to panel, down and across
Layers = list[Box]


def families(root: Path = Path(".")) -> Figure:
    """Eight answers to the question of what should change while a task is learned."""
    panels: tuple[tuple[str, str, str, bool, Callable | None], ...] = (
        ("maml", "weights", "MAML, ANIL, Reptile", True, None),
        ("protonet", "stored samples", "Prototypical, OPN, CPM", False, _store),
        ("lstm", "one state", "LSTM", False, _state),
        ("cl_lstm", "a state in every layer", "CL+LSTM", False, _states),
        ("mann", "an external memory", "MANN", False, _memory),
        ("transformer", "all steps so far", "Transformer, SNAIL", False, _steps),
        ("meta_networks", "fast weights", "Meta Networks, SRWM", False, _fast),
        ("blur", "weights, by a learned rule", "BLUR, VSML", True, _rule),
    )
    diagram = Diagram(colour("cl_lstm"), 5.45, characters(root))
    for number, (method, name, examples, changing, draw) in enumerate(panels):
        left, top = 0.12 + ACROSS * (number % 2), 0.14 + PITCH * (number // 2)
        diagram.tint = colour(method)
        diagram.text(left, top, name, weight="bold", ha="left")
        diagram.text(left, top + 0.21, examples, size=SMALL, tint=QUIET, ha="left")
        layers = diagram.network(left, top + 0.56, moved=4 if changing else 0)
        if draw:
            draw(diagram, layers)
    diagram.tint = colour("cl_lstm")
    diagram.legend(5.18, labels=False, query=False)
    return diagram.figure


def _store(diagram: Diagram, layers: Layers) -> None:
    store = diagram.cells(layers[-1].x + 0.66, layers[-1].y + 0.13, ROWS, 0.09)
    diagram.path(
        [layers[-1].bottom, (layers[-1].x, store.y + 0.12), (store.left[0] - GAP, store.y + 0.12)], diagram.tint
    )


def _loop(diagram: Diagram, layer: Box, state: Box) -> None:
    """Written by a layer, and read at the next step."""
    diagram.line([layer.bottom, state.top], diagram.tint, lw=2.2)


def _state(diagram: Diagram, layers: Layers) -> None:
    _loop(diagram, layers[-1], diagram.cells(layers[-1].x, layers[-1].y + 0.33, ((0.2, 0.9, 0.5),), 0.09))


def _states(diagram: Diagram, layers: Layers) -> None:
    for layer in layers:
        _loop(diagram, layer, diagram.cells(layer.x, layer.y + 0.34, ((0.2, 0.9), (0.6, 0.4)), 0.085))


def _memory(diagram: Diagram, layers: Layers) -> None:
    memory = diagram.cells(layers[-1].x + 0.66, layers[-1].y + 0.14, [*ROWS, (0.0,) * 4, (0.0,) * 4], 0.09)
    for down in (0.06, 0.13):
        y = layers[-1].y + 0.1 + down
        ends = (layers[-1].right[0] + GAP, y), (memory.left[0] - GAP, y)
        diagram.arrow(*(ends if down > 0.1 else ends[::-1]), tint=diagram.tint)


def _steps(diagram: Diagram, layers: Layers) -> None:
    for number in range(5):
        kept = diagram.cells(layers[0].x - 0.24 + 0.24 * number, layers[0].y + 0.36, ((0.3,), (0.8,)), 0.09)
        if number < 4:
            diagram.line([kept.top, layers[-1].bottom], diagram.tint, lw=0.9)
        else:
            diagram.line([kept.top, (layers[-1].x + 0.03, layers[-1].bottom[1])], diagram.tint, lw=0.9)


def _fast(diagram: Diagram, layers: Layers) -> None:
    for layer in layers[1:]:
        diagram.changing(layer.x, layer.y + 0.36, 0.14, 0.24)
    diagram.text(layers[0].x, layers[0].y + 0.36, "+", size=SMALL)


def _rule(diagram: Diagram, layers: Layers) -> None:
    rule = diagram.fixed(layers[1].x + 0.12, layers[0].y + 0.4, 0.5, 0.2, "rule", size=SMALL)
    for layer in (layers[0], layers[-1]):
        side = -1 if layer is layers[0] else 1
        edge = rule.left if side < 0 else rule.right
        diagram.path([(edge[0] + side * 0.01, rule.y), (layer.x, rule.y), (layer.x, layer.bottom[1] + 0.02)], lw=1.0)
