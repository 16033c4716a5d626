"""Figures that any paper may use: style, accuracy by shot, calibration, episodes and answers to them."""

import base64
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metamemory.study.accuracy_axis import accuracy_axis
from metamemory.study.methods import colour, title
from metamemory.study.quantities import Quantity, at_shot, over_seeds
from metamemory.study.results import Group, Result
from metamemory.study.tables import NO_BREAK, Reported
from metamemory.tasks import Episode
from metamemory.tasks.sampling import denormalise

PER_ROW = 5  # images side by side that can still be seen on a telephone
WIDTH = 5.2  # inches of a figure of lines: its smallest text can still be read there
ACROSS = 2  # panels side by side in it
SHOT = "labelled samples of the class seen before (shot)"  # the name of an axis
RIGHT, WRONG, MUTED = "#009E73", "#D55E00", "#8A8A8A"


def use_style() -> None:
    """Set the look of all figures; every notebook and page calls it once."""
    sns.set_theme(context="notebook", style="ticks", font_scale=0.95)
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.bbox": "tight",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.alpha": 0.4,
            "legend.frameon": False,
        }
    )


def narrow(panels: int = 1, height: float = 3.2, sharey: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure of lines as wide as a telephone can show, and its panels, in rows of ACROSS; the height is that of a
    row, in inches. `legend_below` arranges it."""
    across = min(ACROSS, panels)
    down = -(-panels // across)
    figure, grid = plt.subplots(down, across, figsize=(WIDTH, height * down), sharey=sharey, squeeze=False)
    for axes in grid.flat[panels:]:
        axes.remove()
    return figure, list(grid.flat[:panels])


def legend_below(figure: Figure) -> None:
    """One legend of all panels, below them in as many columns as there is room for: each label once, those of the
    panel with the most first."""
    shown: dict[str, Any] = {}
    for handles, labels in sorted(
        (axes.get_legend_handles_labels() for axes in figure.axes), key=lambda of: -len(of[1])
    ):
        for handle, label in zip(handles, labels, strict=True):
            shown.setdefault(label, handle)
    figure.set_layout_engine("constrained")
    for columns in range(len(shown), 0, -1):
        legend = figure.legend(shown.values(), shown, loc="outside lower center", ncols=columns, fontsize="small")
        if legend.get_window_extent().width <= figure.bbox.width or columns == 1:
            figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(shown) // columns))
            return
        legend.remove()


def band(axes: Axes, x: Sequence[float], group: Group, quantities: Sequence[Quantity], tint: str, **style) -> None:
    """A line of quantities in per cent against `x`, with a band of their intervals."""
    intervals = [over_seeds(group, each) for each in quantities]
    mean, low, high = (100 * np.array([getattr(each, end) for each in intervals]) for end in ("mean", "low", "high"))
    axes.plot(x, mean, color=tint, markersize=4, **style)
    axes.fill_between(x, low, high, color=tint, alpha=0.2, linewidth=0)


def diamond(axes: Axes, x: float, reported: Reported, tint: str) -> None:
    """A number of a paper."""
    axes.plot(x, 100 * reported.mean, marker="D", markersize=6, mfc="none", mec=tint, linestyle="none")


def chance_line(axes: Axes, n_way: int) -> None:
    """The accuracy of a guess among the classes."""
    axes.axhline(100 / n_way, color=MUTED, linestyle=":", linewidth=1)


ByMethod = Mapping[str, Mapping[int, Reported]]  # a paper's numbers: method -> shot -> number


def accuracy_by_shot(groups: Sequence[Group], n_way: int = 5, reported: ByMethod | None = None) -> Figure:
    """Accuracy against the number of labelled samples seen, with 95 % intervals, and a paper's values."""
    figure, (axes,) = narrow(height=3.8)
    _draw_accuracy_by_shot(axes, groups, n_way, reported or {})
    accuracy_axis(axes, _best(groups, reported or {}))
    legend_below(figure)
    return figure


def accuracy_by_shot_at(
    scales: Mapping[str, Sequence[Group]], n_way: int = 5, reported: ByMethod | None = None
) -> Figure:
    """The same for several scales side by side, a panel each under its title."""
    figure, panels = narrow(len(scales), height=4.2)
    for axes, (label, groups) in zip(panels, scales.items(), strict=True):
        _draw_accuracy_by_shot(axes, groups, n_way, reported or {})
        accuracy_axis(axes, max(_best(each, reported or {}) for each in scales.values()))
        scale_and_data, _, seeds = label.rpartition(", ")
        words = f"{scale_and_data}, {seeds.replace(' ', NO_BREAK)}" if scale_and_data else label
        axes.set_title(textwrap.fill(words, 30), fontsize="small")
        axes.set_xlabel(textwrap.fill(SHOT, 28))
        axes.label_outer()
    legend_below(figure)
    return figure


def _draw_accuracy_by_shot(axes: Axes, groups: Sequence[Group], n_way: int, reported: ByMethod) -> None:
    for group in sorted(groups, key=lambda group: -group.results[0].scores[-1]["accuracy"]):  # as their lines end
        shots = range(len(group.results[0].scores))
        tint = colour(group.run.method)
        band(axes, shots, group, [at_shot(shot) for shot in shots], tint, marker="o", label=title(group.run.method))
        for shot, number in reported.get(group.run.method, {}).items():
            diamond(axes, shot, number, tint)
    if reported:
        axes.plot([], [], marker="D", mfc="none", mec=MUTED, linestyle="none", label="the paper's figure")
    chance_line(axes, n_way)
    axes.text(len(shots) - 1, 100 / n_way + 1, "chance", color=MUTED, ha="right", fontsize="small")
    axes.set_xlabel(SHOT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _best(groups: Sequence[Group], reported: ByMethod) -> float:
    """The best accuracy of groups, and of what is reported of their methods, in per cent."""
    measured = [over_seeds(group, at_shot(len(group.results[0].scores) - 1)).mean for group in groups]
    told = [each.mean for group in groups for each in reported.get(group.run.method, {}).values()]
    return 100 * max([*measured, *told])


def calibration(results: Sequence[Result]) -> Figure:
    """Accuracy and mean confidence against the shot, and the calibration error; a colour a method."""
    figure, (sure, error) = narrow(2, height=3.6, sharey=False)
    for result in results:
        tint, shown = colour(result.run.method), result.example
        shots = range(len(shown["confidence"]))
        sure.plot(shots, [100 * row["accuracy"] for row in result.scores], color=tint, marker="o", markersize=4)
        sure.plot(shots, [100 * each for each in shown["confidence"]], color=tint, linestyle="--")
        error.plot(
            shots, [100 * each for each in shown["calibration_error"]], color=tint, marker="o", markersize=4,
            label=title(result.run.method),
        )  # fmt: skip
    sure.plot([], [], color=MUTED, marker="o", markersize=4, label="accuracy")
    sure.plot([], [], color=MUTED, linestyle="--", label="mean confidence")
    for axes, name in ((sure, "accuracy and confidence, %"), (error, "calibration error, percentage points")):
        axes.set(xlabel=textwrap.fill(SHOT, 28), ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    sure.set_ylim(0, 102)
    error.set_ylim(0, None)
    legend_below(figure)
    return figure


def episode(sample: Episode, index: int = 0, steps: int = 15, wanted: bool = True) -> Figure:
    """The first steps of one episode as the learner meets it, in rows of `PER_ROW`: image, label shown with it, and,
    where `wanted`, the answer."""
    steps = min(steps, len(sample.x))
    columns = min(steps, PER_ROW)
    rows = -(-steps // columns)
    height = 1.5 if wanted else 1.05  # inches of a row
    figure, grid = plt.subplots(rows, columns, figsize=(0.8 * columns, height * rows), squeeze=False)
    for t, axes in enumerate(grid.flat):
        if t >= steps:
            axes.axis("off")
            continue
        picture(axes, denormalise(sample.x[t, index]).cpu().numpy())
        shown_label(axes, sample.y_seen[t, index].item())
        if wanted:
            axes.set_xlabel(f"{sample.y[t, index].item()}\nshot {sample.shot[t, index].item()}", fontsize=10)
    words = ((1.18, "shown"), (-0.18, "wanted")) if wanted else ((1.18, "shown"),)
    for first in grid[:, 0]:
        for above, word in words:
            first.text(-0.2, above, word, transform=first.transAxes, ha="right", va="center", fontsize=10, color=MUTED)
    figure.tight_layout()
    return figure


def shown_label(axes: Axes, label: int) -> None:
    """Above an image, the label that is shown with it."""
    axes.set_title("null" if label < 0 else str(label), fontsize=10, color=MUTED if label < 0 else "black")


def answers(results: Sequence[Result], steps: int = 16) -> Figure:
    """The first steps of one test episode and each learner's probability for every label at every step. A GPU draws
    other episodes than a processor: learners are put together by their episode, below its images."""
    by_episode: dict[str, list[tuple[str, dict]]] = {}
    for result in results:
        example = result.example
        by_episode.setdefault(example["x"], []).append((result.run.method, example))
    steps = min(steps, len(example["y"]))  # the same task for all
    heights = [height for shown in by_episode.values() for height in (1.1, *[2.2] * len(shown))]
    figure, all_rows = plt.subplots(
        len(heights),
        1,
        figsize=(0.24 * steps + 0.7, 0.4 + 0.4 * sum(heights)),
        gridspec_kw={"height_ratios": heights, "hspace": 0.5},
        sharex=True,
    )
    rows = iter(all_rows)
    for shown in by_episode.values():
        _draw_images(next(rows), shown[0][1], steps)
        for method, example in shown:
            _draw_answers(next(rows), example, steps, method)
    all_rows[-1].set_xlabel("step")
    return figure


def unpacked(encoded: str, shape: Sequence[int]) -> np.ndarray:
    """Pixels uint8 [step, channel, height, width] as examples keep them."""
    return np.frombuffer(base64.b64decode(encoded), dtype=np.uint8).reshape(shape)


def _draw_images(axes: Axes, example: dict, steps: int) -> None:
    strip = np.concatenate(list(unpacked(example["x"], example["x_shape"])[:steps]), axis=-1)
    axes.imshow(_pixels(strip), cmap="gray_r", vmin=0, vmax=255, extent=(-0.5, steps - 0.5, 0, 1), aspect="auto")
    axes.set(yticks=[], ylabel="x")
    axes.grid(False)
    axes.tick_params(bottom=False)


def _draw_answers(axes: Axes, example: dict, steps: int, method: str) -> None:
    probability = np.array(example["probability"])[:steps].T
    axes.imshow(probability, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for t in range(steps):
        wanted, answer = example["y"][t], int(probability[:, t].argmax())
        edge = RIGHT if answer == wanted else WRONG
        axes.add_patch(plt.Rectangle((t - 0.5, wanted - 0.5), 1, 1, fill=False, lw=1.4, ec=edge))
    axes.grid(False)
    axes.set(yticks=(0, len(probability) - 1), ylabel="label")
    axes.set_title(title(method), loc="left", fontsize=10, color=colour(method), pad=3)


def support_and_queries(result: Result, queries: int = 10) -> Figure:
    """A test episode: its support set, a column a label; the first queries, each above the probability that the learner
    gave to every label; the frame marks the right one, green where the answer was right."""
    example = result.example
    support = unpacked(example["support_x"], example["support_shape"])
    query = {"x": example["query_x"], "x_shape": example["query_shape"], "y": example["query_y"]}
    labels = sorted(set(example["support_y"]))
    steps = min(queries, len(query["y"]))
    k_shot = max(example["support_y"].count(label) for label in labels)
    rows = len(example["probability"][0])  # a learner may have more labels than the episode has classes
    heights = [0.7 * k_shot + 0.3, 1.2 + 0.2 * rows]  # in inches
    figure = plt.figure(figsize=(max(0.45 * steps, 0.6 * len(labels)), sum(heights)))
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    columns = above.subplots(k_shot, len(labels), squeeze=False).T
    for label, column in zip(labels, columns, strict=True):
        chosen = [image for image, y in zip(support, example["support_y"], strict=True) if y == label]
        for axes, image in zip(column, chosen, strict=False):
            picture(axes, image)
        column[0].set_title(str(label), fontsize=9)
    grid = {"height_ratios": [0.5, 0.2 * rows], "hspace": 0.5}
    images, probabilities = below.subplots(2, 1, sharex=True, gridspec_kw=grid)
    _draw_images(images, query, steps)
    _draw_answers(probabilities, {**query, "probability": example["probability"]}, steps, result.run.method)
    probabilities.set(xticks=[], xlabel="query")
    return figure


def alphabet(images: torch.Tensor, classes: Sequence[int], count: int = 10) -> Figure:
    """A few classes, a row each, `count` of their images side by side. images as in `data.ImageSet`."""
    figure, every = plt.subplots(len(classes), count, figsize=(0.6 * count, 0.6 * len(classes)), squeeze=False)
    for row, index in zip(every, classes, strict=True):
        for axes, image in zip(row, images[index], strict=False):
            picture(axes, image.numpy())
    return figure


def _pixels(image: np.ndarray) -> np.ndarray:
    """uint8 [channel, height, width] as matplotlib has it: a character [height, width], a photograph in colour."""
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)


def picture(axes: Axes, image: np.ndarray) -> None:
    """An image, uint8 [channel, height, width], in a thin frame."""
    axes.imshow(_pixels(image), cmap="gray_r", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set(visible=True, color="#CCCCCC", linewidth=0.8)
