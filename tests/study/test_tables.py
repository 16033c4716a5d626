"""Tables line up, and say no more than was run."""

import pytest

from metamemory.study import tables
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run
from metamemory.study.tables import Reported
from metamemory.training.statistics import Interval


def test_a_table_lines_up():
    assert tables.markdown(["a", "n"], [["x", "1"], ["long", "10"]]).splitlines() == [
        "| a    |  n |",
        "| ---- | -: |",
        "| x    |  1 |",
        "| long | 10 |",
    ]


def test_numbers_of_a_paper_have_their_deviation_where_it_gives_one():
    assert str(Reported(0.968, 0.005)) == "96.8\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.5"
    assert str(Reported(0.364)) == "36.4"
    assert str(Reported(0.9768, 0.0004)) == "97.68\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.04"  # not ± 0.0
    assert str(Reported(0.891, 0.0)) == "89.1\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.0"  # as it is printed


def _group(scale="laptop", title="Omniglot", rows=((0.5, 0.4, 0.6),)):
    class Kept(Result):
        scores = [dict(zip(("accuracy", "low", "high"), row, strict=True)) for row in rows]

    return Group([Kept(Run(scale, "e", "m", "s"), {"data": {"title": title}})])


def test_a_comparison_has_the_paper_then_every_scale_and_what_was_not_run():
    rows = [
        tables.Row(("A",), {0: Reported(0.9), 1: Reported(0.95, 0.01)}, [_group(rows=[(0.5, 0.4, 0.6)])]),
        tables.Row(("B",), {}),
        tables.Row(("C",), None),
        tables.Row(("D",), {0: Reported(0.1), 1: Reported(0.2)}, by="someone", planned=False),
    ]
    table = tables.comparison(["method"], tables.shots(0, 1), rows, runs_of_paper="3", space=" ")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert cells[0] == ["method", "whose", "0-shot, %", "1-shot, %", "seeds"]
    assert cells[2:] == [
        ["A", "paper", "**90.0**", "**95.0**\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.0", "3"],
        ["A", "laptop scale, Omniglot", "50.0 (40.0–60.0)", "–", "1"],  # no episode had a second of a class
        ["B", "paper", "fails to train", "fails to train", "3"],
        ["B", "this study", "not run", "not run", "–"],
        ["C", "this study", "not run", "not run", "–"],
        ["D", "someone", "10.0", "20.0", "3"],
    ]


@pytest.mark.parametrize(
    ("scale", "title", "accuracy", "expected"),
    [
        ("laptop", "Omniglot", 1.0, "not comparable: reduced size"),
        ("paper", "glyphs (stand-in for Omniglot)", 1.0, "not comparable: reduced size"),
        ("paper", "Omniglot", 0.97, "below the paper at 5-shot, 8-shot"),
        ("paper", "Omniglot", 1.0, "above the paper at 1-shot, 5-shot, 8-shot"),
        ("paper", "Omniglot", None, "as in the paper"),
    ],
)
def test_a_verdict_claims_no_more_than_was_run(monkeypatch, scale, title, accuracy, expected):
    group = Group([Result(Run(scale, "online_few_shot", "cl_lstm", "omniglot"), {"data": {"title": title}})])
    reported = {1: Reported(0.968, 0.005), 5: Reported(0.994, 0.002), 8: Reported(0.997, 0.002)}

    def ours(self, shot):
        return Interval(*[accuracy or reported[shot].mean] * 3, "seeds")

    monkeypatch.setattr(Group, "accuracy", ours)
    assert tables.verdict(group, reported) == expected
    assert tables.verdict(group, {}) == tables.verdict(group, None) == "not in the paper's table"


def test_operations_that_are_not_on_record_are_a_dash():
    assert [tables.petaflop({"training_flops": each}) for each in (2.5e15, None)] == ["2.500", "–"]


def test_a_row_of_costs_is_of_all_its_seeds():
    def result(seed, seconds, flops, hardware):
        manifest = {"data": {"title": "Omniglot"}, "hardware": hardware, "parameters": 1234, "flops_per_step": 2.5e6}
        manifest |= {"training_episodes": 6000, "training_seconds": seconds, "training_flops": flops}
        return Result(Run("laptop", "online_few_shot", "lstm", "omniglot", seed), manifest)

    of_seeds = [result(0, 60, None, "B, 1 thread"), result(1, 120, 2e15, "A, 1 thread")]  # the first is `restored`
    lines = tables.budget_table([Group(of_seeds)]).splitlines()
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells[:5] == ["LSTM", "laptop, Omniglot", "2", "1,234", "2.50"]
    assert cells[5:] == ["6,000", "2.000", "1.0–2.0", "50–100", "A, B"]
    assert lines[-1] == "A: A, 1 thread; B: B, 1 thread."


def test_stale_results_are_marked_and_their_reasons_listed(tmp_path):
    def group(*seeds):
        return Group(
            [
                Result(Run("laptop", "e", "m", "s", seed, root=tmp_path), {"data": {"title": "Omniglot"}})
                for seed in seeds
            ]
        )

    assert tables.whose(group(0, 1)) == "laptop scale, Omniglot" and tables.stale_table(tmp_path) == ""
    (tmp_path / "results").mkdir()
    (tmp_path / "results/stale.json").write_text(
        '{"laptop/e/m/s/seed1": "the digest of its source is another"}', encoding="utf-8"
    )
    assert tables.whose(group(0, 2)) == "laptop scale, Omniglot"
    assert tables.whose(group(0, 1, 2)) == "laptop scale, Omniglot, 1 of 3 stale"
    assert tables.whose(group(1)) == tables.whose(group(1), group(1)) == "laptop scale, Omniglot, stale"
    assert "| laptop/e/m/s/seed1 | the digest of its source is another |" in tables.stale_table(tmp_path)


def test_the_best_of_a_column_is_in_bold_for_each_source():
    rows = [
        ["A", "paper", "90.0 ± 1.0", "80"],
        ["B", "quoted", "91.5", "80"],
        ["C", "laptop scale, Omniglot", "50.0 (40.0–60.0)", "not run"],
        ["D", "laptop scale, Omniglot, stale", "9.0 (4.0–60.0)", "–"],
        ["C", "paper scale, Omniglot", "99.0 (98.0–99.5)", "70.0"],
        ["C", "this study", "not run", "not run"],
    ]
    found = tables.best_in_bold(rows, [2, 3], whose=1)
    bold = {(row, column) for row, cells in enumerate(found) for column, each in enumerate(cells) if "**" in each}
    assert bold == {(1, 2), (2, 2), (0, 3), (1, 3)} and found[2][2] == "**50.0** (40.0–60.0)"
    assert tables.best_in_bold([["9.5"], ["10.0"]], [0]) == [["9.5"], ["**10.0**"]]
    assert rows[1][2] == "91.5"  # as it was given
    assert tables.markdown(["n"], [["**9**"], ["1"]]).splitlines()[1] == "| ----: |"
