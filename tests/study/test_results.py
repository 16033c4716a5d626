"""What is committed in results/ is what params.yaml asks for; a damaged file is named."""

import json

import pytest
import torch

from metamemory.errors import UserError
from metamemory.models import LSTM
from metamemory.protocols import Outcome
from metamemory.study.parameters import Parameters, project_root
from metamemory.study.recording import record
from metamemory.study.results import finished
from metamemory.study.runs import Run
from metamemory.study.stored import ENDINGS

ROOT = project_root()
RESULTS = [result for result in finished(ROOT) if result.run.scale != "smoke"]  # Git ignores those, of any code
PARAMETERS = Parameters(ROOT)


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.run.place)
def test_a_result_was_made_with_the_parameters_of_today(result):
    run = result.run
    config = PARAMETERS.configuration(run.scale, run.experiment, run.method, run.setting, {})
    assert result.manifest["configuration"] == json.loads(json.dumps(config)), f"{run.place}: run it again"
    assert len(result.history) <= 200
    assert set(result.manifest["files"]) == set(ENDINGS) - {"manifest.json"}  # without, a change would not be noticed
    if "samples_per_class" in config["task"] and run.experiment != "two_tasks":  # a row for each shot, of each test
        tests = 2 if run.experiment == "turned_streams" else 1
        assert len(result.scores) == tests * config["task"]["samples_per_class"]
    for row in (row for row in result.scores if "accuracy" in row):  # regression has none
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1


@pytest.mark.parametrize(
    ("ending", "read"),
    [
        ("manifest.json", lambda result: None),
        ("metrics.json", lambda result: result.metrics),
        ("scores.csv", lambda result: result.scores),
        ("history.csv", lambda result: result.history),
        ("example.json", lambda result: result.example),
    ],
)
def test_a_damaged_result_is_named(tmp_path, ending, read):
    run = Run("smoke", "e", "m", "s", root=tmp_path)
    outcome = Outcome(
        LSTM((1, 2, 2), n_way=2, hidden=1),
        metrics={},
        scores=[],
        history=[],
        example={},
        facts={"data": {"title": "glyphs"}},
    )
    record(run, outcome, {}, {}, "", torch.device("cpu"), 1.0)
    (whole,) = finished(tmp_path)
    assert (whole.metrics, whole.scores, whole.history, whole.example) == ({}, [], [], {})
    run.result(ending).write_text(
        run.result(ending).read_text(encoding="utf-8")[:-3] if ending == "manifest.json" else "", encoding="utf-8"
    )
    with pytest.raises(UserError, match=rf"seed0.{ending} is damaged \(.*\): run it again"):
        [read(result) for result in finished(tmp_path)]
