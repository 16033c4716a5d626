"""Figures and tables of learning rules: which number is of which test and step."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.patches import Rectangle

from metamemory.papers import claims_of
from metamemory.papers.learned_rules import blur, rules
from metamemory.study import results
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run

AT = [0, 5, 10]
TESTS = {"same": {}, "large": {"hidden": [8]}}


class Kept(Result):
    """Accuracy of the second test is 0.1 a test, 0.05 a step above chance."""

    scores = [
        {
            "test": test,
            "step": step,
            "examples": 8 * step,
            "accuracy": 0.1 * (test + 1) + 0.05 * step,
            "candidate": test,
        }
        for test in range(2)
        for step in AT
    ]
    scores = [
        {**row, "low": row["accuracy"] - 0.01, "high": row["accuracy"] + 0.01, "online": row["accuracy"] / 2}
        for row in scores
    ]
    example = {
        "tests": {
            "same": {
                "steps": AT,
                "x": "AAAAAAAAAAA=",
                "x_shape": [2, 1, 2, 2],
                "y": [3, 4],
                "answers": [[1, 1], [3, 1], [3, 4]],
            }
        }
    }


@pytest.fixture
def group(monkeypatch):
    manifest = {"data": {"title": "MNIST"}, "configuration": {"tests": TESTS}}
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)
    return Group([Kept(Run("laptop", blur.EXPERIMENT, "blur", blur.SETTING, 0), manifest)])


def test_a_quantity_is_of_its_test_and_step(group):
    assert rules.after(group, "large", 5)(group.results[0]).mean == pytest.approx(0.45)
    assert rules.after(group, "same", 10)(group.results[0]).mean == pytest.approx(0.6)
    assert rules.after(group, "large", 7) is None and rules.after(group, "wide", 5) is None
    assert (
        blur.At("large", 10)(group.results[0]).mean == pytest.approx(0.7)
        and blur.At("wide", 5)(group.results[0]) is None
    )
    assert rules.mean_of(group, "large", 5) == pytest.approx(0.45)
    assert rules.chosen_rates(group) == {"same": [0], "large": [1]}


def test_tables_show_the_steps_asked_for(group, monkeypatch, tmp_path):
    assert blur.table(tmp_path) == blur.ablation_table(tmp_path) == ""
    for module in (rules, results):
        monkeypatch.setattr(module, "groups", lambda experiment, setting, root: [group])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in blur.table().splitlines()[4:]]
    assert [row[1] for row in rows] == ["5 steps", "10 steps"]
    assert rows[1][2].startswith("60.0") and rows[1][3].startswith("70.0") and rows[1][0] == "BLUR"
    assert "70.0" in blur.ablation_table().splitlines()[-1]


def test_claims_are_of_steps_that_are_measured(tmp_path):
    assert claims_of(blur)(tmp_path).count("not run") == 2 * len(blur.claims())
    parameters = Parameters(project_root())
    for claim in blur.claims():
        for side in claim.pairs[0]:
            for scale in ("laptop", "paper"):
                config = parameters.configuration(scale, side.experiment, side.method, side.setting, {})
                assert side.quantity.test in config["tests"] and side.quantity.step in config["evaluation"]["at"]


def test_figures_are_drawn(group):
    curves = rules.learning_curves([group])
    assert [axes.get_title() for axes in curves.axes] == ["as in training", "28x28, 256"]
    assert curves.axes[1].lines[0].get_ydata() == pytest.approx([20, 45, 70])
    strip = rules.strip(group.results[0], beside=group.results[0])
    shown = [text.get_text() for text in strip.axes[0].texts]
    answers = [each for each in shown if each in set("134")]
    assert answers[:6] == ["1", "3", "3", "1", "1", "4"]  # of the first image after each number of steps, then the next
    bars = [patch.get_width() for patch in strip.axes[0].patches if isinstance(patch, Rectangle) and patch.get_fill()]
    assert bars[:3] == pytest.approx([0.1, 0.35, 0.6])  # inches of one: the accuracy
    plt.close("all")


def test_online_curves_are_of_what_came_before_each_place(group, monkeypatch):
    configuration = {**group.results[0].manifest["configuration"], "task": {"minibatch": 8}}
    monkeypatch.setitem(group.results[0].manifest, "configuration", configuration)
    (axes,) = rules.online_curves([group], ["large"]).axes
    (steps,) = axes.patches
    values, edges, _ = steps.get_data()
    assert edges.tolist() == [0, 40, 80] and values == pytest.approx([22.5, 35.0])
    plt.close("all")
