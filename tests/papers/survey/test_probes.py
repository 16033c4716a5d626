"""Tables and figures of probes: each number in its column, and nothing where nothing was run."""

import matplotlib.pyplot as plt
import pytest

from metamemory.papers.survey import probes
from metamemory.study import results
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run

METRICS = {
    "accuracy_5_way_1_shot": 0.9, "confidence": 0.95, "calibration_error": 0.05, "accuracy_unaltered": 0.97,
    "changed_order": 0.0, "changed_labels": 0.01, "changed_wrong_label": 0.2, "changed_duplicate": 0.03,
    "accuracy_wrong_label": 0.8, "flops_to_adapt": 5_000_000, "flops_to_answer": 1_000_000,
}  # fmt: skip


def group(method, scale="laptop", setting="omniglot", **changes):
    class Kept(Result):
        metrics = {**METRICS, **changes}
        scores = [
            {"n_way": n, "k_shot": k, "accuracy": 0.9, "low": 0.88, "high": 0.92}
            for n, k in ((5, 1), (5, 3), (2, 1), (20, 1))
        ]

    return Group([Kept(Run(scale, "probes_characters", method, setting, 0), {"data": {"title": "Omniglot"}})])


@pytest.fixture
def put(monkeypatch):
    def put(**by_setting):
        monkeypatch.setattr(results, "groups", lambda _, setting, __: by_setting.get(setting, []))

    return put


def cells(table):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_numbers_stand_in_their_columns(put):
    mnist = [group("protonet", setting="mnist", accuracy_5_way_1_shot=0.6)]
    put(omniglot=[group("protonet"), group("maml")], mnist=mnist)
    header, _, protonet, maml = cells(probes.transfer_table("probes_characters"))
    assert header[2:5] == ["Omniglot, %", "confidence, %", "calibration error, points"]
    assert header[5:8] == ["MNIST, %", "MFLOPs to adapt", "to answer"]
    assert protonet[2:] == ["90.0", "95.0", "5.0", "60.0", "5.0", "1.0", "1"] and maml[5] == "not run"
    header, _, protonet, _ = cells(probes.altered_table("probes_characters"))
    assert protonet[2:] == ["97.0", "0.0", "1.0", "20.0", "3.0", "80.0", "1"]
    assert "one wrong label: changed, %" in header


def test_only_runs_of_one_scale_stand_beside_each_other(put):
    put(omniglot=[group("protonet", "paper"), group("maml")], mnist=[group("protonet", setting="mnist")])
    _, _, row = cells(probes.transfer_table("probes_characters"))
    assert row[0] == "Prototypical networks" and row[5] == "not run"


def test_nothing_is_shown_of_what_was_not_run(tmp_path):
    for experiment in probes.EXPERIMENTS:
        assert probes.transfer_table(experiment, tmp_path) == probes.altered_table(experiment, tmp_path) == ""


def test_figures_are_drawn():
    shown = [group("protonet"), group("maml", flops_to_adapt=50_000_000)]
    figure = probes.by_shots_and_ways({"omniglot": shown})
    shots, ways = figure.axes
    assert shots.lines[0].get_xdata().tolist() == [1, 3] and ways.lines[0].get_xdata().tolist() == [2, 5, 20]
    plt.close(figure)
    figure = probes.operations(shown)
    assert [line.get_xdata()[0] for line in figure.axes[0].lines] == [5, 50]
    plt.close(figure)
