"""One kind of claim, decided in one place: by intervals, a margin, rounding; at the largest scale of all its runs."""

import pytest

from metamemory.study import claims
from metamemory.study.claims import Claim, claims_table
from metamemory.study.quantities import Measured, at_shot
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run


@pytest.fixture
def results(monkeypatch):
    """Results are what a test puts here: (scale, method) -> the intervals of its seeds, a (low, high) each."""
    found = {}
    titles = {}

    def groups(experiment, setting, root, method):
        of_method = [(scale, ends) for (scale, name), ends in found.items() if name == method]
        return [Group([result(scale, method, low, high) for low, high in ends]) for scale, ends in of_method]

    def result(scale, method, low, high):
        class Kept(Result):
            scores = [{"accuracy": (low + high) / 2, "low": low, "high": high}]

        episodes = 0 if method == "fixed" else 9
        manifest = {"data": {"title": titles.get(scale, "Omniglot")}, "training_episodes": episodes}
        return Kept(Run(scale, "e", method, "s"), manifest)

    monkeypatch.setattr(claims, "groups", groups)
    return found, titles


def claim(**changes):
    pair = tuple(Measured("e", method, "s", at_shot(0)) for method in ("better", "worse"))
    return Claim("it is better", "+9.9", [pair], **changes)


@pytest.mark.parametrize(
    ("scale", "above", "below", "verdict"),
    [
        ("laptop", (0.8, 0.9), (0.6, 0.7), "not decided: at reduced size it holds, one seed"),
        ("laptop", (0.6, 0.7), (0.8, 0.9), "not decided: at reduced size it does not hold, one seed"),
        ("laptop", (0.6, 0.8), (0.7, 0.9), "not decided: at reduced size intervals overlap"),
        ("paper", (0.8, 0.9), (0.6, 0.7), "reproduced, one seed"),
        ("paper", (0.6, 0.7), (0.8, 0.9), "not reproduced, one seed"),
        ("paper", (0.6, 0.8), (0.7, 0.9), "not decided: intervals overlap"),
    ],
)
def test_a_claim_is_decided_by_intervals(results, scale, above, below, verdict):
    results[0].update({(scale, "better"): [above], (scale, "worse"): [below]})
    shown, said = claim().judge()
    assert said == verdict
    assert shown == f"{50 * (sum(above) - sum(below)):+.1f} ({scale} scale, Omniglot)"


def test_several_seeds_of_both_are_not_one_seed(results):
    results[0].update({("paper", "better"): [(0.8, 0.9)] * 2, ("paper", "worse"): [(0.6, 0.7)] * 2})
    assert claim().judge().verdict == "reproduced"
    results[0]["paper", "worse"] = [(0.6, 0.7)]
    assert claim().judge().verdict == "reproduced, one seed"


def test_what_is_not_trained_has_no_other_seed(results):
    results[0].update({("paper", "better"): [(0.8, 0.9)] * 2, ("paper", "fixed"): [(0.6, 0.7)]})
    pair = tuple(Measured("e", method, "s", at_shot(0)) for method in ("better", "fixed"))
    assert Claim("it is better", "+9.9", [pair]).judge().verdict == "reproduced"
    results[0]["paper", "better"] = [(0.8, 0.9)]
    assert Claim("it is better", "+9.9", [pair]).judge().verdict == "reproduced, one seed"


def test_a_stand_in_decides_nothing(results):
    results[0].update({("paper", "better"): [(0.8, 0.9)], ("paper", "worse"): [(0.6, 0.7)]})
    results[1]["paper"] = "glyphs (stand-in for Omniglot)"
    assert claim().judge().verdict == "not decided: at reduced size it holds, one seed"


def test_it_is_judged_at_the_largest_scale_at_which_both_are(results):
    found, _ = results
    found.update({("paper", "better"): [(0.1, 0.2)], ("laptop", "better"): [(0.8, 0.9)]})
    assert claim().judge() == ("not run", "not run")
    found["laptop", "worse"] = [(0.6, 0.7)]
    assert claim().judge().verdict == "not decided: at reduced size it holds, one seed"
    found["paper", "worse"] = [(0.6, 0.7)]
    assert claim().judge().verdict == "not reproduced, one seed"


def test_smoke_runs_claim_nothing(results):
    results[0].update({("smoke", "better"): [(0.8, 0.9)], ("smoke", "worse"): [(0.6, 0.7)]})
    assert claim().judge().verdict == "not run"


@pytest.mark.parametrize(
    ("above", "below", "verdict"),
    [
        ((0.912, 0.918), (0.914, 0.920), "reproduced, one seed"),
        ((0.5, 0.52), (0.5, 0.51), "reproduced, one seed"),  # the margin's own end
        ((0.88, 0.89), (0.91, 0.92), "not reproduced, one seed"),
        ((0.90, 0.91), (0.905, 0.915), "not decided: intervals overlap"),
    ],
)
def test_a_margin_is_how_far_it_may_be_below(results, above, below, verdict):
    results[0].update({("paper", "better"): [above], ("paper", "worse"): [below]})
    assert claim(margin=0.01).judge().verdict == verdict


def test_one_run_can_be_held_against_a_number(results):
    results[0]["paper", "better"] = [(0.8, 0.9)] * 3
    ours = Measured("e", "better", "s", at_shot(0))
    assert Claim("above 70 %", "70 %", [(ours, 0.7)]).judge() == ("+15.0 (paper scale, Omniglot)", "reproduced")
    assert Claim("below 70 %", "70 %", [(0.7, ours)]).judge().verdict == "not reproduced"


@pytest.mark.parametrize(
    ("ours", "digits", "verdict"), [(0.404, 2, "reproduced"), (0.406, 2, "not reproduced"), (0.449, 1, "reproduced")]
)
def test_numbers_agree_when_rounded(ours, digits, verdict):
    assert Claim("FLOPs", "0.40", [(ours, 0.4)], digits=digits).judge() == (f"{ours:.3f}", verdict)


def test_a_table_has_further_cells_where_they_are_asked_for(results):
    results[0].update({("paper", "better"): [(0.8, 0.9)], ("paper", "worse"): [(0.6, 0.7)]})
    table = claims_table([claim(cells={"shots": "1, 5"})], columns=("claim", "shots", "paper, points", "verdict"))
    assert [cell.strip() for cell in table.splitlines()[2].split("|")[1:-1]] == [
        "it is better", "1, 5", "+9.9", "reproduced, one seed",
    ]  # fmt: skip
