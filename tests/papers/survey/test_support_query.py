"""Support and query sets: the papers' numbers, this study's beside them, and what was not run."""

import pytest

from metamemory.papers import claims_of
from metamemory.papers.survey import figures as survey_figures
from metamemory.papers.survey import support_query
from metamemory.papers.survey.reported import DATA, SETTINGS, TABLES
from metamemory.papers.survey.support_query import settings_of
from metamemory.study.cells import Judged
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
    assert (
        len(lines) == 1
        and "Prototypical networks" in lines[0]
        and lines[0].count("not run") == len(settings_of(data, tmp_path))
    )
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
        "matching_euclidean",
    }


def test_a_column_is_there_if_it_has_or_could_have_a_number(tmp_path, monkeypatch):
    assert settings_of("omniglot", tmp_path) == list(SETTINGS)
    assert settings_of("cifar_fs", tmp_path) == settings_of("mini_imagenet", tmp_path) == [(5, 1), (5, 5)]
    header = support_query.table("cifar_fs", tmp_path).splitlines()[0]
    assert "5-way 5-shot, %" in header and "20-way" not in header
    monkeypatch.setattr(support_query, "groups", lambda experiment, setting, root: [setting] * ("20_way_5" in setting))
    assert settings_of("cifar_fs", tmp_path) == [(5, 1), (5, 5), (20, 5)]


def test_the_picture_has_learners_of_which_no_paper_reports_a_number(monkeypatch):
    """Each once, at the paper's size where it was run so, beside its family."""

    class Kept(Result):
        scores = [{"accuracy": 0.9, "low": 0.88, "high": 0.92}]

    def groups(experiment, setting=None, root=None):
        return [
            Group([Kept(Run(scale, experiment, method, setting, 0), {"data": {"title": "Omniglot"}})])
            for scale, method in (("smoke", "lstm"), ("laptop", "ridge"), ("paper", "ridge"), ("laptop", "transformer"))
            if setting == "omniglot_5_way_5_shot"
        ]

    for module in (survey_figures, support_query):
        monkeypatch.setattr(module, "groups", groups)
    monkeypatch.setattr(survey_figures, "judge", lambda cells, root: [Judged(each, None, None, "") for each in cells])
    found = survey_figures.points("omniglot")
    own = [(each.row, each.column, each.decides) for each in found if each.reported is None]
    assert own == [("Ridge regression (R2-D2)", "5-way 5-shot", True), ("Transformer", "5-way 5-shot", False)]
    rows = [each.row for each in found if each.column == "5-way 5-shot"]
    assert rows.index("Ridge regression (R2-D2)") < rows.index("MAML") < rows.index("Transformer")
    assert {each.column for each in found} == {f"{n}-way {k}-shot" for n, k in SETTINGS}
