"""What is committed in results/ is what params.yaml asks for, and README.md says what is in it."""

import base64
import json
import subprocess
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import torch

from metamemory.errors import UserError
from metamemory.papers import readme
from metamemory.papers.babu2021 import reported as papers
from metamemory.protocols import Outcome
from metamemory.study import figures, runs, tables
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.results import Group, Result, finished
from metamemory.study.runs import Run
from metamemory.tasks import Episode
from metamemory.tasks.sampling import normalise
from metamemory.training.statistics import Interval

ROOT = project_root()
RESULTS = list(finished(ROOT))


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.run.place)
def test_a_result_was_made_with_the_parameters_of_today(result):
    run = result.run
    config = Parameters(ROOT / "params.yaml").configuration(run.scale, run.experiment, run.method, run.setting, {})
    assert result.manifest["configuration"] == json.loads(json.dumps(config)), f"{run.place}: run it again"
    assert len(result.history) <= 200
    if "samples_per_class" in config["task"]:  # a row for each shot
        assert len(result.by_shot) == config["task"]["samples_per_class"]
    for row in (row for row in result.by_shot if "accuracy" in row):  # regression has none
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1


def test_the_readme_shows_what_is_in_results():
    changed = subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain", "--", "results"], capture_output=True, text=True
    )
    if changed.returncode or changed.stdout:
        pytest.skip("results/ are not the committed ones: `python -m metamemory report --readme` would write these")
    assert readme.results_section(ROOT) in (ROOT / "README.md").read_text()
    assert (ROOT / readme.PICTURE).stat().st_size > 10_000


@pytest.mark.parametrize("mark", [readme.BEGIN, readme.END])
def test_a_readme_without_its_marks_is_left_alone(tmp_path, mark):
    text = f"before\n{readme.BEGIN}\ntable\n{readme.END}\nafter".replace(mark, "")
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(UserError, match="README.md must have the line <!-- .* once, and has it 0 times"):
        readme.write_readme(tmp_path)
    assert (tmp_path / "README.md").read_text() == text


@pytest.mark.parametrize(
    ("ending", "read"),
    [
        ("manifest.json", lambda result: None),
        ("json", lambda result: result.metrics),
        ("shots.csv", lambda result: result.by_shot),
        ("csv", lambda result: result.history),
        ("episode.json", lambda result: result.example),
    ],
)
def test_a_damaged_result_is_named(tmp_path, ending, read):
    run = Run("smoke", "e", "m", "s", root=tmp_path)
    outcome = Outcome(torch.nn.Linear(1, 1), metrics={}, by_shot=[], history=[], example={}, facts={})
    runs._record(run, outcome, {}, {}, "", torch.device("cpu"), 1.0)
    (whole,) = finished(tmp_path)
    assert (whole.metrics, whole.by_shot, whole.history, whole.example) == ({}, [], [], {})
    run.result(ending).write_text(run.result(ending).read_text()[:-3] if ending == "manifest.json" else "")
    with pytest.raises(UserError, match=f"seed0.{ending} is missing or damaged: run it again"):
        [read(result) for result in finished(tmp_path)]


def test_the_papers_numbers_are_shares_with_source():
    for rows in papers.TABLE_1.values():
        assert set(rows) <= set(papers.TITLES)
    for row in (*papers.TABLE_1["omniglot"].values(), *papers.TABLE_2.values(), *papers.TABLE_3.values()):
        assert set(row) in ({1, 5, 8}, {6, 7, 8})
        assert all(0.5 < each.mean < 1 and 0 <= each.deviation < 0.02 for each in row.values())
        assert sorted(row.values()) == list(row.values())  # more shots, more right


def test_every_method_of_the_paper_has_its_rows():
    table = tables.table_1("omniglot", ROOT)
    for method in papers.TABLE_1["omniglot"]:
        rows = [line for line in table.splitlines() if line.startswith(f"| {papers.title(method)} ")]
        assert "paper" in rows[0] and ("scale" in rows[1] or "this study" in rows[1] and "not run" in rows[1])


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
    reported = papers.TABLE_1["omniglot"]["cl_lstm"]

    def ours(self, shot):
        return Interval(*[accuracy or reported[shot].mean] * 3, "seeds")

    monkeypatch.setattr(Group, "accuracy", ours)
    assert tables.verdict(group) == expected


@pytest.mark.parametrize(
    ("scale", "above", "below", "verdict"),
    [
        ("laptop", (0.8, 0.9), (0.6, 0.7), "not decided: at reduced size it holds"),
        ("laptop", (0.6, 0.7), (0.8, 0.9), "not decided: at reduced size it does not hold"),
        ("laptop", (0.6, 0.8), (0.7, 0.9), "not decided: at reduced size intervals overlap"),
        ("paper", (0.8, 0.9), (0.6, 0.7), "reproduced"),
        ("paper", (0.6, 0.7), (0.8, 0.9), "not reproduced"),
        ("paper", (0.6, 0.8), (0.7, 0.9), "not decided: intervals overlap"),
    ],
)
def test_a_claim_is_decided_by_intervals(monkeypatch, scale, above, below, verdict):
    ends = {"cl_lstm": above, "lstm": below}

    def groups(experiment, setting, root, method):
        run = Run(scale, experiment, method, setting)
        return [Group([Result(run, {"data": {"title": "Omniglot"}})])] if method in ends else []

    monkeypatch.setattr(tables, "groups", groups)
    monkeypatch.setattr(
        Group, "accuracy", lambda self, shot: Interval(sum(ends[self.run.method]) / 2, *ends[self.run.method], "seeds")
    )
    row = tables.claims_table().splitlines()[2]
    assert "an LSTM on pixels" in row and "+11.5, +5.0, +3.9" in row and f"| {verdict} " in row


def test_a_table_lines_up():
    assert tables.markdown(["a", "n"], [["x", "1"], ["long", "10"]]).splitlines() == [
        "| a    |  n |",
        "| ---- | -: |",
        "| x    |  1 |",
        "| long | 10 |",
    ]


def test_a_record_is_when_a_mark_was_first_reached():
    history = [{"seconds": t, "accuracy_5_shot": a} for t, a in ((60, 0.7), (120, 0.83), (180, 0.79), (240, 0.86))]
    assert [(tables.first_at(history, mark) or {}).get("seconds") for mark in tables.RECORD_MARKS] == [120, 240, None]


def test_operations_that_are_not_on_record_are_a_dash():
    assert [tables._petaflop({"training_flops": each}) for each in (2.5e15, None)] == ["2.500", "–"]


def test_a_row_of_costs_is_of_all_its_seeds(monkeypatch):
    def result(seed, seconds, flops, hardware):
        manifest = {"data": {"title": "Omniglot"}, "hardware": hardware, "parameters": 1234, "flops_per_step": 2.5e6}
        manifest |= {"training_episodes": 6000, "training_seconds": seconds, "training_flops": flops}
        return Result(Run("laptop", "online_few_shot", "lstm", "omniglot", seed), manifest)

    of_seeds = [result(0, 60, None, "B, 1 thread"), result(1, 120, 2e15, "A, 1 thread")]  # the first is `restored`
    monkeypatch.setattr(tables, "groups", lambda *_: [Group(of_seeds)])
    cells = [cell.strip() for cell in tables.cost_table().splitlines()[2].split("|")[1:-1]]
    assert cells[:5] == ["LSTM", "laptop, Omniglot", "2", "1,234", "2.50"]
    assert cells[5:] == ["6,000", "2.000", "1.0–2.0", "50–100", "A, 1 thread or B, 1 thread"]


def test_the_recipe_is_told_seed_by_seed(monkeypatch):
    def result(setting, seed, accuracies, stages, reached):
        history = [{"episodes": 1000.0 * at, "stage": stage, "accuracy_5_shot": 0.2} for at, stage in stages]
        by_shot = [{"accuracy": each, "low": each - 0.01, "high": each + 0.01} for each in accuracies]
        run = Run("laptop", "recipe", "cl_lstm", setting, seed)
        return SimpleNamespace(run=run, manifest={"stages_reached": reached}, history=history, by_shot=by_shot)

    found = [
        Group([result("other", 0, [0.9] * 6, [(2, 1), (4, 2), (8, 3)], "3 of 3")]),
        Group(
            [
                result("as_it_is", 0, [0.2, 0.4, 0.5, 0.5, 0.5, 0.8], [(2, 1), (4, 3)], "3 of 3"),
                result("as_it_is", 1, [0.2, 0.2, 0.2, 0.2, 0.2, 0.3], [(2, 1), (6, 2)], "2 of 3"),
            ]
        ),
    ]
    monkeypatch.setattr(tables, "groups", lambda *_: found)
    first, second = (line.split("|")[1:-1] for line in tables.recipe_table().splitlines()[2:])
    cells = [cell.strip() for cell in first]
    assert cells[0] == "as it is" and cells[2].startswith("55.0\N{NO-BREAK SPACE}(")  # the mean of two seeds
    assert cells[3:] == ["80.0, 30.0", "4k, 6k", "4k, –", "3, 2 of 3"]
    assert [cell.strip() for cell in second][3:] == ["90.0", "4k", "8k", "3 of 3"]

    figure = figures.plateaus(found, ["as_it_is"])
    assert len(figure.axes[0].lines) == 3 + 1  # one a seed, and chance
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["as it is"]
    plt.close(figure)


def test_photographs_are_drawn_in_colour_as_they_were_taken():
    kept = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    kept[0, 0], kept[1, 2] = 255, 255  # red, then blue
    photographs = Episode(
        x=normalise(kept)[:, None], **{name: torch.zeros(2, 1).long() for name in ("y_seen", "y", "shot")}
    )
    figure = figures.episode(photographs)
    red, blue = (axes.images[0].get_array() for axes in figure.axes)
    assert (red == [255, 0, 0]).all() and (blue == [0, 0, 255]).all()
    plt.close(figure)


def test_answers_stand_below_the_drawings_of_their_own_episode():
    def result(method, ink):
        x = base64.b64encode(bytes([ink] * 3 * 4)).decode()
        example = {"x": x, "x_shape": [3, 1, 2, 2], "y": [0, 1, 0], "probability": [[0.9, 0.1]] * 3}
        return SimpleNamespace(run=SimpleNamespace(method=method), example=example)

    figure = figures.answers([result("lstm", 1), result("opn", 2), result("ntm", 1)])
    assert [axes.get_ylabel() for axes in figure.axes] == ["x", "label", "label", "x", "label"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["", "LSTM", "NTM", "", "OPN"]
    edges = [patch.get_edgecolor() for patch in figure.axes[1].patches]
    assert edges[0] == edges[2] != edges[1]  # right, wrong, right
    plt.close(figure)
