"""Tables 1 to 3 of Babu et al. 2021: its numbers, what was not run, the recipe and the record."""

from types import SimpleNamespace

import matplotlib.pyplot as plt

from metamemory.papers.babu2021 import online_few_shot, online_few_shot_figures, reported
from metamemory.study.methods import title
from metamemory.study.parameters import project_root
from metamemory.study.results import Group
from metamemory.study.runs import Run

ROOT = project_root()


def test_the_papers_numbers_are_shares_with_source():
    for rows in reported.TABLE_1.values():
        assert all(title(method) != method for method in rows)
    for row in (*reported.TABLE_1["omniglot"].values(), *reported.TABLE_2.values(), *reported.TABLE_3.values()):
        assert set(row) in ({1, 5, 8}, {6, 7, 8})
        assert all(0.5 < each.mean < 1 and 0 <= each.deviation < 0.02 for each in row.values())
        assert sorted(row.values()) == list(row.values())  # more shots, more right


def test_every_method_of_the_paper_has_its_rows():
    table = online_few_shot.table_1("omniglot", ROOT)
    for method in reported.TABLE_1["omniglot"]:
        rows = [line for line in table.splitlines() if line.startswith(f"| {title(method)} ")]
        assert "paper" in rows[0] and ("scale" in rows[1] or "this study" in rows[1] and "not run" in rows[1])


def test_its_claims_have_the_papers_differences(tmp_path):
    found = {claim.text: (claim.cells["shots"], claim.paper) for claim in online_few_shot.claims()}
    assert found["CL+LSTM is better than an LSTM on pixels, Omniglot"] == ("1, 5, 8", "+11.5, +5.0, +3.9")
    assert found["training at a delay of 1 first helps a delay of 5, CIFAR-FS"] == ("6, 7, 8", "+4.1, +4.7, +4.7")
    assert all(claim.judge(tmp_path) == ("not run", "not run") for claim in online_few_shot.claims())


def test_a_record_is_when_a_mark_was_first_reached():
    history = [{"seconds": t, "accuracy_5_shot": a} for t, a in ((60, 0.7), (120, 0.83), (180, 0.79), (240, 0.86))]
    assert [
        (online_few_shot.first_at(history, mark) or {}).get("seconds") for mark in online_few_shot.RECORD_MARKS
    ] == [120, 240, None]


def test_the_recipe_is_told_seed_by_seed(monkeypatch):
    def result(setting, seed, accuracies, stages, reached):
        history = [{"episodes": 1000.0 * at, "stage": stage, "accuracy_5_shot": 0.2} for at, stage in stages]
        scores = [{"accuracy": each, "low": each - 0.01, "high": each + 0.01} for each in accuracies]
        run = Run("laptop", "recipe", "cl_lstm", setting, seed)
        return SimpleNamespace(run=run, manifest={"stages_reached": reached}, history=history, scores=scores)

    found = [
        Group([result("other", 0, [0.9] * 6, [(2, 1), (4, 2), (8, 3)], "3 of 3")]),
        Group(
            [
                result("as_it_is", 0, [0.2, 0.4, 0.5, 0.5, 0.5, 0.8], [(2, 1), (4, 3)], "3 of 3"),
                result("as_it_is", 1, [0.2, 0.2, 0.2, 0.2, 0.2, 0.3], [(2, 1), (6, 2)], "2 of 3"),
            ]
        ),
    ]
    monkeypatch.setattr(online_few_shot, "groups", lambda *_: found)
    first, second = (line.split("|")[1:-1] for line in online_few_shot.recipe_table().splitlines()[2:])
    cells = [cell.strip() for cell in first]
    assert cells[0] == "as it is" and cells[2].startswith("55.0\N{NO-BREAK SPACE}(")  # the mean of two seeds
    assert cells[3:] == ["80.0, 30.0", "4k, 6k", "4k, –", "3, 2 of 3"]
    assert [cell.strip() for cell in second][3:] == ["90.0", "4k", "8k", "3 of 3"]

    figure = online_few_shot_figures.plateaus(found, ["as_it_is"])
    assert len(figure.axes[0].lines) == 3 + 1  # one a seed, and chance
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["as it is"]
    plt.close(figure)


def test_a_delay_is_told_seed_by_seed(tmp_path):
    rows = online_few_shot.delays_table("omniglot", ROOT).splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert [int(row[0]) for row in cells] == sorted(int(row[0]) for row in cells)
    assert ["5", "at a delay of 1", "paper scale, Omniglot"] in [row[:3] for row in cells]
    for row in cells:
        assert len(row[3].split(", ")) == len(row[4].split(", ")) == len(row[5].split(", "))
    assert "Not run" in online_few_shot.delays_table("omniglot", tmp_path)


def test_the_gain_of_three_more_samples_is_beside_the_papers(tmp_path):
    rows = [
        [cell.strip() for cell in row.split("|")] for row in online_few_shot.gains_table("cifar_fs", ROOT).splitlines()
    ]
    assert {row[3] for row in rows if row[1] == "CL+LSTM"} == {"+4.3"}  # 61.0 - 56.7
    assert {row[3] for row in rows if row[1] == "Counting labels"} == {"–"}
    assert "Not run" in online_few_shot.gains_table("cifar_fs", tmp_path)


def test_each_place_of_labels_has_a_line():
    places = online_few_shot.places(ROOT)["laptop"]
    assert set(places) == {*online_few_shot.INJECTED.values(), "CL-1, LSTM"}
    figure = online_few_shot_figures.by_place(places)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(named) == set(places) and named[-1] == "nowhere"  # the best first
    plt.close(figure)
