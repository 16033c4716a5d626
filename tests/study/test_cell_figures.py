"""What is reported and what was measured stand in one row, each where it is."""

import matplotlib.pyplot as plt
import pytest

from metamemory.study.cell_figures import Point, beside, point
from metamemory.study.cells import Cell, Judged
from metamemory.study.quantities import Measured, at_shot
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run
from metamemory.study.tables import Reported
from metamemory.training.statistics import Interval


def placed(row, column, reported, ours=None, scale="paper"):
    cell = Cell("A 2001", "Table 1", row, column, Reported(reported, 0.01), Measured("e", row, "s", at_shot(0)))
    group = Group([Result(Run(scale, "e", row, "s"), {"data": {"title": "Omniglot"}})])
    interval = ours and Interval(ours, ours - 0.02, ours + 0.02, "seeds")
    return point(Judged(cell, ours and group, interval, ""))


def test_a_row_has_the_papers_number_and_this_studys():
    figure = beside([placed("a", "1", 0.6, 0.5), placed("b", "1", 0.7, 0.4, "laptop"), placed("a", "5", 0.8)])
    first, second = figure.axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["a", "b"] and first.get_title() == "1"
    found = [(line.get_xdata()[0], round(line.get_ydata()[0]), line.get_marker()) for line in first.lines]
    assert found == [(60, 0, "D"), (50, 0, "o"), (70, 1, "D"), (40, 1, "o")]
    assert [line.get_mfc() == "white" for line in first.lines if line.get_marker() == "o"] == [False, True]
    spans = [segment[:, 0].tolist() for each in first.collections for segment in each.get_segments()]
    assert sum(spans, []) == pytest.approx([59, 61, 48, 52, 69, 71, 38, 42])
    assert len(second.lines) == 1 and second.get_xlim() == first.get_xlim() == (0, 102)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["reported", "this study, paper scale", "reduced size"]
    plt.close(figure)


def test_near_the_top_it_is_an_axis_of_errors():
    figure = beside([placed("a", str(column), 0.9, 0.98) for column in range(4)])
    assert [axes.get_xscale() for axes in figure.axes] == ["function"] * 4
    assert len({round(axes.get_position().y0, 3) for axes in figure.axes}) == 2  # two rows of two
    plt.close(figure)


def test_a_learner_that_no_paper_reports_has_a_dot_alone():
    own = Point("b", "1", "b", ours=Interval(0.9, 0.88, 0.92, "episodes"))
    figure = beside([placed("a", "1", 0.6, 0.5), own])
    (axes,) = figure.axes
    assert [(line.get_xdata()[0], line.get_marker()) for line in axes.lines] == [(60, "D"), (50, "o"), (90, "o")]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    plt.close(figure)
