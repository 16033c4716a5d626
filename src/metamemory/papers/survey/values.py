"""Conditional neural processes for values: functions, and images of which some pixels are known."""

import base64
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metamemory.study.cells import seeds_of
from metamemory.study.figures import MUTED, WIDTH, legend_below, narrow, picture
from metamemory.study.log_axis import log_axis
from metamemory.study.methods import colour, title
from metamemory.study.quantities import at_shot, over_seeds
from metamemory.study.results import Group, Result, groups
from metamemory.study.tables import NO_BREAK, by_whose, markdown, whose
from metamemory.training.statistics import Interval

FUNCTIONS, IMAGES = "function_regression", "image_completion"
KERNELS = {"one_kernel": "one kernel", "two_kernels": "a kernel that switches"}
PICTURES = {"mnist": "MNIST", "characters": "Omniglot", "mini_imagenet": "miniImageNet", "photographs": "CIFAR-100"}
ORDERS = {0: "at random", 1: "in order"}
MEASURES = {"log_likelihood": "log-likelihood, nats", "mse": "mean squared error"}
NOT_RUN = "Not run: `dvc repro {}`."
# Mean squared error on CelebA at 32x32 pixels, 10, 100 and 1,000 pixels known at random (Garnelo et al. 2018, Table 1)
CELEB_A = {"CNP": (0.039, 0.016, 0.009)}
KNOWN_OF_CELEB_A = (10, 100, 1000)


def likelihood_table(setting: str, root: Path = Path(".")) -> str:
    """Functions: log-likelihood of a value by how many are known, a column a method, a table a scale; empty where none
    was run."""
    of_each = by_whose(_in_order(groups(FUNCTIONS, setting, root), lambda group: _mean(group, -1, "log_likelihood")))
    return "\n\n".join(f"In nats, at {runs}:\n\n{_likelihoods(shown)}" for runs, shown in of_each.items())


def _likelihoods(shown: Sequence[Group]) -> str:
    """Of runs of one scale."""
    header = ["values known", *(f"{title(group.run.method)}, {seeds_of(group)}" for group in shown)]
    rows = [
        [str(known), *(_number(over_seeds(group, at_shot(at, "log_likelihood"))) for group in shown)]
        for at, known in enumerate(_contexts(shown[0]))
    ]
    return markdown(header, rows)


def completion_table(setting: str, root: Path = Path(".")) -> str:
    """Images: mean squared error of all pixels by how many are known; empty where none was run."""
    shown = groups(IMAGES, setting, root)
    if not shown:
        return ""
    cells = [(row["context"], row["ordered"]) for row in shown[0].results[0].scores]
    header = ["method", "whose", *(f"{int(known)} {ORDERS[int(order)]}" for known, order in cells), "seeds"]
    in_order = _in_order(shown, lambda group: -sum(_mean(group, at, "mse") for at in range(len(cells))))
    return markdown(header, [_row(group, cells, "mse") for group in in_order])


def reported_table() -> str:
    """What the paper reports of CelebA, which this study does not have."""
    rows = [[method, *(f"{each:.3f}" for each in numbers)] for method, numbers in CELEB_A.items()]
    return markdown(["CelebA, in the paper", *(f"{known} at random" for known in KNOWN_OF_CELEB_A)], rows)


def _in_order(shown: Sequence[Group], quality: Callable[[Group], float]) -> list[Group]:
    """By scale, and of a scale the best last."""
    scales = list(dict.fromkeys(group.run.scale for group in shown))
    return sorted(shown, key=lambda group: (scales.index(group.run.scale), quality(group)))


def _mean(group: Group, at: int, measure: str) -> float:
    return float(np.mean([result.scores[at][measure] for result in group.results]))


def _contexts(group: Group) -> list[int]:
    return [int(row["context"]) for row in group.results[0].scores]


def _row(group: Group, columns: Sequence[Any], measure: str) -> list[str]:
    numbers = [_number(over_seeds(group, at_shot(at, measure))) for at in range(len(columns))]
    return [title(group.run.method), whose(group), *numbers, str(len(group.results))]


def _number(interval: Interval | None) -> str:
    """Mean and 95 % interval."""
    if interval is None:
        return "–"
    mean, low, high = (f"{each:.3f}".replace("-", "−") for each in interval[:3])
    until = f"{NO_BREAK}to{NO_BREAK}" if interval.low < 0 else "–"  # a dash beside a minus could not be read
    return f"{mean}{NO_BREAK}({low}{until}{high})"


def by_context(by_setting: Mapping[str, Sequence[Group]], titles: Mapping[str, str]) -> Figure:
    """Log-likelihood and squared error by how many values are known, with 95 % intervals; a row a setting. Of images,
    dashed: pixels in order."""
    size = (WIDTH, 2.7 * len(by_setting))
    figure, panels = plt.subplots(len(by_setting), 2, figsize=size, squeeze=False, sharex="row")
    for row, (setting, shown) in zip(panels, by_setting.items(), strict=True):
        for axes, (measure, name) in zip(row, MEASURES.items(), strict=True):
            for group in shown:
                _draw_by_context(axes, group, measure)
            axes.set(xlabel="values known", ylabel=name)
            axes.set_title(titles[setting], fontsize="medium")
        if min(_contexts(shown[0])) > 0:
            for axes in row:
                log_axis(axes, (1, 10, 100, 1000))
            row[1].set_ylim(bottom=0)  # an exact answer has no logarithm
        else:
            row[1].set_yscale("log")
    legend_below(figure)
    return figure


def _draw_by_context(axes: Axes, group: Group, measure: str) -> None:
    tint, rows = colour(group.run.method), group.results[0].scores
    for ordered in sorted({int(row.get("ordered", 0)) for row in rows}):
        chosen = [at for at, row in enumerate(rows) if int(row.get("ordered", 0)) == ordered]
        intervals = [over_seeds(group, at_shot(at, measure)) for at in chosen]
        known = [rows[at]["context"] for at in chosen]
        label = None if ordered else title(group.run.method)
        style = {"color": tint, "marker": "o", "markersize": 3, "linestyle": "--" if ordered else "-"}
        axes.plot(known, [each.mean for each in intervals], label=label, **style)
        axes.fill_between(known, *([getattr(each, end) for each in intervals] for end in ("low", "high")), color=tint,
                          alpha=0.2, linewidth=0)  # fmt: skip


def bands(results: Sequence[Result]) -> Figure:
    """What each learner expects of one function, a column a number of known values; band: two deviations."""
    counts = results[0].example["known"]
    figure, panels = plt.subplots(
        len(results),
        len(counts),
        figsize=(WIDTH, 0.5 + 1.8 * len(results)),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for row, result in zip(panels, results, strict=True):
        shown, tint = result.example, colour(result.run.method)
        place = np.array(shown["place"])
        for axes, known, *answer in zip(row, counts, shown["mean"], shown["deviation"], strict=True):
            mean, deviation = map(np.array, answer)
            axes.fill_between(place, mean - 2 * deviation, mean + 2 * deviation, color=tint, alpha=0.2, linewidth=0)
            axes.plot(place, mean, color=tint)
            axes.plot(place, shown["f"], color="black", linestyle=":", lw=1.2)
            axes.plot(shown["x"][:known], shown["y"][:known], "o", color="black", markersize=4)
            if axes.get_subplotspec().is_first_row():
                axes.set_title(f"{known} known", fontsize="medium")
            if axes.get_subplotspec().is_last_row():
                axes.set(xlabel="x")
        row[0].set_ylabel(textwrap.fill(title(result.run.method), 16), color=tint)
    values = np.array(results[0].example["f"])
    panels[0, 0].set(ylim=(values.min() - 2, values.max() + 2))
    figure.tight_layout()
    return figure


def pictures(results: Sequence[Result], image: int = 0) -> Figure:
    """An image of which some pixels are known, a column a number of them, in blue what is not; below, what each learner
    expects, and how unsure it is, if that is not the same everywhere: white is certain, black a deviation of a half or
    more."""
    example = results[0].example
    columns, shape = len(example["context"]), example["shape"]
    answers = []  # learner, what of its answers, and that for each number of known pixels
    for result in results:
        means, deviations = (
            [_decoded(each, shape)[image] for each in result.example[name]] for name in ("mean", "deviation")
        )
        answers.append((result, "mean", means))
        if np.ptp(deviations):
            answers.append(
                (result, "deviation", [each.mean(axis=0, keepdims=True).astype(np.uint8) for each in deviations])
            )
    down = 1 + len(answers)
    figure, rows = plt.subplots(down, columns + 1, figsize=(1.5 * (columns + 1), 1.5 * down), squeeze=False)
    whole = _decoded(example["image"], shape)[image]
    picture(rows[0, 0], whole)
    rows[0, 0].set_title("the image", fontsize="small")
    for axes in rows[1:, 0]:
        axes.axis("off")
    for axes, count, known in zip(rows[0, 1:], example["context"], example["known"], strict=True):
        there = _decoded(known, [shape[0], 1, *shape[2:]])[image] > 0
        picture(axes, _hidden(whole, there))
        axes.set_title(f"{count} known", fontsize="small")
    for row, (result, name, of_each) in zip(rows[1:], answers, strict=True):
        row[0].text(1, 0.5, f"{title(result.run.method)}: {name}", ha="right", va="center", fontsize="small",
                    color=colour(result.run.method), wrap=True)  # fmt: skip
        for axes, shown in zip(row[1:], of_each, strict=True):
            picture(axes, shown)
    return figure


def _decoded(encoded: str, shape: Sequence[int]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(encoded), dtype=np.uint8).reshape(shape)


def _hidden(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """In colour, [3, height, width]: what is not known is blue. Drawings are ink on paper, whose pixels are light."""
    colours = 255 - image.repeat(3, axis=0) if len(image) == 1 else image
    blue = np.array([120, 160, 220], dtype=np.uint8)[:, None, None]
    return np.where(known, colours, blue).astype(np.uint8)


def chosen(results: Mapping[str, Sequence[Result]]) -> Figure:
    """Mean squared error by how many pixels are known: the next is the least certain, or one at random (dashed)."""
    figure, panels = narrow(len(results), sharey=False)
    for axes, (name, of_setting) in zip(panels, results.items(), strict=True):
        for result in of_setting:
            if "least_certain" in result.example:
                tint = colour(result.run.method)
                axes.plot(result.example["least_certain"], color=tint, label=title(result.run.method))
                axes.plot(result.example["at_random"], color=tint, linestyle="--")
        axes.plot([], [], color=MUTED, label="least certain next")
        axes.plot([], [], color=MUTED, linestyle="--", label="at random")
        axes.set(xlabel="pixels known")
        axes.set_title(PICTURES.get(name, name), fontsize="medium")
    panels[0].set_ylabel("mean squared error")
    legend_below(figure)
    return figure
