"""Learning curves: what was measured in validation while training went on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from metamemory.study.figures import MUTED, chance_line, legend_below, narrow
from metamemory.study.methods import colour, title
from metamemory.study.results import Group, Result


class Against(NamedTuple):
    """What learning curves are drawn against: a label, the value at a row of a run's history, and the axis's scale."""

    label: str
    value: Callable[[Result, Mapping[str, float]], float]
    scale: str = "linear"


EPISODES = Against("training episodes", lambda result, row: row["episodes"])
MINUTES = Against("training time, minutes", lambda result, row: row["seconds"] / 60)

Look = Callable[[Group], dict[str, Any]]  # label, colour and style of the lines of a group


def look_of_method(group: Group) -> dict[str, Any]:
    """Title and colour of its method."""
    return {"label": title(group.run.method), "color": colour(group.run.method)}


class Panel(NamedTuple):
    """A panel of learning curves.

    Attributes:
        curves: a column of the histories, shares of 1, and the look of its lines.
        against: the other axis.
        only: which groups are in the panel; None for all of the figure.
    """

    curves: Sequence[tuple[str, Look]]
    against: Against
    ylabel: str = ""
    title: str = ""
    only: Sequence[Group] | None = None


def few_shot_panels(shot: int = 5) -> list[Panel]:
    """Validation accuracy at one shot against episodes trained on, and against time."""
    curves = [(f"accuracy_{shot}_shot", look_of_method)]
    return [
        Panel(curves, EPISODES._replace(scale="log"), f"{shot}-shot validation accuracy, %"),
        Panel(curves, MINUTES),
    ]


def learning_curves(groups: Sequence[Group], panels: Sequence[Panel] = (), n_way: int | None = None) -> Figure:
    """What was measured in validation while training went on, a line a seed; by default few-shot accuracy. Groups come
    in the order in which their lines end, from above. With `n_way` the line of chance is drawn too."""
    panels = panels or few_shot_panels()
    figure, every = narrow(len(panels))
    for axes, panel in zip(every, panels, strict=True):
        for column, look in panel.curves:
            for group in _as_they_end(groups if panel.only is None else panel.only, column):
                draw_curves(axes, group, column, panel.against, look(group))
        if n_way:
            chance_line(axes, n_way)
        axes.set(xlabel=panel.against.label, xscale=panel.against.scale, ylabel=panel.ylabel, ylim=(0, 102))
        axes.set_title(panel.title, fontsize="medium")
        if panel.against.scale == "linear" and axes.get_xlim()[1] > 2000:
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if n_way:
        axes.text(1, 100 / n_way - 1, "chance", color=MUTED, fontsize="small", ha="right", va="top",
                  transform=axes.get_yaxis_transform())  # fmt: skip
    legend_below(figure)
    return figure


def _as_they_end(groups: Sequence[Group], column: str) -> list[Group]:
    def end(group: Group) -> float:
        ends = [result.history[-1].get(column, 0) for result in group.results if result.history]
        return float(np.mean(ends)) if ends else 0

    return sorted(groups, key=end, reverse=True)


def draw_curves(axes: Axes, group: Group, column: str, against: Against, look: dict[str, Any]) -> None:
    """A column of the histories of a group, in per cent, a line a seed; only the first has a label."""
    for result in group.results:
        history = result.history
        if history and column in history[0]:
            x = [against.value(result, row) for row in history]
            axes.plot(x, [100 * row[column] for row in history], **look)
            look = {**look, "label": None}
