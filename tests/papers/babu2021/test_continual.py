"""Continual learning of Babu et al. 2021: lengths, falls and spreads of a run, and what the paper claims of them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from metamemory.papers.babu2021 import continual
from metamemory.study import curves
from metamemory.study.parameters import project_root
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run


@pytest.fixture
def group():
    """Accuracy after n subtasks is 1 - n / 100 over all of them, with an interval of 1 point; of a single one its place
    in per cent."""
    lengths = [(n, 1, n, 1 - n / 100) for n in range(1, 21)]
    single = [(20, i, i, i / 100) for i in range(1, 21)]
    rows = [(20, 1, 19, 0.9), *lengths, *single, *((n, 1, 1, 0.99) for n in range(2, 20))]

    class Kept(Result):
        scores = [
            {"seen": n, "first": first, "last": last, "accuracy": a, "low": a - 0.005, "high": a + 0.005}
            for n, first, last, a in rows
        ]

    manifest = {"data": {"title": "Omniglot"}, "configuration": {"task": {"subtasks": 20}}}
    return Group([Kept(Run("laptop", continual.EXPERIMENT, "cl_lstm", continual.SETTING), manifest)])


def test_a_fall_is_from_five_subtasks_to_twenty(group):
    fall = continual.fall(group.results[0])
    assert (fall.mean, fall.low, fall.high) == pytest.approx((0.15, 0.14, 0.16))


def test_a_spread_is_over_subtasks_and_decides_nothing_in_one_run(group):
    spread = continual.spread(group.results[0])
    assert spread.mean == pytest.approx(np.std(np.arange(1, 21) / 100)) and (spread.low, spread.high) == (0, 1)


def test_what_was_not_measured_is_named(group):
    with pytest.raises(KeyError, match="no accuracy of subtasks 2 to 3 after 7"):
        continual.accuracy(7, 2, 3)(group.results[0])


def test_the_table_has_all_lengths(group):
    cells = [cell.strip() for cell in continual.lengths_table([group]).splitlines()[2].split("|")[1:-1]]
    assert cells[:5] == ["CL+LSTM", *(f"{100 - n}.0 ({99.5 - n}–{100.5 - n})" for n in continual.LENGTHS)]
    assert continual.lengths_table_at("paper", project_root() / "nowhere") == ""


def test_labels_are_shown_beside_filters_fewest_first(group, monkeypatch):
    config = {"task": {"subtasks": 20, "n_way": 20}, "model": {"filters": 16}}
    fewer = {"task": {"subtasks": 20, "n_way": 5}, "model": {"filters": 8}}
    kept = {continual.EXPERIMENT: config, continual.LABELS: fewer}

    def found(experiment, *_):
        (result,) = group.results
        manifest = {"data": {"title": "Omniglot"}, "configuration": kept[experiment]}
        return [Group([type(result)(result.run, manifest)])]

    monkeypatch.setattr(continual, "groups", found)
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in continual.labels_table().splitlines()[2:]]
    assert [row[:3] for row in rows] == [["20", "5", "8"], ["20", "20", "16"]]
    assert [cell.split("\N{NO-BREAK SPACE}")[0] for cell in rows[0][4:7]] == ["80.0", "1.0", "20.0"]


def test_its_claims(tmp_path):
    found = {claim.text: claim for claim in continual.claims()}
    assert [len(claim.pairs) for claim in found.values()] == [4, 1, 1, 4, 1, 1, 1, 1]
    assert found["CL+LSTM is above ANML over the first 19 subtasks"].paper == "+1.37"
    (larger, smaller), *_ = found["CL+LSTM falls less with length than OML"].pairs
    assert (larger.method, smaller.method) == ("oml", "cl_lstm")
    assert all(claim.judge(tmp_path).verdict == "not run" for claim in found.values())


def test_figures(group):
    for draw in (continual.by_length, continual.by_subtask, continual.forgetting):
        figure = draw([group])
        assert figure.axes[0].lines
        plt.close(figure)
    assert len(continual.PANELS) == 1 and continual.PANELS[0].against is curves.MINUTES
