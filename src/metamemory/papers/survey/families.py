"""The survey's families of learners, as their pages show them: numbers, costs, and all of them at a glance."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metamemory.papers.survey.reported import DATA, SETTINGS, TABLES, Setting
from metamemory.papers.survey.support_query import ACCURACY, EXPERIMENT, setting_of, table, title
from metamemory.study.figures import MUTED, legend_beside
from metamemory.study.methods import colour
from metamemory.study.quantities import over_seeds
from metamemory.study.results import Group, groups
from metamemory.study.tables import budget_table

METRIC = ("siamese", "matching", "matching_euclidean", "protonet", "ridge")
GRADIENT = ("maml", "maml_inductive", "fomaml", "anil", "reptile", "reptile_transductive")
MEMORY = ("lstm", "cl_lstm", "mann", "snail", "transformer", "delta_net", "srwm")
NEURAL_PROCESS = ("cnp",)
ONE_SHOT: Setting = (5, 1)
MARKS = {"paper": "s", "laptop": "o"}  # of scales
TICKS = (40, 60, 80, 90, 95, 98, 99)


def numbers(methods: Sequence[str], root: Path = Path(".")) -> str:
    """Omniglot, what their papers and others report of them and this study's runs; then which have none at the paper's
    size."""
    return "\n\n".join(filter(None, [table("omniglot", root, methods), missing(methods, root)]))


def missing(methods: Sequence[str], root: Path = Path(".")) -> str:
    """A sentence on the methods without a run at the paper's size; empty where all have one."""
    large = {group.run.method for each in SETTINGS for group in _groups(each, root) if group.run.scale == "paper"}
    small = [title(method) for method in methods if method not in large]
    if not small:
        return ""
    return f"Not yet at `paper` scale, and so not to be compared with the papers: {'; '.join(small)}."


def costs(methods: Sequence[str], root: Path = Path(".")) -> str:
    """Parameters, operations and time of the runs with five classes and one shot of Omniglot."""
    shown = [group for method in methods for group in _groups(ONE_SHOT, root) if group.run.method == method]
    return budget_table(shown) if shown else ""


def _groups(setting: Setting, root: Path) -> list[Group]:
    return groups(EXPERIMENT, setting_of("omniglot", *setting), root)


def at_a_glance(data: str = "omniglot", root: Path = Path(".")) -> Figure:
    """Five classes and one shot: the errors of each learner as its paper reports them and as they are here, the fewest
    on top; the axis is of errors, so that those near the top can be told apart."""
    ours = groups(EXPERIMENT, setting_of(data, *ONE_SHOT), root)
    theirs = {
        method: list(by.values())[0][ONE_SHOT].mean
        for method, by in TABLES[data].items()
        if ONE_SHOT in list(by.values())[0]
    }
    best = {method: theirs.get(method, 0.0) for method in [*theirs, *(group.run.method for group in ours)]}
    for group in ours:
        best[group.run.method] = max(best[group.run.method], over_seeds(group, ACCURACY).mean)
    order = sorted(best, key=best.__getitem__)
    figure, axes = plt.subplots(figsize=(7, 0.3 * len(order) + 1))
    for method, accuracy in theirs.items():
        _mark(axes, accuracy, order.index(method), "D", MUTED, mfc="none")
    for group in ours:
        interval, height = over_seeds(group, ACCURACY), order.index(group.run.method)
        tint = colour(group.run.method)
        _mark(axes, interval.mean, height, MARKS.get(group.run.scale, "o"), tint)
        axes.plot([100 - 100 * interval.low, 100 - 100 * interval.high], [height, height], color=tint)
    for marker, name, face in (("D", "its paper", "none"), ("s", "paper scale", MUTED), ("o", "laptop scale", MUTED)):
        axes.plot([], [], marker, color=MUTED, mfc=face, label=name)
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_xticks([100 - each for each in TICKS], [str(each) for each in TICKS])
    axes.minorticks_off()
    axes.set_yticks(range(len(order)), [title(method) for method in order])
    axes.grid(axis="x", alpha=0.4)
    axes.set(xlabel=f"accuracy, {DATA[data]}, 5-way 1-shot, %")
    legend_beside(axes)
    return figure


def _mark(axes: Axes, accuracy: float, height: int, marker: str, tint: str, **style) -> None:
    axes.plot(100 - 100 * accuracy, height, marker, color=tint, markersize=6, **style)
