"""Tables of Munkhdalai and Yu 2017: its numbers, what was not run, and which test a number is of."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgba

from metamemory.papers import claims_of
from metamemory.papers.munkhdalai2017 import figures, reported, tables
from metamemory.papers.munkhdalai2017.reported import WAYS
from metamemory.study.methods import colour
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.results import Group, Result
from metamemory.study.runs import Run


def test_the_papers_numbers_are_complete():
    for table in (reported.TABLE_1, reported.QUOTED_1, reported.TABLE_3, reported.QUOTED_3, reported.TABLE_4):
        for numbers in table.values():
            assert set(numbers) <= set(WAYS) and all(0.2 < each.mean < 1 for each in numbers.values())
    assert set(reported.TABLE_1) == set(tables.METHODS) and set(reported.TABLE_4) == set(WAYS)
    differing = [n for n in WAYS if reported.TABLE_1["meta_networks"][n] != reported.TABLE_4[n][n]]
    assert differing == [10]  # the paper contradicts itself there


@pytest.mark.parametrize("table", [tables.table_1, tables.table_2, tables.table_3, tables.table_4, tables.figure_5])
def test_what_was_not_run_says_so(table, tmp_path):
    shown = table(tmp_path)
    assert "not run" in shown and all(
        line.count("|") == shown.splitlines()[0].count("|") for line in shown.splitlines()
    )


def test_the_papers_digits_are_as_it_prints_them(tmp_path):
    shown = tables.table_1(tmp_path)
    for number in ("**98.95**", "**98.67**", "**97.11**", "**97.0**", "95.08", "41.7", "MetaNet−"):
        assert f" {number} " in shown
    assert "96.87" in tables.table_4(tmp_path) and "about 65" in tables.table_4(tmp_path)
    assert claims_of(tables)(tmp_path).count("not run") == 2 * len(tables.claims())


def test_the_paper_has_two_answers_for_five_classes(tmp_path):
    told = tables.two_answers(tmp_path)
    for number in ("has 98.95 %", "is 98.25 %", "mean of 97.4 %"):
        assert number in told
    assert "training they end" not in told
    assert "training they end at 99 %" in tables.two_answers(project_root())


def test_variations_are_shown_with_the_tasks_that_they_were_trained_on(monkeypatch, tmp_path):
    assert tables.variations(tmp_path) == ""

    class Kept(Result):
        scores = [{"n_way": 5, "accuracy": 0.9, "low": 0.88, "high": 0.92}]

    manifest = {"data": {"title": "Omniglot"}, "training_episodes": 10_000, "training_seconds": 300.0}
    run = Run("laptop", tables.VARIATIONS, "meta_networks_every", "previous_5_way", 0)
    monkeypatch.setattr(tables, "groups", lambda experiment, setting, root: [Group([Kept(run, manifest)])])
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)
    *_, last, _, missing = tables.variations().splitlines()
    row = [cell.strip() for cell in last.split("|")[1:-1]]
    assert missing.startswith("Not run yet: MetaNet; MetaNet, ") and "all layers" not in missing
    number = "90.0\N{NO-BREAK SPACE}(88.0–92.0)"
    assert row == ["MetaNet, all layers augmented", "laptop scale, Omniglot", number, "10,000", "5.0", "1"]


def test_every_run_is_tested_with_all_numbers_of_classes_that_the_tables_show():
    parameters = Parameters(project_root())
    for split in ("previous", "standard"):
        for n_way in WAYS:
            setting = tables.setting_of(split, n_way)
            for scale in ("laptop", "paper"):
                config = parameters.configuration(scale, tables.EXPERIMENT, "meta_networks", setting, {})
                assert config["task"]["n_way"] == config["test"][0]["n_way"] == config["model"]["ways"] == n_way
                assert {each["n_way"] for each in config["test"]} - {100} == set(WAYS)
                assert config["data"]["split"] == {"previous": "vinyals", "standard": "lake"}[split]


def test_a_number_is_of_the_test_with_so_many_classes(monkeypatch):
    class Kept(Result):
        scores = [{"n_way": n, "accuracy": n / 100, "low": n / 100, "high": n / 100} for n in (10, 5, 15, 20, 100)]

    def groups(experiment, setting, root, method=None):
        if not setting.startswith("previous_10"):
            return []
        run = Run("laptop", experiment, "meta_networks", setting, 0)
        return [Group([Kept(run, {"data": {"title": "Omniglot"}})])]

    monkeypatch.setattr(tables, "groups", groups)
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)
    (row,) = [line for line in tables.table_4().splitlines() if "laptop" in line]
    cells = [cell.strip().split("\N{NO-BREAK SPACE}")[0] for cell in row.split("|")[1:-1]]
    assert cells == ["10-way", "laptop scale, Omniglot", "5.0", "10.0", "15.0", "20.0", "100.0", "1"]
    (row,) = [line for line in tables.table_1().splitlines() if "laptop" in line]
    cells = [cell.strip().split("\N{NO-BREAK SPACE}")[0] for cell in row.split("|")[1:-1]]
    assert cells == ["MetaNet", "laptop scale, Omniglot", "not run", "10.0", "not run", "not run", "1"]


def test_the_numbers_of_table_2_and_figure_5_are_those_of_the_paper(tmp_path):
    for number in ("28.9", "41.1", "43.6", "43.4", "49.2", "1.0"):
        assert number in tables.table_2(tmp_path)
    for number in ("74.8", "71.6", "72.3", "72.0", "70.0", "78.6"):
        assert number in tables.figure_5(tmp_path)


def test_the_points_of_figure_4_are_those_of_the_paper():
    points = dict(zip(range(400, 8000, reported.FIGURE_4_EVERY), reported.FIGURE_4, strict=True))
    assert max(points.values()) == points[400] == 1.24 and min(points.values()) == points[7200] == -1.7
    assert points[7600] == -1.1  # where the text has -1.7


def test_claims_of_figure_3_are_of_the_networks_that_the_configuration_names(monkeypatch):
    class Kept(Result):
        scores = [
            {"network": place, "accuracy": accuracy, "low": accuracy - 0.005, "high": accuracy + 0.005}
            for place, accuracy in enumerate((0.97, 0.95, 0.965))
        ]

    run = Run("paper", tables.OTHER_NETWORKS, "meta_networks", "previous_5_way", 0)
    kept = Group([Kept(run, {"data": {"title": "Omniglot"}})])
    monkeypatch.setattr("metamemory.study.claims._runs", lambda root, *address: [kept])
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)
    better, near = (claim for claim in tables.claims() if "never trained" in claim.text)
    assert better.judge().shown.startswith("+2.0, +0.5") and better.judge().verdict == "not decided: intervals overlap"
    assert near.judge().shown.startswith("-2.0, -0.5") and near.judge().verdict == "reproduced, one seed"
    assert better.paper == "+2.8, +2.4" and near.paper == "-2.8, -2.4"
    others = Parameters(project_root()).configuration(
        "paper", tables.OTHER_NETWORKS, "meta_networks", "previous_5_way", {}
    )["others"]
    assert ["target", *others] == list(reported.FIGURE_3)


class Transfer(Result):
    scores = [
        {"tasks": 400, "change": 0.01, "low": 0.005, "high": 0.015, "second_accuracy": 0.6},
        {"tasks": 800, "change": -0.02, "low": -0.03, "high": -0.01, "second_accuracy": 0.7},
    ]


def transfer() -> Group:
    run = Run("paper", *tables.TRANSFER[:1], tables.PERCEPTRON, tables.TRANSFER[1], 0)
    return Group([Transfer(run, {"data": {"title": "Omniglot, then MNIST"}})])


def test_claims_of_figure_4_are_of_its_first_and_last_measurement(monkeypatch):
    monkeypatch.setattr("metamemory.study.claims._runs", lambda root, *address: [transfer()])
    monkeypatch.setattr("metamemory.study.tables.stale", lambda run: None)
    first, last = tables.claims()[-2:]
    assert first.judge().verdict == "reproduced" and first.judge().shown.startswith("+1.0")
    assert last.judge().verdict == "not decided: intervals overlap" and last.judge().shown.startswith("-2.0")


def test_figures_4_and_5_are_drawn():
    figure = figures.reverse_transfer([transfer()])
    ours, paper, *_ = figure.axes[0].get_lines()
    assert ours.get_xydata().tolist() == [[400, 1.0], [800, -2.0]] and len(paper.get_xdata()) == 19

    class Kept(Result):
        scores = [{"n_way": 10, "accuracy": 0.6, "low": 0.55, "high": 0.62}]

    run = Run("laptop", tables.DIGITS[0], "meta_networks", tables.DIGITS[1], 0)
    figure = figures.other_digits([Group([Kept(run, {"data": {"title": "Omniglot, then MNIST"}})])])
    assert [bar.get_width() for bar in figure.axes[0].patches] == [60.0] and len(figure.axes[1].patches) == 6
    ours, paper = (axes.patches[0].get_facecolor() for axes in figure.axes)
    assert ours == paper == to_rgba(colour("meta_networks"))  # a learner has its colour in both
    plt.close("all")


def test_runs_of_other_data_sets_are_tested_as_the_tables_show_them():
    parameters = Parameters(project_root())
    for scale in ("laptop", "paper"):
        for setting, trained in tables.MINI_SETTINGS.items():
            config = parameters.configuration(scale, tables.MINI_IMAGENET, "meta_networks", setting, {})
            assert config["task"]["n_way"] == trained and config["test"]["n_way"] == 5
            assert config["data"]["split"] == "ravi" and config["task"].get("rotations", False) is False
        config = parameters.configuration(scale, tables.DIGITS[0], "meta_networks", tables.DIGITS[1], {})
        assert config["test"]["n_way"] == 10 and config["data"]["other"] == "mnist"
    config = parameters.configuration("paper", tables.TRANSFER[0], tables.PERCEPTRON, tables.TRANSFER[1], {})
    assert config["second"]["every"] == reported.FIGURE_4_EVERY
    assert config["second"]["tasks"] == reported.FIGURE_4_EVERY * len(reported.FIGURE_4)
    assert set(parameters.data_sets) >= {"mini_imagenet", "mnist"}


def test_what_is_inside_is_drawn():
    class Looked(Result):
        scores = [
            {"layer": place, "accuracy": 0.5, "low": 0.4, "high": 0.6, "slow": 0.1, "fast": 0.01, "of_query": 0.2}
            for place in range(2)
        ]
        metrics = {
            **{f"accuracy{end}": 0.9 for end in ("", "_no_task_weights", "_without_linear", "_without_softmax")},
            "accuracy_slow": 0.2,
            "accuracy_fast": 0.4,
        }
        example = {
            "layers": ["linear", "softmax"],
            "attention": [[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]],
            "support_y": [1, 0],
            "query_y": [1, 0, 0],
        }

    run = Run("laptop", tables.INSPECTION[0], "meta_networks", tables.INSPECTION[1], 0)
    sizes, left, memory, _ = figures.fast_weights(Looked(run, {"data": {"title": "Omniglot"}})).axes
    assert [bar.get_height() for bar in sizes.patches] == [0.1, 0.1, 0.01, 0.01]
    assert [bar.get_width() for bar in left.patches] == [90.0, 90.0, 90.0, 90.0, 20.0, 40.0]
    assert memory.get_images()[0].get_array().tolist() == Looked.example["attention"]
    plt.close("all")
