"""Trained learners of support and query sets beyond their test: shots, ways, another data set, altered support sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metamemory.study.figures import WIDTH, legend_below, narrow
from metamemory.study.log_axis import log_axis
from metamemory.study.methods import colour, title
from metamemory.study.results import Group, largest
from metamemory.study.tables import markdown, span, whose

EXPERIMENTS = {"probes_characters": ("omniglot", "mnist"), "probes_photographs": ("cifar_fs", "mini_imagenet")}
TITLES = {"omniglot": "Omniglot", "mnist": "MNIST", "cifar_fs": "CIFAR-FS", "mini_imagenet": "miniImageNet"}
NOT_RUN = "Not run: `dvc repro {}`."
ONE_SHOT = "accuracy_5_way_1_shot"
ALTERED = {
    "order": "another order",
    "labels": "labels renamed",
    "wrong_label": "one wrong label",
    "duplicate": "a sample twice",
}


def mean(group: Group, metric: str) -> float | None:
    """Over its seeds; None where it was not measured."""
    found = [result.metrics.get(metric) for result in group.results]
    return None if None in found else float(np.mean(found))


def altered_table(experiment: str, root: Path = Path(".")) -> str:
    """What altered support sets do, in the data set that was trained on: a row a method; empty where none was run."""
    shown = largest(experiment, EXPERIMENTS[experiment][0], root)
    if not shown:
        return ""
    header = ["method", "whose", "accuracy, %", *(f"{each}: changed, %" for each in ALTERED.values())]
    names = ["accuracy_unaltered", *(f"changed_{each}" for each in ALTERED), "accuracy_wrong_label"]
    return markdown(
        [*header, "accuracy with a wrong label, %", "seeds"],
        [
            [title(group.run.method), whose(group), *(_percent(mean(group, name)) for name in names), _seeds(group)]
            for group in shown
        ],
    )


def transfer_table(experiment: str, root: Path = Path(".")) -> str:
    """Five ways and one shot in the data set that was trained on, and in another; calibration; operations."""
    home, other = EXPERIMENTS[experiment]
    shown, away = largest(experiment, home, root), {g.run.method: g for g in largest(experiment, other, root)}
    if not shown:
        return ""
    rows = []
    for group in shown:
        there = away.get(group.run.method)
        same_scale = there is not None and there.run.scale == group.run.scale
        at_home = [_percent(mean(group, name)) for name in (ONE_SHOT, "confidence", "calibration_error")]
        operations = [_mega(mean(group, name)) for name in ("flops_to_adapt", "flops_to_answer")]
        elsewhere = _percent(mean(there, ONE_SHOT)) if same_scale else "not run"
        rows.append([title(group.run.method), whose(group), *at_home, elsewhere, *operations, _seeds(group)])
    header = ["method", "whose", f"{TITLES[home]}, %", "confidence, %", "calibration error, points"]
    return markdown([*header, f"{TITLES[other]}, %", "MFLOPs to adapt", "to answer", "seeds"], rows)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _mega(value: float | None) -> str:
    return "–" if value is None else f"{value / 1e6:,.1f}"


def _seeds(group: Group) -> str:
    return span([len(group.results)], 0)


def by_shots_and_ways(by_setting: Mapping[str, Sequence[Group]]) -> Figure:
    """Accuracy of one trained learner each against shots and against ways, with intervals over the episodes of its
    first seed; a row a data set."""
    figure, rows = plt.subplots(len(by_setting), 2, figsize=(WIDTH, 3 * len(by_setting)), squeeze=False, sharey="row")
    for axes, (setting, shown) in zip(rows, by_setting.items(), strict=True):
        for group in shown:
            found = group.results[0].scores
            shots = [row for row in found if row["n_way"] == found[0]["n_way"]]
            ways = sorted((row for row in found if row["k_shot"] == 1), key=lambda row: row["n_way"])
            _draw(axes[0], group, shots, "k_shot")
            _draw(axes[1], group, ways, "n_way")
        axes[0].set(xlabel="labelled images of each class", ylabel=f"{TITLES.get(setting, setting)}: accuracy, %")
        axes[1].set(xlabel="classes")
        asked = {int(row["n_way"]) for group in shown for row in group.results[0].scores if row["k_shot"] == 1}
        log_axis(axes[1], sorted(asked))
        for each, name in zip(axes, ("ways as in the test", "one shot"), strict=True):
            each.set_title(name, fontsize="medium")
    legend_below(figure)
    return figure


def _draw(axes: Axes, group: Group, rows: Sequence[Mapping[str, float]], along: str) -> None:
    tint, x = colour(group.run.method), [row[along] for row in rows]
    values, low, high = (100 * np.array([row[name] for row in rows]) for name in ("accuracy", "low", "high"))
    axes.plot(x, values, color=tint, marker="o", markersize=4, label=title(group.run.method))
    axes.fill_between(x, low, high, color=tint, alpha=0.2, linewidth=0)


def operations(shown: Sequence[Group]) -> Figure:
    """Accuracy with five ways and one shot against operations to adapt to a support set, a point a learner."""
    figure, (axes,) = narrow(height=3.8)
    for group in shown:
        x, accuracy = mean(group, "flops_to_adapt"), mean(group, ONE_SHOT)
        if x is not None and accuracy is not None:
            tint = colour(group.run.method)
            axes.plot(x / 1e6, 100 * accuracy, "o", color=tint, markersize=9, label=title(group.run.method))
    axes.set(xlabel="operations to adapt, MFLOPs", ylabel="accuracy, 5-way 1-shot, %")
    log_axis(axes)
    legend_below(figure)
    return figure
