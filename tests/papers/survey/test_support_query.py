"""Support and query sets: the papers' numbers, this study's beside them, and what was not run."""

import pytest

from metamemory.papers import claims_of
from metamemory.papers.survey import support_query
from metamemory.papers.survey.reported import DATA, SETTINGS, TABLES
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run


def test_the_reported_numbers_are_shares_and_more_shots_are_better():
    assert set(TABLES) == set(DATA)
    for of_method in TABLES.values():
        for method, sources in of_method.items():
            assert support_query.title(method) != method
            for numbers in sources.values():
                assert set(numbers) <= set(SETTINGS) and all(0.4 < each.mean < 1 for each in numbers.values())
                for n_way, k_shot in numbers:
                    if k_shot == 1 and (n_way, 5) in numbers:
                        assert numbers[n_way, 5].mean > numbers[n_way, 1].mean


@pytest.mark.parametrize("data", DATA)
def test_what_was_not_run_says_so(data, tmp_path):
    lines = [line for line in support_query.table(data, tmp_path).splitlines() if "this study" in line]
    assert len(lines) == 1 and "Prototypical networks" in lines[0] and lines[0].count("not run") == len(SETTINGS)
    assert claims_of(support_query)(tmp_path).count("not run") == 2 * len(support_query.claims())


def test_runs_stand_in_their_column_a_row_a_scale(monkeypatch):
    class Kept(Result):
        scores = [{"accuracy": 0.9, "low": 0.88, "high": 0.92}]

    def groups(experiment, setting, root):
        runs = {"omniglot_5_way_1_shot": [("paper", 0), ("laptop", 0)], "omniglot_20_way_5_shot": [("laptop", 0)]}
        return [
            Group([Kept(Run(scale, experiment, "lstm", setting, seed), {"data": {"title": "Omniglot"}})])
            for scale, seed in runs.get(setting, ())
        ]

    monkeypatch.setattr(support_query, "groups", groups)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in support_query.table("omniglot").splitlines()
        if "LSTM" in line
    ]
    number = "90.0\N{NO-BREAK SPACE}(88.0–92.0)"
    assert rows == [
        ["LSTM", "no", "paper scale, Omniglot", number, "not run", "not run", "not run", "1"],
        ["LSTM", "no", "laptop scale, Omniglot", number, "not run", "not run", number, "1"],
    ]


def test_a_point_below_is_near_enough():
    assert {claim.margin for claim in support_query.claims()} == {0.01}
    first = support_query.claims()[0]
    assert first.text == "Prototypical networks, 5-way 1-shot, Omniglot" and first.paper == "98.8 %"
    ((ours, reported),) = first.pairs
    assert ours[:3] == ("support_query", "protonet", "omniglot_5_way_1_shot") and reported == 0.988


def test_the_table_says_who_answers_queries_together():
    declared = {"protonet": "no", "maml": "yes", "fomaml": "yes", "maml_inductive": "no", "reptile": "no"}
    declared |= {
        "reptile_transductive": "yes",
        "ridge": "no",
        "cnp": "no",
        "mann": "no",
        "meta_networks": "no",
        "srwm": "no",
    }
    assert {method: support_query.transductive(method) for method in declared} == declared
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in support_query.table("omniglot").splitlines()]
    assert ["MAML", "yes", "Finn et al. 2017"] in rows and ["Reptile", "no", "Nichol et al. 2018"] in rows
    assert {method for of_data in TABLES.values() for method in of_data} <= {
        "siamese",
        "matching",
        "snail",
        *declared,
        "anil",
    }
