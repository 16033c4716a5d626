"""One kind of cell, judged in one place: by the intervals, at the paper's size and on its data."""

import pytest

from metamemory.study import cells, tables
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
        (0.40, 0.4995, None, "within"),  # 50.0 may have been 49.95
        (0.40, 0.4994, None, "below by 5.0"),
        (0.50, 0.60, None, "within"),
        (0.5005, 0.60, None, "within"),
        (0.5006, 0.60, None, "above by 5.0"),
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


def test_a_number_stands_for_all_that_are_rounded_to_it(results):
    """0.0 for what is hardly ever right, two digits for what has them, and a whole per cent for "about"."""
    results.append(("paper", "Omniglot", [(0.0002, 0.0004)]))
    assert [found.verdict for found in judge([cell(0.0), cell(0.0015)])] == ["within", "below"]
    results[0] = ("paper", "Omniglot", [(0.9890, 0.9894)])
    assert [found.verdict for found in judge([cell(0.9895), cell(0.989)])] == ["below", "within"]
    results[0] = ("paper", "Omniglot", [(0.654, 0.656)])
    about = Cell("A 2001", "text", "M", "1-shot", Reported(0.65, about=True), ANSWER)
    assert [(found.verdict, found.cell.told) for found in judge([about, cell(0.65)])] == [
        ("within", "about 65"),
        ("above", "65.0"),
    ]


def test_a_stale_run_says_so(results, monkeypatch):
    results.append(("paper", "Omniglot", [(0.4, 0.6)] * 2))
    monkeypatch.setattr(tables, "stale", lambda run: "the learner changed" if run.seed else None)
    (found,) = judge([cell()])
    assert (found.said, found.source) == ("within", "paper scale, Omniglot, 1 of 2 stale, 2 seeds")


def test_a_laptop_run_decides_nothing_though_one_at_paper_scale_has_not_measured_it(results):
    results += [("paper", "Omniglot", [(0.5, 0.5)]), ("laptop", "Omniglot", [(0.5, 0.5)])]
    other = Measured("e", "m", "s", lambda result: at_shot(0)(result) if result.run.scale == "laptop" else None)
    (found,) = judge([cell(answer=other)])
    assert found.said == "reduced size" and found.source.startswith("laptop scale")


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
