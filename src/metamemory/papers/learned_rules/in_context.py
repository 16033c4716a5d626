"""From memorising tasks to learning in context, as the number of tasks grows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from metamemory.study.claims import OF_ONE, Claim
from metamemory.study.figures import MUTED, legend_below, narrow
from metamemory.study.methods import colour, title
from metamemory.study.quantities import Measured, at_shot, over_seeds
from metamemory.study.results import Group, groups
from metamemory.study.tables import markdown, percent, whose

EXPERIMENT, METHOD = "in_context", "in_context"
TASKS = {"tasks_1": 1, "tasks_16": 16, "tasks_256": 256, "tasks_4096": 4096, "tasks_65536": 65536, "tasks_all": None}
KINDS = {"same_tasks": "the same tasks", "new_tasks": "new tasks", "other_data": "another data set"}
OF_KIND = {kind: at_shot(row) for row, kind in enumerate(KINDS)}
STYLES = dict(zip(KINDS, ("--", "-", ":"), strict=True))
NOT_RUN = "Not run: `dvc repro notebooks/learned_rules/in_context/dvc.yaml`."


def table(root: Path = Path(".")) -> str:
    """Accuracy over the last steps of an episode, a row a method, number of tasks and scale; empty where none was
    run."""
    rows = []
    for setting, tasks in TASKS.items():
        for group in groups(EXPERIMENT, setting, root):
            numbers = (percent(over_seeds(group, quantity)) for quantity in OF_KIND.values())
            name = "no end" if tasks is None else f"{tasks:,}"
            rows.append([title(group.run.method), name, whose(group), *numbers, str(len(group.results))])
    header = ["method", "tasks of the training", "whose", *(f"{each}, %" for each in KINDS.values()), "seeds"]
    return markdown(header, rows) if rows else ""


def claims() -> list[Claim]:
    """That few tasks are known by heart, and many make a learner that learns what it has never seen."""
    few, many = "tasks_16", "tasks_all"
    return [
        Claim(
            "With few tasks: known tasks are answered better than new ones",
            paper="a figure",
            pairs=[tuple(Measured(EXPERIMENT, METHOD, few, OF_KIND[kind]) for kind in ("same_tasks", "new_tasks"))],
        ),
        Claim(
            "With no end of tasks: new ones are answered better than after few",
            paper="a figure",
            pairs=[tuple(Measured(EXPERIMENT, METHOD, each, OF_KIND["new_tasks"]) for each in (many, few))],
        ),
        Claim(
            "With no end of tasks: those of another data set are answered better than after few",
            paper="a figure",
            pairs=[tuple(Measured(EXPERIMENT, METHOD, each, OF_KIND["other_data"]) for each in (many, few))],
        ),
    ]


CLAIM_COLUMNS = OF_ONE


def by_tasks(of_each: dict[str, list[Group]]) -> Figure:
    """Accuracy over the last steps against the number of tasks of the training; solid: new tasks, dashed: the same,
    dotted: another data set. The last place is of tasks without end."""
    figure, (axes,) = narrow(height=3.8)
    places = {setting: place for place, setting in enumerate(TASKS)}
    for method in dict.fromkeys(group.run.method for shown in of_each.values() for group in shown):
        of_method = {places[setting]: g for setting, shown in of_each.items() for g in shown if g.run.method == method}
        for kind, style in STYLES.items():
            intervals = [over_seeds(group, OF_KIND[kind]) for group in of_method.values()]
            mean, low, high = (
                100 * np.array([getattr(each, end) for each in intervals]) for end in ("mean", "low", "high")
            )
            label = title(method) if kind == "new_tasks" else None
            axes.plot(list(of_method), mean, style, color=colour(method), marker="o", markersize=4, label=label)
            axes.fill_between(list(of_method), low, high, color=colour(method), alpha=0.15, linewidth=0)
    for kind, style in STYLES.items():
        axes.plot([], [], style, color=MUTED, label=KINDS[kind])
    names = ["no end" if tasks is None else f"{tasks:,}" for tasks in TASKS.values()]
    axes.set_xticks(list(places.values()), names)
    axes.set(xlabel="tasks of the training", ylabel="accuracy, last steps, %", ylim=(0, 102))
    legend_below(figure)
    return figure


def by_step(shown: Sequence[Group]) -> Figure:
    """Accuracy at every step of a test, mean over all seeds; a panel a kind of test."""
    figure, panels = narrow(len(KINDS), height=2.8)
    for axes, (kind, name) in zip(panels, KINDS.items(), strict=True):
        for group in shown:
            accuracy = 100 * np.mean([result.example["by_step"][kind] for result in group.results], axis=0)
            axes.plot(accuracy, color=colour(group.run.method), label=title(group.run.method))
        axes.set_title(name, fontsize="medium")
        axes.set(xlabel="step", ylim=(0, 102))
    panels[0].set_ylabel("accuracy, %")
    legend_below(figure)
    return figure
