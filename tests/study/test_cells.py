"""One kind of cell, judged in one place: by the intervals, at the paper's size and on its data."""

import pytest

from metamemory.study import cells
from metamemory.study.cells import Cell, counts, counts_table, judge
from metamemory.study.quantities import Measured, at_shot
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run
from metamemory.study.tables import Reported

ANSWER = Measured("e", "m", "s", at_shot(0))


@pytest.fixture
def results(monkeypatch):
    """A list of groups that a test fills: (scale, data set, intervals of seeds)."""
    found = []

    def group(scale, data, ends):
        class Kept(Result):
            scores = [{"accuracy": (ends[0][0] + ends[0][1]) / 2, "low": ends[0][0], "high": ends[0][1]}]

        return Group([Kept(Run(scale, "e", "m", "s", seed), {"data": {"title": data}}) for seed in range(len(ends))])

    monkeypatch.setattr(cells, "groups", lambda experiment, root: [group(*each) for each in found])
    return found


def cell(mean=0.5, deviation=None, answer=ANSWER, **changes):
    return Cell("A 2001", "Table 1", "M", "1-shot", Reported(mean, deviation), answer, **changes)


@pytest.mark.parametrize(
    ("low", "high", "deviation", "said"),
    [
        (0.40, 0.50, None, "within"),  # its own end
        (0.40, 0.4999, None, "below by 5.0"),
        (0.50, 0.60, None, "within"),
        (0.5001, 0.60, None, "above by 5.0"),
        (0.40, 0.48, 0.02, "within"),  # 0.50 - 0.02 is not quite 0.48 in floating point
        (0.40, 0.479, 0.02, "below by 6.0"),
        (0.52, 0.60, 0.02, "within"),
        (0.521, 0.60, 0.02, "above by 6.0"),
    ],
)
def test_intervals_that_meet_are_within(results, low, high, deviation, said):
    results.append(("paper", "Omniglot", [(low, high)]))
    (found,) = judge([cell(deviation=deviation)])
    assert found.said == said and found.source == "paper scale, Omniglot, 1 seed"


@pytest.mark.parametrize(
    ("scale", "data"), [("laptop", "Omniglot"), ("paper", "glyphs (stand-in for Omniglot)"), ("smoke", "Omniglot")]
)
def test_a_run_at_another_size_or_on_other_data_decides_nothing(results, scale, data):
    results.append((scale, data, [(0.1, 0.2)]))
    (found,) = judge([cell()])
    assert found.verdict == found.said == ("not run" if scale == "smoke" else "reduced size")


def test_the_runs_that_decide_come_before_others(results):
    results += [("paper", "glyphs (stand-in for Omniglot)", [(0.5, 0.5)]), ("paper", "Omniglot", [(0.6, 0.6)] * 2)]
    results.append(("laptop", "Omniglot", [(0.5, 0.5)]))
    (found,) = judge([cell()])
    assert (found.said, found.source) == ("above by 10.0", "paper scale, Omniglot, 2 seeds")
    assert found.shown.startswith("60.0")


def test_what_was_not_measured_was_not_run(results):
    results.append(("paper", "Omniglot", [(0.5, 0.5)]))
    of_later = Measured("e", "m", "s", at_shot(3))
    found = judge([cell(answer=of_later), cell(answer=Measured("e", "other", "s", at_shot(0))), cell(answer=None)])
    assert [each.said for each in found] == ["not run", "not run", "not in the study"]
    assert {each.shown for each in found} == {each.source for each in found} == {"–"}


def test_a_command_makes_the_run_that_decides():
    assert cell().command == "python -m metamemory run e --method m --setting s --scale paper --seed 0"
    assert cell(answer=None).command == ""


def test_a_reported_number_keeps_its_digits():
    assert [cell(mean).told for mean in (0.9895, 0.968, 0.97)] == ["98.95", "96.8", "97.0"]
    assert cell(0.4942, 0.0078).told.replace("\N{NO-BREAK SPACE}", " ") == "49.42 ± 0.78"
    assert cell(0.039, share=False).told == "0.039"


def test_cells_are_counted_by_paper_and_verdict(results):
    results.append(("paper", "Omniglot", [(0.5, 0.5)]))
    found = counts(judge([cell(0.5), cell(0.6), cell(0.5, answer=None)]))
    assert found == {"A 2001": {"within": 1, "below": 1, "not in the study": 1}}
    rows = [[each.strip() for each in line.split("|")[1:-1]] for line in counts_table(found).splitlines()]
    assert rows[0] == ["paper", "cells", "within", "below", "above", "reduced size", "not run", "not in the study"]
    assert rows[2:] == [[name, "3", "1", "1", "–", "–", "–", "1"] for name in ("A 2001", "all")]
