"""What is written for DVC: pipelines, digests, scale and seeds, records of runs."""

import json
import shutil

import pytest

from metamemory.errors import UserError
from metamemory.study import locks, pipeline
from metamemory.study.parameters import SCALES, Parameters, project_root
from metamemory.study.runs import planned

ROOT = project_root()


def test_the_committed_pipelines_are_those_of_the_parameters():
    """Else: `python -m metamemory pipeline`."""
    for path, text in pipeline.pipelines(ROOT).items():
        assert path.read_text(encoding="utf-8") == text, path
    assert set(pipeline.pipelines(ROOT)) == {ROOT / "dvc.yaml", *ROOT.glob("notebooks/*/*/dvc.yaml")}


def test_the_committed_locks_are_those_of_the_results():
    """Else: `python -m metamemory record`. And none is longer than DVC reads and writes in a moment."""
    expected, recorded, _ = locks.entries(ROOT, {})
    assert recorded > 250
    for path, stages in expected.items():
        of_git = {name: stage for name, stage in stages.items() if "@smoke-" not in name}  # those claim nothing
        assert {name: stage for name, stage in locks.read_stages(path).items() if "@smoke-" not in name} == of_git, path
        assert len(of_git) <= 100, path


@pytest.mark.parametrize(
    "text",
    [
        "# top\nscale: laptop # which\nseeds: [0] # of all\n\nheadline: {} # c\n",
        "# top\nscale: laptop # which\nseeds:\n- 0\n- 1 # of all\n\nheadline: {} # c\n",
        "# top\nscale: laptop # which\nseeds:\n  - 0 # of all\n\nheadline: {} # c\n",
        "# top\n'scale': 'laptop' # which\n\"seeds\": [\n  0,\n  1,\n] # of all\n\nheadline: {} # c\n",
    ],
)
def test_scale_and_seeds_are_set_in_any_style_of_yaml(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    assert pipeline.choose(tmp_path, scale="smoke", seeds=[0, 1, 2]) == ["scale: smoke", "seeds: [0, 1, 2]"]
    assert pipeline.choose(tmp_path, scale="smoke", seeds=[0, 1, 2]) == []
    written = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    assert written == "# top\nscale: smoke # which\nseeds: [0, 1, 2] # of all\n\nheadline: {} # c\n"


def test_an_entry_that_is_not_there_is_an_error(tmp_path):
    (tmp_path / "params.yaml").write_text("seeds: [0]\n", encoding="utf-8")
    with pytest.raises(UserError, match="no line 'scale: ...'"):
        pipeline.choose(tmp_path, scale="smoke")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with parameters and their digests, written at a time long ago."""
    root = tmp_path_factory.mktemp("digests")
    for part in ("params.yaml", "params"):
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, root / part)
        elif (ROOT / part).exists():
            shutil.copy(ROOT / part, root / part)
    changed, count = pipeline.write_digests(root)
    assert changed == count
    return root


def test_a_stage_depends_on_digests_that_are_written(written):
    parameters = Parameters(written)
    expected = {"package.json"}
    for run in (run for scale in SCALES for run in planned(parameters, scale, parameters.experiments, ROOT)):
        (path,) = (each for each in pipeline.resolved_stage(run, parameters)["deps"] if each.startswith("digests/"))
        expected.add(path.removeprefix("digests/"))
    found = {str(path.relative_to(written / "digests")) for path in (written / "digests").rglob("*.json")}
    assert found == expected
    for path in found:
        values = json.loads((written / "digests" / path).read_text(encoding="utf-8"))
        assert "source" in values and "error" not in values, path


def test_digests_are_written_anew_only_where_they_change(written):
    lost = written / "digests/laptop/recipe/no_such_method/plain.json"
    lost.parent.mkdir(parents=True)
    lost.write_text("{}", encoding="utf-8")
    other = written / "digests/package.json"
    other.write_text("{}", encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in (written / "digests").rglob("*.json")}
    changed, count = pipeline.write_digests(written)
    assert changed == 1 and count == len(before) - 1 and not lost.exists()
    assert {path for path, time in before.items() if path != lost and path.stat().st_mtime_ns != time} == {other}


def test_a_file_that_is_no_lock_is_an_error(tmp_path):
    (tmp_path / "dvc.lock").write_text("stages", encoding="utf-8")
    with pytest.raises(UserError, match="is not a dvc.lock"):
        locks.read_stages(tmp_path / "dvc.lock")
