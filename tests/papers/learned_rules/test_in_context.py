"""Learning in context: rows by number of tasks, figures, and claims without runs."""

import numpy as np

from metamemory.papers import claims_of
from metamemory.papers.learned_rules import in_context
from metamemory.study import results
from metamemory.study.results import Group, Result, largest_of_each
from metamemory.study.runs import Run


class Kept(Result):
    @property
    def scores(self):
        known = 0.9 if self.run.setting == "tasks_16" else 0.7
        return [{"accuracy": each, "low": each, "high": each} for each in (known, 0.5, 0.4)]

    example = {"by_step": {"same_tasks": [0.2, 0.9], "new_tasks": [0.2, 0.5], "other_data": [0.2, 0.4]}}


def groups(experiment, setting, root):
    run = Run("laptop", experiment, "in_context", setting, 0)
    return [Group([Kept(run, {"data": {"title": "MNIST, then Omniglot"}})])] if setting != "tasks_1" else []


def test_a_row_a_number_of_tasks(monkeypatch):
    monkeypatch.setattr(in_context, "groups", groups)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in in_context.table().splitlines()[2:]]
    assert [row[1] for row in rows] == ["16", "256", "4,096", "65,536", "no end"]
    assert [cell.split("\N{NO-BREAK SPACE}")[0] for cell in rows[0][3:6]] == ["90.0", "50.0", "40.0"]


def test_the_figure_has_a_line_a_kind_of_test(monkeypatch):
    monkeypatch.setattr(results, "groups", groups)
    axes = in_context.by_tasks(largest_of_each(in_context.EXPERIMENT, in_context.TASKS)).axes[0]
    same, new, other = axes.lines[:3]
    assert list(same.get_xdata()) == [1, 2, 3, 4, 5] and np.allclose(same.get_ydata(), [90, 70, 70, 70, 70])
    assert np.allclose(new.get_ydata(), 50) and np.allclose(other.get_ydata(), 40)
    panels = in_context.by_step(groups("in_context", "tasks_16", None)).axes
    assert [each.lines[0].get_ydata()[-1] for each in panels[:3]] == [90, 50, 40]


def test_what_was_not_run_decides_nothing(tmp_path):
    assert in_context.table(tmp_path) == ""
    assert claims_of(in_context)(tmp_path).count("not run") == 2 * len(in_context.claims())
