"""CL+LSTM's memory at work in one test episode: the states of its layers, step by step, from kept weights."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from metamemory.errors import UserError
from metamemory.models import CLLSTM
from metamemory.study import pretrained
from metamemory.study.diagrams import EDGE, INK, QUIET, SMALL, Box, Diagram
from metamemory.study.figures import RIGHT, WRONG, unpacked
from metamemory.study.methods import colour
from metamemory.study.results import Result, finished
from metamemory.tasks.sampling import normalise

METHOD, SETTING, EXPERIMENT = "cl_lstm", "omniglot", "online_few_shot"
FIRST, PITCH, SIDE = 0.93, 0.315, 0.28  # inches: x of the first step, from step to step, of a picture
HEIGHTS = (0.42, 0.83, 1.15, 1.47, 1.79, 2.07)  # y of the image, of four layers, of the LSTM


def kept_and_shown(root: Path) -> tuple[CLLSTM, Result] | None:
    """The learner with the weights of pretrained/ and the run that they are of; None where either is missing."""
    try:
        learner = pretrained.load(METHOD, SETTING, EXPERIMENT, root)
    except UserError:
        return None
    runs = (result for result in finished(root, EXPERIMENT) if result.run.place == learner.trained_on.run)
    found = next(runs, None)
    return None if found is None else (learner, found)


def traced(learner: CLLSTM, example: dict, steps: int) -> tuple[list[np.ndarray], np.ndarray]:
    """What each layer's cells hold after each of some steps of an episode, and the answers.

    Returns:
        for each CL layer the mean size of its cells over filters [step, height, width], and of the LSTM the cells as
        they are [step, 8, units / 8]; probabilities [step, label].
    """
    x = normalise(torch.tensor(unpacked(example["x"], example["x_shape"]).copy()))[:steps, None]
    seen = torch.tensor(example["y_seen"])[:steps, None]
    state, cells, said = learner.initial_state(1), [], []
    with torch.inference_mode():
        for x_t, seen_t in zip(x, seen, strict=True):
            logits, state = learner.step(x_t, seen_t, state)
            maps = [layer.c[0].abs().mean(dim=0) for layer in state.cl]
            cells.append([*maps, state.lstm[1][0, 0].abs().view(8, -1)])
            said.append(logits[0].softmax(dim=-1))
    return [torch.stack(layer).numpy() for layer in zip(*cells, strict=True)], torch.stack(said).numpy()


def states(learner: CLLSTM, result: Result, steps: int = 12) -> Figure:
    """One test episode: images, the labels shown with them, what each layer keeps, the probability of each label. Each
    map has its own scale, from its smallest number to its largest; the LSTM's cells have one from 0 for all steps."""
    example = result.example
    cells, said = traced(learner, example, steps)
    diagram = Diagram(colour(METHOD), 3.45)
    for y, words in zip((0.12, *HEIGHTS), ("label", "image", "CL-1", "CL-2", "CL-3", "CL-4", "LSTM"), strict=True):
        diagram.row(y, words)
    images = unpacked(example["x"], example["x_shape"])[:, 0]
    for step in range(steps):
        x = FIRST + PITCH * step
        label = example["y_seen"][step]
        diagram.text(x, 0.12, "–" if label < 0 else str(label), size=SMALL)
        box = diagram.picture(Box(x, HEIGHTS[0], SIDE, SIDE), images[step], INK, 0, 255)
        diagram.frame(box, ec="#AAAAAA", lw=0.8, zorder=4)
        for y, layer in zip(HEIGHTS[1:], cells, strict=True):
            height = SIDE * min(1.0, layer.shape[1] / layer.shape[2])
            low, high = (0, layer.max()) if layer is cells[-1] else (layer[step].min(), layer[step].max())
            box = diagram.picture(Box(x, y, SIDE, height), layer[step], diagram.shades(), low, high)
            diagram.frame(box, ec=EDGE, lw=0.5, zorder=4)
    _answers(diagram, said, example["y"])
    return diagram.figure


def _answers(diagram: Diagram, said: np.ndarray, wanted: list[int], top: float = 2.32, cell: float = 0.125) -> None:
    """Probabilities in grey, a row a label; the right label framed, green where it is the answer."""
    steps, labels = said.shape
    diagram.row(top + cell * labels / 2, "answer")
    for label in (0, labels - 1):
        diagram.text(0.8, top + cell * (label + 0.5), str(label), size=SMALL, tint=QUIET, ha="right")
    for step in range(steps):
        x = FIRST + PITCH * step
        box = Box(x, top + cell * labels / 2, 0.2, cell * labels)
        diagram.picture(box, said[step][:, None], "Greys", 0, 1)
        diagram.frame(box, ec=EDGE, lw=0.5, zorder=4)
        right = said[step].argmax() == wanted[step]
        at = Box(x, top + cell * (wanted[step] + 0.5), 0.2, cell)
        diagram.frame(at, ec=RIGHT if right else WRONG, lw=1.8, zorder=5)
    below = top + cell * labels + 0.26
    for x, tint, words in ((0.93, RIGHT, "right label, given"), (2.83, WRONG, "right label, missed")):
        diagram.frame(Box(x, below, 0.2, cell), ec=tint, lw=1.8)
        diagram.text(x + 0.18, below, words, size=SMALL, tint=QUIET, ha="left")
