"""Cells of a table as a picture: what is reported and what this study has, a row a method, a panel a column."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metamemory.study import marks
from metamemory.study.accuracy_axis import accuracy_axis
from metamemory.study.cells import Judged
from metamemory.study.figures import MUTED
from metamemory.study.methods import colour
from metamemory.study.tables import Reported
from metamemory.training.statistics import Interval

ACROSS = 2  # panels side by side, at most, so that a telephone shows them


class Point(NamedTuple):
    """A place of the picture.

    Attributes:
        row, column: where it is.
        method: what was run for it; None where the study has no run for it.
        reported: what a paper has there, if any does.
        ours: what was measured; None where nothing was.
        decides: whether that is at the paper's size and on its data.
    """

    row: str
    column: str
    method: str | None
    reported: Reported | None = None
    ours: Interval | None = None
    decides: bool = False


def point(judged: Judged) -> Point:
    """A cell of a paper's table, in the picture."""
    cell, group = judged.cell, judged.group
    method = cell.answer and cell.answer.method
    return Point(cell.row, cell.column, method, cell.reported, judged.ours, bool(group and group.comparable))


def beside(points: Sequence[Point]) -> Figure:
    """Diamonds are reported; dots are this study's with 95 % intervals, filled where they are at the paper's size
    and on its data. Rows and columns are in the order of the points."""
    names = list(dict.fromkeys(each.row for each in points))
    columns = list(dict.fromkeys(each.column for each in points))
    across = min(ACROSS, len(columns))
    down = -(-len(columns) // across)
    figure, panels = plt.subplots(
        down,
        across,
        figsize=(1.8 + 1.7 * across, 0.7 + down * (0.75 + 0.26 * len(names))),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    numbers = [100 * each.mean for one in points for each in (one.reported, one.ours) if each is not None]
    for axes, column in zip(panels.flat, columns, strict=False):
        for each in (each for each in points if each.column == column):
            _draw(axes, each, names.index(each.row))
        axes.set_title(column, fontsize="medium")
        axes.grid(False, axis="y")
        axes.grid(True, axis="x", alpha=0.4)
        axes.tick_params(axis="x", labelsize="x-small")
    for axes in panels.flat:
        accuracy_axis(axes, max(numbers), "x", worst=min(numbers))
        figure.supxlabel(axes.get_xlabel(), fontsize="medium")
        axes.set_xlabel("")
    panels[0, 0].set(ylim=(len(names) - 0.4, -0.6), yticks=range(len(names)))
    panels[0, 0].set_yticklabels([textwrap.fill(name, 22) for name in names])
    for axes in panels.flat:
        axes.tick_params(axis="y", labelsize="small")
    for axes in panels.flat[len(columns) :]:
        axes.axis("off")
    figure.legend(handles=_handles(points), loc="outside upper center", ncols=3, fontsize="small", columnspacing=1)
    figure.set_layout_engine("constrained")
    return figure


def _draw(axes: Axes, each: Point, place: int) -> None:
    if each.reported is not None:
        reported, deviation = each.reported.mean, each.reported.deviation or 0
        ends = 100 * (reported - deviation), 100 * (reported + deviation)
        axes.hlines(place - 0.15, *ends, color=marks.PAPER, linewidth=1)
        marks.reported(axes, place - 0.15, reported)
    if each.ours is not None:
        tint = MUTED if each.method is None else marks.on_white(colour(each.method))
        marks.measured(axes, place + 0.15, each.ours, tint, each.decides)


def _handles(points: Sequence[Point]) -> list[Line2D]:
    """Of the legend: only what is in the figure."""
    handles = [marks.of_reported("reported")] if any(each.reported for each in points) else []
    decided = {each.decides for each in points if each.ours is not None}
    if True in decided:
        handles.append(marks.of_measured("this study, paper scale", MUTED, True))
    if False in decided:
        handles.append(marks.of_measured("reduced size", MUTED, False))
    return handles
