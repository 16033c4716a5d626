"""Figures of supervised learning: learning curves, accuracy by size, answers to a few test images.

A network's family has a colour, its share of filters a line.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metamemory.papers.babu2021.supervised import in_order_of_the_paper
from metamemory.study.curves import MINUTES, Against, Panel
from metamemory.study.figures import MUTED, RIGHT, WRONG, legend_below, narrow, unpacked
from metamemory.study.log_axis import log_axis
from metamemory.study.methods import title
from metamemory.study.results import Group
from metamemory.tasks import Episode
from metamemory.tasks.supervised import Supervised

FAMILIES = {"vgg11": "#0072B2", "resnet20": "#D55E00"}
IMAGES_ACROSS = 4
LINES, MARKS = {"050": "--", "035": ":"}, {"050": "s", "035": "^"}


def _look(method: str) -> tuple[str, str, str]:
    """Colour, line and mark; black and solid for a network of the reader's own."""
    colour = next((tint for family, tint in FAMILIES.items() if family in method), "black")
    share = method.rpartition("_")[2]
    return colour, LINES.get(share, "-"), MARKS.get(share, "o")


def _line(group: Group) -> dict[str, Any]:
    colour, line, _ = _look(group.run.method)
    return {"label": title(group.run.method), "color": colour, "linestyle": line}


PASSES = Against(
    "passes over the training images", lambda result, row: row["episodes"] / result.manifest["training_images"]
)
# Accuracy on images held out.
PANELS = [
    Panel([("accuracy", _line)], PASSES, "validation accuracy, %"),
    Panel([("accuracy", _line)], MINUTES),
]


def accuracy_by_size(groups: Sequence[Group]) -> Figure:
    """Accuracy against parameters, of which the hollow part has none in the answer, and against FLOPs."""
    figure, (by_parameters, by_flops) = narrow(2)
    for group in in_order_of_the_paper(list(groups)):
        colour, _, mark = _look(group.run.method)
        manifest, interval = group.results[0].manifest, group.accuracy(0)
        mean, low, high = (100 * each for each in (interval.mean, interval.low, interval.high))
        all_of_them, used = manifest["parameters"] / 1e6, manifest["used_parameters"] / 1e6
        by_parameters.plot([used, all_of_them], [mean, mean], color=colour, linewidth=1)
        by_parameters.plot(all_of_them, mean, marker=mark, mfc="white", mec=colour)
        for axes, x in ((by_parameters, used), (by_flops, manifest["flops_per_step"] / 1e6)):
            label = title(group.run.method) if axes is by_flops else None
            bar = [[mean - low], [high - mean]]
            axes.errorbar(x, mean, yerr=bar, color=colour, marker=mark, linestyle="none", label=label)
    by_parameters.plot([], [], "o", mfc="white", mec=MUTED, label="all parameters")
    by_parameters.plot([], [], "o", color=MUTED, label="those with a part in the answer")
    by_parameters.set(xlabel="parameters, millions", ylabel="test accuracy, %")
    by_flops.set(xlabel="MFLOPs an image")
    for axes in (by_parameters, by_flops):
        log_axis(axes)
    legend_below(figure)
    return figure


def batch(task: Supervised, sample: Episode, classes: Sequence[str]) -> Figure:
    """A batch of training images with their classes."""
    mean, deviation = task.normalisation
    pixels = (sample.x[0] * deviation + mean).clamp(0, 1).cpu().numpy()
    figure, every = plt.subplots(1, len(pixels), figsize=(1.05 * len(pixels), 1.3))
    for axes, image, y in zip(every, pixels, sample.y[0].tolist(), strict=True):
        _picture(axes, image, classes[y])
    return figure


def answers(groups: Sequence[Group]) -> Figure:
    """A few test images, and what each network takes them for: `IMAGES_ACROSS` side by side, so that words can be
    read."""
    shown = in_order_of_the_paper(list(groups))
    first = shown[0].results[0].example
    pixels = unpacked(first["x"], first["x_shape"])
    rows, height = -(-len(pixels) // IMAGES_ACROSS), 1.05 + 0.2 * len(shown)  # inches of a row
    size = (0.95 * IMAGES_ACROSS + 1.4, height * rows)
    figure, every = plt.subplots(rows, IMAGES_ACROSS, figsize=size, squeeze=False)
    for place, axes in enumerate(every.flat):
        if place >= len(pixels):
            axes.axis("off")
            continue
        _picture(axes, pixels[place], first["y"][place])
        for line, group in enumerate(shown):
            example = group.results[0].example
            right = example["answer"][place] == example["y"][place]
            _word(axes, 0.5, line, _name(example["answer"][place]), RIGHT if right else WRONG, "center")
    for axes in every[:, 0]:
        for line, group in enumerate(shown):
            _word(axes, -0.2, line, title(group.run.method), "black", "right")
    words = height - 0.9  # inches below an image
    figure.subplots_adjust(0.24, words / size[1], 0.99, 1 - 0.25 / size[1], wspace=0.3, hspace=words / 0.75)
    return figure


def _picture(axes: Axes, pixels: np.ndarray, title: str) -> None:
    """pixels [channel, height, width]."""
    axes.imshow(pixels.transpose(1, 2, 0))
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set(visible=False)
    axes.set_title(_name(title), fontsize=8)


def _word(axes: Axes, x: float, line: int, text: str, colour: str, align: str) -> None:
    axes.text(x, -0.14 - 0.22 * line, text, color=colour, fontsize=7.5, ha=align, va="center", transform=axes.transAxes)


def _name(word: str) -> str:
    return word.replace("_", " ")
