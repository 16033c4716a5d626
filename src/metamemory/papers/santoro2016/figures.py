"""Figures of Santoro et al. 2016: by instance, rows of episodes, a growing number of classes, regression, memories."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from metamemory.papers.santoro2016.tables import title
from metamemory.study.curves import EPISODES, Look, Panel, draw_curves
from metamemory.study.diagrams import NORMAL, SMALL, WIDTH
from metamemory.study.figures import MUTED, legend_below, narrow
from metamemory.study.methods import colour
from metamemory.study.results import Group, Result

SHADES = plt.get_cmap("viridis")
INSTANCES = (1, 2, 5, 10)  # in figures; the first is shown at shot 0
SEEN, LABELLED = "#0072B2", "#E69F00"  # frames: steps at which an image of the class was seen, at which its label came


def panels(shown: Sequence[Group], instances: Sequence[int] = INSTANCES) -> list[Panel]:
    """Figure 2: validation accuracy by instance against episodes trained on; one panel a method."""
    curves = [(f"accuracy_{instance - 1}_shot", _shade(instance, instances)) for instance in instances]
    trained = [group for group in shown if group.results[0].history]
    ylabels = ["validation accuracy, %", *[""] * len(trained)]
    return [
        Panel(curves, EPISODES, ylabel, title(group.run.method), only=[group])
        for group, ylabel in zip(trained, ylabels, strict=False)
    ]


def _shade(instance: int, of: Sequence[int]) -> Look:
    """From light to dark, in order."""
    tint = SHADES(0.85 - 0.85 * of.index(instance) / max(len(of) - 1, 1))
    return lambda group: {"label": f"instance {instance}", "color": tint, "linewidth": 1.4}


def persistence(shown: Sequence[Group]) -> Figure:
    """Figure 3: accuracy by instance with the memory wiped between episodes and not, during training and in the test;
    and by the episode's place in a row. A column a number of classes."""
    classes = sorted({_n_way(group) for group in shown})
    figure, grid = plt.subplots(3, len(classes), figsize=(WIDTH, 7.6), squeeze=False, sharey=True, sharex="row")
    for column, n_way in zip(grid.T, classes, strict=True):
        for group in (each for each in shown if _n_way(each) == n_way):
            _draw_persistence(column, group)
        headings = (f"{n_way} classes\n2nd instance, validation", "test, by instance", "test, instances 2 to 10")
        labels = ("rows of episodes trained on", "instance", "episode of its row")
        for axes, heading, label in zip(column, headings, labels, strict=True):
            axes.set_title(heading, fontsize="small")
            axes.set_xlabel(label, fontsize="small")
        column[0].xaxis.set_major_formatter(EngFormatter(sep=""))
        for axes in column[1:]:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in grid[:, 0]:
        axes.set(ylabel="accuracy, %", ylim=(0, 102))
    legend_below(figure)
    return figure


def _n_way(group: Group) -> int:
    return group.results[0].manifest["configuration"]["task"]["n_way"]


def _draw_persistence(column: Sequence[Axes], group: Group) -> None:
    wiped = group.results[0].manifest["configuration"]["rows"]["wiped"]
    style = {"linestyle": "--" if wiped else "-", "color": MUTED if wiped else colour(group.run.method)}
    draw_curves(column[0], group, "accuracy_1_shot", EPISODES, style)
    name: str | None = "memory wiped" if wiped else "not wiped"
    dots = {"marker": "o", "markersize": 4, **style}
    for result in group.results:
        by_instance = [100 * each["accuracy"] for each in result.scores]
        column[1].plot(range(1, len(by_instance) + 1), by_instance, label=name, **dots)
        by_place = [100 * np.mean(each[1:]) for each in result.example["by_place"]]
        column[2].plot(range(1, len(by_place) + 1), by_place, **dots)
        name = None


def curriculum(seeds: Sequence[Result], instances: Sequence[int] = INSTANCES) -> Figure:
    """Figure 4: accuracy by instance while classes are added, and in tests with many more after; a line a seed."""
    figure, (left, right) = narrow(2)
    steps = left.twinx()
    configuration = seeds[0].manifest["configuration"]
    classes = configuration["classes"]
    of_stage = [*(each["n_way"] for each in configuration["curriculum"]), *range(classes["first"], classes["last"] + 1)]
    group = Group(list(seeds))
    for instance in instances:
        look = _shade(instance, instances)(group)
        draw_curves(left, group, f"accuracy_{instance - 1}_shot", EPISODES, look)
        for result in seeds:
            tested = {int(n_way): accuracy for n_way, accuracy in result.example["by_classes"].items()}
            values = [100 * each[instance - 1] for each in tested.values()]
            right.plot(list(tested), values, marker="o", markersize=4, **look)
            look = {**look, "label": None}
    for history in (result.history for result in seeds):
        stages = [of_stage[int(row["stage"]) - 1] for row in history]
        steps.step([row["episodes"] for row in history], stages, where="post", color=MUTED, linestyle=":")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    steps.yaxis.set_major_locator(MaxNLocator(integer=True))
    steps.set_ylabel("classes in training (dotted)", color=MUTED)
    steps.grid(False)
    steps.spines["right"].set_visible(True)
    best = max(line.get_ydata().max() for axes in (left, right) for line in axes.lines)
    top = min(102, max(10, 1.25 * best))  # of both panels, so that low accuracies are told apart
    left.set(xlabel="training episodes", ylabel="accuracy, %", ylim=(0, top))
    left.set_title(f"validation, {classes['last']} classes", fontsize="small")
    right.set(xlabel="classes in the test")
    right.set_title("test, without further training", fontsize="small")
    legend_below(figure)
    return figure


def predictions(results: Sequence[Result]) -> Figure:
    """Figure 5: what each learner expects of a function of one variable after twenty values; band: two deviations."""
    figure, panels = narrow(len(results), height=2.8)
    for axes, result in zip(panels, results, strict=True):
        shown, tint = result.example, colour(result.run.method)
        place, mean, deviation = (np.array(shown[name]) for name in ("place", "mean", "deviation"))
        axes.fill_between(place, mean - 2 * deviation, mean + 2 * deviation, color=tint, alpha=0.2, linewidth=0)
        axes.plot(place, mean, color=tint, label="expected")
        axes.plot(place, shown["f"], color="black", linestyle=":", lw=1.2, label="the function")
        axes.plot(shown["x"], shown["y"], "o", color="black", markersize=4, label="values seen")
        axes.set_title(title(result.run.method), fontsize="medium", color=tint)
        axes.set(xlabel="x")
    # twice as high as the function, so that a learner that knows nothing cannot make it flat
    known = np.array(results[0].example["f"] + results[0].example["y"])
    panels[0].set(ylabel="f(x)", ylim=(known.mean() - np.ptp(known), known.mean() + np.ptp(known)))
    legend_below(figure)
    return figure


def log_likelihoods(by_setting: dict[str, Sequence[Group]]) -> Figure:
    """Figure 6: log-likelihood of the next value against values seen, one panel a number of dimensions."""
    figure, panels = narrow(len(by_setting), sharey=False)
    for axes, (name, shown) in zip(panels, by_setting.items(), strict=True):
        for group in shown:
            tint, label = colour(group.run.method), title(group.run.method)
            for result in group.results:
                rows = result.scores
                shots = [row["shot"] for row in rows]
                axes.plot(shots, [row["log_likelihood"] for row in rows], color=tint, label=label)
                axes.fill_between(shots, *([row[end] for row in rows] for end in ("low", "high")), color=tint,
                                  alpha=0.2, linewidth=0)  # fmt: skip
                label = None
        axes.set(xlabel="values seen")
        axes.set_title(f"{name} dimension{'' if name == 'one' else 's'}", fontsize="medium")
    panels[0].set_ylabel("log-likelihood, nats")
    legend_below(figure)
    return figure


def memory(result: Result, steps: int = 50) -> Figure:
    """What the memory did in one test episode: where it was written, where it was read, what counts as used.

    Slots are in the order in which they were first written to; those never written to are left out.
    """
    shown = result.example
    steps = min(steps, len(shown["y"]))
    maps = {name: _map(shown["memory"], name)[:steps] for name in ("writing", "reading", "usage")}
    order = _as_written(maps["writing"])
    panels = (  # title, values, lowest value with a colour
        ("where it writes", maps["writing"], 0),
        ("where it reads, times the mean", maps["reading"] / maps["reading"].mean(axis=1, keepdims=True), 1),
        ("usage", maps["usage"], 0),
    )
    figure, rows = plt.subplots(3, 1, figsize=(WIDTH, 6.4), sharex=True, layout="constrained")
    for axes, (name, values, low) in zip(rows, panels, strict=True):
        cells = values[:, order].T
        drawn = axes.imshow(cells, cmap="magma_r", vmin=low, aspect="auto", interpolation="nearest")
        axes.set_ylabel("slot", fontsize=NORMAL)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_title(name, loc="left", fontsize=NORMAL)
        axes.grid(False)
        axes.tick_params(labelsize=SMALL)
        figure.colorbar(drawn, ax=axes, pad=0.02, fraction=0.04).ax.tick_params(labelsize=SMALL)
    slots = maps["reading"].shape[1]
    rows[-1].set_xlabel(f"step; {len(order)} of {slots} slots are written to", fontsize=NORMAL)
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _map(kept: Mapping[str, Any], name: str) -> np.ndarray:
    """[step, slot]"""
    return np.frombuffer(base64.b64decode(kept[name]), dtype=np.float16).reshape(kept["shape"]).astype(float)


def _as_written(writing: np.ndarray) -> np.ndarray:
    """The slots that are written to, by the step at which they first are; at least one."""
    strongly = writing > 0.5
    first = np.where(strongly.any(axis=0), strongly.argmax(axis=0), len(writing))
    return np.argsort(first, kind="stable")[: int((first < len(writing)).sum()) or 1]


def retrieval(result: Result, steps: int = 50) -> Figure:
    """How much is read at each step of what was stored at each step before, times the mean over the memory; frames:
    steps at which an image of the same class was seen (blue), and the steps after, at which its label came
    (orange)."""
    shown = result.example
    steps = min(steps, len(shown["y"]))
    share = np.array([[np.nan if each is None else each for each in row] for row in shown["read_of_step"]])
    figure, axes = plt.subplots(figsize=(WIDTH, 4), layout="constrained")
    drawn = axes.imshow(share[:steps, :steps].T, cmap="magma_r", vmin=1, aspect="equal", interpolation="nearest")
    labels = [str(each) for each in shown["y"]]
    for t in range(steps):
        for s in range(t):
            for at, tint in ((s, SEEN), (s + 1, LABELLED)):
                if labels[s] == labels[t] and at < t and not np.isnan(share[t, at]):
                    axes.add_patch(plt.Rectangle((t - 0.5, at - 0.5), 1, 1, fill=False, lw=0.7, ec=tint))
    axes.set_xlabel("step at which is read", fontsize=NORMAL)
    axes.set_ylabel("step at which was stored", fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(False)
    figure.colorbar(drawn, ax=axes, pad=0.02, fraction=0.04).set_label("read, times the mean", fontsize=NORMAL)
    return figure
