"""Cells of a table as a picture: what is reported and what this study has, a row a method, a panel a column."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metamemory.study import marks
from metamemory.study.accuracy_axis import accuracy_axis
from metamemory.study.cells import Judged
from metamemory.study.figures import MUTED
from metamemory.study.methods import colour

ACROSS = 2  # panels side by side, at most, so that a telephone shows them


def beside(judged: Sequence[Judged]) -> Figure:
    """Diamonds are reported; dots are this study's with 95 % intervals, filled where they are at the paper's size
    and on its data."""
    names = list(dict.fromkeys(each.cell.row for each in judged))
    columns = list(dict.fromkeys(each.cell.column for each in judged))
    across = min(ACROSS, len(columns))
    down = -(-len(columns) // across)
    figure, panels = plt.subplots(
        down,
        across,
        figsize=(1.8 + 2.3 * across, 0.7 + down * (0.75 + 0.26 * len(names))),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    numbers = [100 * number for each in judged for number in _numbers(each)]
    for axes, column in zip(panels.flat, columns, strict=False):
        for each in (each for each in judged if each.cell.column == column):
            _draw(axes, each, names.index(each.cell.row))
        axes.set_title(column, fontsize="medium")
        axes.grid(False, axis="y")
        axes.grid(True, axis="x", alpha=0.4)
        axes.tick_params(axis="x", labelsize="x-small")
    for axes in panels.flat:
        accuracy_axis(axes, max(numbers), "x", worst=min(numbers))
        figure.supxlabel(axes.get_xlabel(), fontsize="medium")
        axes.set_xlabel("")
    panels[0, 0].set(ylim=(len(names) - 0.4, -0.6), yticks=range(len(names)), yticklabels=names)
    for axes in panels.flat[len(columns) :]:
        axes.axis("off")
    figure.legend(handles=_handles(judged), loc="outside upper center", ncols=3, fontsize="small", columnspacing=1)
    figure.set_layout_engine("constrained")
    return figure


def _numbers(each: Judged) -> list[float]:
    return [each.cell.reported.mean, *([] if each.ours is None else [each.ours.mean])]


def _draw(axes: Axes, each: Judged, place: int) -> None:
    tint = MUTED if each.cell.answer is None else colour(each.cell.answer.method)
    reported, deviation = each.cell.reported.mean, each.cell.reported.deviation or 0
    axes.hlines(
        place - 0.15, 100 * (reported - deviation), 100 * (reported + deviation), color=marks.PAPER, linewidth=1
    )
    marks.reported(axes, place - 0.15, reported)
    if each.ours is not None:
        marks.measured(axes, place + 0.15, each.ours, tint, each.group.comparable)


def _handles(judged: Sequence[Judged]) -> list[Line2D]:
    handles = [marks.of_reported("reported")]
    decided = {each.group.comparable for each in judged if each.group is not None}
    if True in decided:
        handles.append(marks.of_measured("this study, paper scale", MUTED, True))
    if False in decided:
        handles.append(marks.of_measured("reduced size", MUTED, False))
    return handles
