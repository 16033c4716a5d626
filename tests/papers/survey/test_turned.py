"""Tables and claims of turned test characters: each number in the row of its test."""

import pytest

from metamemory.papers.babu2021 import turned as streams
from metamemory.papers.survey import turned as queries
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run


def group(experiment, setting, rows):
    class Kept(Result):
        scores = [{"accuracy": each / 100, "low": (each - 0.1) / 100, "high": (each + 0.1) / 100} for each in rows]

    return Group([Kept(Run("paper", experiment, "protonet", setting, 0), {"data": {"title": "Omniglot"}})])


def cells(table):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def numbers(row):
    return [float(cell.strip("*").split("(")[0]) for cell in row[3:-1]]


def test_a_number_stands_in_the_row_of_its_test():
    header, _, plain, turned = cells(streams.rows([group("turned_streams", "omniglot", range(50, 68))]))
    assert header[2:6] == ["test characters", "1-shot, %", "5-shot, %", "8-shot, %"]
    assert plain[2] == "as they are" and numbers(plain) == [51, 55, 58]
    assert turned[2] == "turned" and numbers(turned) == [60, 64, 67]
    header, _, plain, turned = cells(queries.rows([group("turned_queries", "omniglot_1_shot", (90, 91, 80, 82))]))
    assert header[3:5] == ["5-way 1-shot, %", "20-way 1-shot, %"]
    assert numbers(plain) == [90, 80] and numbers(turned) == [91, 82]


def test_nothing_is_shown_of_what_was_not_run(tmp_path):
    assert streams.table(tmp_path) == queries.table(tmp_path) == ""


@pytest.mark.parametrize(
    ("found", "verdict"), [((90, 98.5, 80, 95.5), "reproduced"), ((99, 90, 99, 80), "not reproduced")]
)
def test_the_test_of_the_paper_decides(monkeypatch, found, verdict):
    shown = [group("turned_queries", "omniglot_1_shot", found)]
    monkeypatch.setattr("metamemory.study.claims.groups", lambda *_: shown)
    assert {claim.judge().verdict.split(",")[0] for claim in queries.claims()} == {verdict}
