"""Tables of what the figures show."""

from types import SimpleNamespace

import pytest

from metamemory.papers.santoro2016 import summaries, tables
from metamemory.study.parameters import project_root
from metamemory.study.results import by_scale, groups


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_when_the_task_itself_began_is_the_first_validation_in_it():
    def run(*stages):
        history = [{"episodes": 100.0 * place, "stage": stage} for place, stage in enumerate(stages, start=1)]
        return SimpleNamespace(manifest={"configuration": {"curriculum": [{}, {}]}}, history=history)

    assert tables.last_stage([run(1, 2, 3, 3), run(1, 2, 2)]) == "300, never"


def test_rows_of_a_memory_that_is_not_wiped_stand_below_those_of_one_that_is():
    header, _, *rows = cells(summaries.persistence_table(project_root()))
    assert [row[:2] for row in rows][:2] == [["5", "wiped"], ["5", "not wiped"]]
    (group,) = groups(summaries.PERSISTENCE, "five_wiped", project_root())
    assert rows[0][header.index("2nd, %")].startswith(f"{100 * group.accuracy(1).mean:.1f} (")


def test_tests_with_more_classes_have_a_row_for_each_seed_and_instance():
    shown = groups(summaries.CURRICULUM, "strings", project_root())
    table = summaries.curriculum_table(project_root())
    rows = [row for row in cells(table) if row[1:2] and row[1] in ("2nd", "10th")]
    assert len(rows) == 2 * sum(len(group.results) for group in shown)
    first = shown[0].results[0]
    assert f"{100 * first.example['by_classes']['50'][9]:.1f}" in table


def test_the_way_to_the_process_is_none_for_the_lstm_and_all_of_it_for_the_process():
    shown = {name: by_scale("mann_regression", name, project_root())["laptop"] for name in summaries.DIMENSIONS}
    rows = {row[0]: row[2:-1] for row in cells(summaries.regression_table(shown))[2:]}
    assert not any("%" in cell for name in ("LSTM", "Gaussian process") for cell in rows[name])
    low, high, ours = (
        float(rows[name][0].split(" ")[0].replace("−", "-")) for name in ("LSTM", "Gaussian process", "MANN")
    )
    share = int(rows["MANN"][0].partition("(")[2].split("\N{NO-BREAK SPACE}")[0])
    assert share == pytest.approx(100 * (ours - low) / (high - low), abs=3)  # of rounded numbers


def test_what_was_not_run_says_so(tmp_path):
    assert all("Not run" in made(tmp_path) for made in (summaries.persistence_table, summaries.curriculum_table))
    assert summaries.stages_table([]) == ""
