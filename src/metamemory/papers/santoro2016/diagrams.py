"""How an episode flows through a memory-augmented network."""

from pathlib import Path

from matplotlib.figure import Figure

from metamemory.study.diagrams import COLUMNS, QUIET, SMALL, Diagram, answers, characters, stream
from metamemory.study.methods import colour

SLOTS = ((0.9, 0.3, 0.6, 0.2), (0.3, 0.8, 0.2, 0.6), (0.5, 0.2, 0.9, 0.7), (0.7, 0.4, 0.3, 0.9))
ROWS, CELL = 6, 0.125


def mann(root: Path = Path(".")) -> Figure:
    """A controller that writes to the least used slot at each step, and reads the slots that are like its key."""
    diagram = Diagram(colour("mann"), 4.75, characters(root))
    shown = stream(diagram, 0.12)
    diagram.row(1.22, "controller")
    controllers = [diagram.fixed(x, 1.22, 0.58, 0.3, "LSTM") for x in COLUMNS]
    diagram.row(1.58, "key")
    diagram.row(2.12, "memory\nof slots")
    memories = []
    for step, (x, (image, label), controller) in enumerate(zip(COLUMNS, shown, controllers, strict=True)):
        diagram.down(image, controller)
        diagram.down(label, controller)
        filled = [*SLOTS[: step + 1], *[(0.0,) * 4] * (ROWS - step - 1)]
        memory = diagram.cells(x, 2.12, filled, CELL)
        memories.append(memory)
        diagram.down(controller, memory)
        _mark(diagram, memory.left[0] - 0.05, memory.top[1] + CELL * (step + 0.5), filled=True)
    for row in (0, 1):
        _mark(diagram, memories[-1].right[0] + 0.06, memories[-1].top[1] + CELL * (row + 0.5), filled=False)
    for first, second in zip(controllers, controllers[1:], strict=False):
        diagram.across(first, second, kept=True)
        diagram.cells((first.right[0] + second.left[0]) / 2 - 0.03, first.y, ((0.2, 0.9, 0.5),), 0.055)
    for first, second in zip(memories, memories[1:], strict=False):
        diagram.across(first, second, y=first.bottom[1] - CELL / 2, kept=True)
    diagram.row(2.68, "read")
    diagram.row(2.95, "classifier")
    said = answers(diagram, 3.45)
    for memory, answer, controller in zip(memories, said, controllers, strict=True):
        classifier = diagram.fixed(memory.x, 2.95, 0.58, 0.26, "linear")
        diagram.down(memory, classifier)
        diagram.down(classifier, answer)
        side = controller.right[0] + 0.045
        diagram.path([controller.right, (side, controller.y), (side, 2.95), (classifier.right[0] + 0.01, 2.95)], lw=0.8)
    _mark(diagram, 0.2, 3.87, filled=True)
    diagram.text(0.42, 3.87, "slot written now", size=SMALL, tint=QUIET, ha="left")
    _mark(diagram, 2.38, 3.87, filled=False)
    diagram.text(2.62, 3.87, "slots read most", size=SMALL, tint=QUIET, ha="left")
    diagram.legend(4.2)
    return diagram.figure


def _mark(diagram: Diagram, x: float, y: float, filled: bool) -> None:
    """A triangle: into a slot that is written, or out of one that is read."""
    face = diagram.tint if filled else "white"
    diagram.axes.plot([x], [y], marker=">", markersize=6, mfc=face, mec=diagram.tint, mew=1.3, zorder=6)
