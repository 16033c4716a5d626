"""A forest plot shows each difference where it is, as wide as decides its claim, and beside it the paper's."""

import matplotlib.pyplot as plt
import pytest

from metamemory.study import forest, tables
from metamemory.study.claims import Claim, Evidence, standing
from metamemory.study.results import Group, Result, at_the_largest_scale
from metamemory.study.runs import Run
from metamemory.training.statistics import Interval


class Kept(Claim):
    """A claim whose evidence is given."""

    def __init__(self, evidence, **changes):
        super().__init__("it is better", "+9.9", [(0.0, 0.0)] * (len(evidence.ends) if evidence else 1), **changes)
        object.__setattr__(self, "evidence", evidence)

    def measured(self, root):
        return self.evidence


def evidence(*ends, scale="paper"):
    intervals = [tuple(Interval((low + high) / 2, low, high, "seeds") for low, high in pair) for pair in ends]
    return Evidence([Group([Result(Run(scale, "e", "m", "s"), {"data": {"title": "Omniglot"}})])], intervals)


APART, OTHER, OVERLAP = ((0.8, 0.9), (0.6, 0.7)), ((0.6, 0.7), (0.8, 0.9)), ((0.6, 0.8), (0.7, 0.9))


def test_a_difference_is_as_wide_as_the_intervals_of_its_ends_allow():
    (found,) = evidence(APART).differences
    assert found[:3] == pytest.approx((0.2, 0.1, 0.3))


@pytest.mark.parametrize(
    ("ends", "margin", "word"),
    [
        (APART, 0, "reproduced"),
        (OTHER, 0, "not reproduced"),
        (OVERLAP, 0, "not decided"),
        (OVERLAP, 0.31, "reproduced"),
    ],
)
def test_what_decides_is_seen(ends, margin, word):
    """A claim is reproduced where its interval lies to the right of its margin, not where it lies to the left."""
    given = evidence(ends)
    (row,) = forest.rows([Kept(given, margin=margin)])
    low, high = given.differences[0].low, given.differences[0].high
    assert row.word == word == standing(given.ends, given.groups, margin).verdict.partition(":")[0]
    assert (low >= -margin - 1e-9, high < -margin) == (word == "reproduced", word == "not reproduced")


def drawn(figure):
    """Dots and diamonds: (x, mark, filled)."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "D")]
    return [(line.get_xdata()[0], line.get_marker(), line.get_mfc() not in ("none", "white")) for line in lines]


def test_every_pair_has_a_dot_and_the_papers_number_a_diamond():
    rows = forest.rows([Kept(evidence(APART, OTHER), reported=[0.1, 0.05]), Kept(evidence(OVERLAP, scale="laptop"))])
    figure = forest.forest(rows)
    found = drawn(figure)
    assert [each[1:] for each in found] == [("o", True)] * 2 + [("D", False)] * 2 + [("o", False)]
    assert [each[0] for each in found] == pytest.approx([20, -20, 10, 5, -10])
    spans = [segment[:, 0].tolist() for each in figure.axes[0].collections for segment in each.get_segments()]
    assert [end for span in spans for end in span] == pytest.approx([10, 30, -30, -10, -30, 10])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["it is better", "not reproduced, paper scale", "it is better", "not decided, laptop scale"]
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["paper scale", "reduced size", "the paper"]
    plt.close(figure)


def test_what_is_stale_says_so(monkeypatch):
    monkeypatch.setattr(tables, "stale", lambda run: "the learner changed")
    (row,) = forest.rows([Kept(evidence(APART))])
    assert row.scale == "paper scale, stale"


def test_a_claim_is_decided_by_the_papers_data_alone():
    """Of each of its sides: one on a stand-in decides nothing."""
    given = evidence(APART)
    stand_in = Group([Result(Run("paper", "e", "other", "s"), {"data": {"title": "glyphs (stand-in for Omniglot)"}})])
    both = [*given.groups, stand_in]
    assert standing(given.ends, both).verdict == "not decided: at reduced size it holds"
    (row,) = forest.rows([Kept(Evidence(both, given.ends))])
    assert (row.word, row.decides) == ("not decided", False)
    assert at_the_largest_scale([stand_in], [stand_in, *given.groups]) == [stand_in, given.groups[0]]
    assert at_the_largest_scale([*given.groups, stand_in]) == [given.groups[0]]


def test_what_was_not_run_has_the_papers_number_alone():
    (row,) = rows = forest.rows([Kept(None, reported=[0.03], margin=0.01)])
    figure = forest.forest(rows)
    assert row.word == "not run" and drawn(figure) == [(3, "D", False)]
    (mark,) = figure.axes[0].collections  # the margin
    assert mark.get_segments()[0][:, 0].tolist() == [-1, -1]
    plt.close(figure)


def test_claims_are_counted():
    rows = forest.rows([Kept(evidence(APART)), Kept(evidence(OVERLAP)), Kept(evidence(OVERLAP)), Kept(None)])
    assert forest.told(rows).startswith("Of 4 claims: 1 reproduced, 2 not decided, 1 not run. ")
    cells = [[each.strip() for each in line.split("|")[1:-1]] for line in forest.counts_table({"x": rows}).splitlines()]
    assert cells[0] == ["claims on", "number", "reproduced", "not reproduced", "not decided", "not run"]
    assert cells[2:] == [[name, "4", "1", "–", "2", "1"] for name in ("x", "all")]
