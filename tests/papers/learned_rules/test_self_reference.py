"""Two tasks in a row: the paper's numbers beside this study's, curves, and claims without runs."""

import numpy as np

from metamemory.papers import claims_of
from metamemory.papers.learned_rules import self_reference
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run


class Kept(Result):
    scores = [{"accuracy": each, "low": each - 0.01, "high": each + 0.01} for each in (0.8, 0.5, 0.6, 0.7)]
    example = {"by_step": {"one_first": [0.2] * 6, "other_first": [0.4] * 6}}


def kept(method="srwm"):
    run = Run("laptop", "two_tasks", method, self_reference.PAPER, 0)
    return Group([Kept(run, {"data": {"title": "Omniglot and miniImageNet"}})])


def test_the_table_has_both_orders(monkeypatch):
    monkeypatch.setattr(self_reference, "groups", lambda *_: [kept()])
    lines = self_reference.table(self_reference.PAPER).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0][2:6] == ["Omniglot first, %", "then miniImageNet, %", "miniImageNet first, %", "then Omniglot, %"]
    assert cells[2][1:] == ["paper", "–", "53.3", "–", "–", "–"] and cells[3][3] == "50.4"
    assert [cell.split("\N{NO-BREAK SPACE}")[0] for cell in cells[4][2:6]] == ["80.0", "50.0", "60.0", "70.0"]
    others = self_reference.table("omniglot_cifar_fs").splitlines()
    assert len(others) == 3


def test_what_was_not_run_decides_nothing(tmp_path):
    assert self_reference.table(self_reference.PAPER, tmp_path) == ""
    assert claims_of(self_reference)(tmp_path).count("not run") == 2 * len(self_reference.claims())


def test_means_do_not_reach_over_the_change():
    values = np.array([0.0, 10, 20, 30, 100, 100, 100, 40])
    assert self_reference.smooth(values, 2).tolist() == [0, 5, 15, 25, 100, 100, 100, 70]


def test_curves_are_drawn_of_both_orders():
    figure = self_reference.by_step({self_reference.PAPER: [kept(), kept("delta_net")]})
    one, other = figure.axes[:2]
    assert [len(axes.lines) for axes in (one, other)] == [3, 3]
    assert np.allclose(one.lines[0].get_ydata(), 20) and np.allclose(other.lines[0].get_ydata(), 40)


def test_learners_are_beside_one_another_where_labels_are_late(monkeypatch):
    monkeypatch.setattr(self_reference, "groups", lambda _, __, ___, method: [kept(method)] if method == "srwm" else [])
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)
    monkeypatch.setattr(self_reference, "SHOTS", (1, 3))
    (row,) = self_reference.online_table().splitlines()[2:]
    assert [cell.split("\N{NO-BREAK SPACE}")[0].strip(" *") for cell in row.split("|")[3:5]] == ["50.0", "70.0"]
