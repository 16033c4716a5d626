"""Figures of Munkhdalai and Yu 2017: networks that were never trained, and other data sets."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from metamemory.papers.munkhdalai2017.reported import (
    FIGURE_3,
    FIGURE_3_EVERY,
    FIGURE_4,
    FIGURE_4_EVERY,
    FIGURE_5,
    QUOTED_5,
)
from metamemory.papers.munkhdalai2017.tables import change_of, with_classes
from metamemory.study.accuracy_axis import accuracy_axis
from metamemory.study.curves import EPISODES, draw_curves
from metamemory.study.figures import MUTED, WIDTH, band, legend_below, narrow
from metamemory.study.methods import colour, title
from metamemory.study.quantities import over_seeds
from metamemory.study.results import Group, Result

TINTS = ("#0072B2", "#E69F00", "#CC79A7")  # of groups
NETWORKS = {"target": ("", "#CC79A7"), "small": ("_small", "#0072B2"), "big": ("_big", "#E69F00")}  # column, colour
KINDS = {"target": "its own network", "small": "random slow weights", "big": "random slow weights"}
FILTERS = {"target": 64, "small": 32, "big": 128}  # of the paper's networks


def other_networks(shown: Sequence[Group]) -> Figure:
    """Figure 3: test accuracy against tasks trained on, of the network that fast weights were learned for and of two
    that were never trained; beside it the paper's. A panel a group."""
    figure, panels = narrow(len(shown) + 1, height=3.8)
    for axes, group in zip(panels, shown, strict=False):
        configuration = group.results[0].manifest["configuration"]
        filters = {"target": configuration.get("model", {}).get("filters", 64)}
        filters |= {name: each["filters"] for name, each in configuration["others"].items()}
        for name, (column, tint) in NETWORKS.items():
            look = {"color": tint, "label": f"{KINDS[name]}, {filters[name]} filters"}
            draw_curves(axes, group, f"test_accuracy{column}", EPISODES, look)
        axes.set_title(textwrap.fill(f"this study, {group.label}", 28), fontsize="small")
    last = panels[-1]
    for name, (_, tint) in NETWORKS.items():
        values = FIGURE_3[name]
        trials = [FIGURE_3_EVERY * (place + 1) for place in range(len(values))]
        last.plot(trials, values, color=tint, linewidth=1.2, label=f"{KINDS[name]}, {FILTERS[name]} filters")
    last.set_title("the paper, its Figure 3", fontsize="small")
    best = max(max(values) for values in FIGURE_3.values())
    for axes in panels:
        axes.set_xlabel(EPISODES.label)
        accuracy_axis(axes, best, what="accuracy in tests")
        axes.label_outer()
        axes.axhline(20, color=MUTED, linestyle=":", linewidth=1)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    legend_below(figure)
    return figure


def reverse_transfer(shown: Sequence[Group]) -> Figure:
    """Figure 4: change of the accuracy on characters against tasks of permuted digits that the rule was trained on
    since, and beside it the accuracy on those; the paper's points."""
    figure, (axes, second) = narrow(2, height=3.8, sharey=False)
    for group, tint in zip(shown, TINTS, strict=False):
        rows = group.results[0].scores
        tasks = [row["tasks"] for row in rows]
        quantities = [change_of(place) for place in range(len(rows))]
        band(axes, tasks, group, quantities, tint, label=f"this study, {group.label}")
        learned = [100 * sum(each.scores[i]["second_accuracy"] for each in group.results) for i in range(len(rows))]
        second.plot(tasks, [each / len(group.results) for each in learned], color=tint)
    paper = [FIGURE_4_EVERY * (place + 1) for place in range(len(FIGURE_4))]
    axes.plot(paper, FIGURE_4, "D", color=MUTED, markersize=4, label="the paper, its Figure 4")
    axes.axhline(0, color=MUTED, linestyle=":", linewidth=1)
    axes.set(xlabel="tasks of permuted digits", ylabel="change of accuracy\non characters, points")
    second.set(xlabel="tasks of permuted digits", ylabel="accuracy on the digits\nin training, %", ylim=(0, 102))
    legend_below(figure)
    return figure


def other_digits(shown: Sequence[Group]) -> Figure:
    """Figure 5: accuracy on digits of learners trained on characters, a panel a scale and the paper's bars last; a
    learner has its colour, and its place in the paper's order, in all of them."""
    order = [*FIGURE_5, *sorted({group.run.method for group in shown} - set(FIGURE_5))]
    shown = sorted(shown, key=lambda group: order.index(group.run.method))
    scales = list(dict.fromkeys(group.run.scale for group in shown))
    figure, panels = plt.subplots(len(scales) + 1, 1, figsize=(WIDTH, 2.8 * (len(scales) + 1)), layout="constrained")
    for axes, scale in zip(panels, scales, strict=False):
        found = [group for group in shown if group.run.scale == scale]
        for place, group in enumerate(found):
            accuracy = over_seeds(group, with_classes(10))
            ends = [[100 * (accuracy.mean - accuracy.low)], [100 * (accuracy.high - accuracy.mean)]]
            axes.barh(place, 100 * accuracy.mean, xerr=ends, color=colour(group.run.method))
        _name_bars(axes, [title(group.run.method) for group in found], f"this study, {found[0].label}")
    reported = {**{title(method): each for method, each in FIGURE_5.items()}, **QUOTED_5}
    tints = [*map(colour, FIGURE_5), *[MUTED] * len(QUOTED_5)]
    panels[-1].barh(range(len(reported)), [100 * each.mean for each in reported.values()], color=tints)
    _name_bars(panels[-1], list(reported), "the paper, its Figure 5")
    return figure


def _name_bars(axes: Axes, names: Sequence[str], heading: str) -> None:
    axes.set_yticks(range(len(names)), [textwrap.fill(name, 26) for name in names], fontsize="small")
    axes.invert_yaxis()
    axes.axvline(10, color=MUTED, linestyle=":", linewidth=1)
    axes.set(xlim=(0, 100), xlabel="accuracy on digits, %")
    axes.set_title(heading, fontsize="small")


def fast_weights(result: Result) -> Figure:
    """Of one run: how large slow and fast weights are by layer; what accuracy is left without some of them; and the
    attention of one task's queries over its memory, a column a support image and a row a query, class by class."""
    example, rows, metrics = result.example, result.scores, result.metrics
    names = example["layers"]
    figure, panels = plt.subplots(3, 1, figsize=(WIDTH, 10), height_ratios=[0.9, 1, 1.6], layout="constrained")
    sizes, left, memory = panels
    for place, (column, tint) in enumerate((("slow", TINTS[0]), ("fast", TINTS[1]))):
        where = [number + 0.4 * place for number in range(len(names))]
        sizes.bar(where, [row[column] for row in rows], width=0.4, color=tint, label=f"{column} weights")
    sizes.set_xticks([number + 0.2 for number in range(len(names))], names)
    sizes.set(yscale="log", ylabel="root mean square")
    sizes.legend(fontsize="small")
    labels = {
        "accuracy": "all there",
        "accuracy_no_task_weights": "no task-level weights",
        **{f"accuracy_without_{name}": f"{name} without fast weights" for name in names},
        "accuracy_slow": "slow weights alone",
        "accuracy_fast": "fast weights alone",
    }
    left.barh(range(len(labels)), [100 * metrics[key] for key in labels], color=TINTS[0])
    left.set_yticks(range(len(labels)), list(labels.values()), fontsize="small")
    left.invert_yaxis()
    left.axvline(100 / len(set(example["support_y"])), color=MUTED, linestyle=":", linewidth=1)
    left.set(xlim=(0, 100), xlabel="accuracy in tests, %")
    support, queries = example["support_y"], example["query_y"]
    rows_of = sorted(range(len(queries)), key=lambda query: support.index(queries[query]))  # as the support images are
    drawn = memory.imshow([example["attention"][row] for row in rows_of], cmap="Blues", vmin=0, aspect="auto")
    memory.set_xticks(range(len(support)), support)
    classes = [queries[row] for row in rows_of]
    first = [place for place, label in enumerate(classes) if label not in classes[:place]]
    memory.set_yticks(first, [classes[place] for place in first])
    memory.set(xlabel="support images, by label", ylabel="queries, by label")
    memory.grid(False)
    figure.colorbar(drawn, ax=memory, label="attention", pad=0.02, fraction=0.04)
    return figure
