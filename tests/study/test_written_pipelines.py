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


REST = "headline:\n  a:\n    methods: [b]\npapers: [p] # why\n"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (f"scale: laptop\nseeds:\n- 0\n- 1\n{REST}", f"scale: paper\nseeds: [0, 1, 2]\n{REST}"),  # as DVC does
        (f"{REST}scale: laptop\nseeds:\n- 0", f"{REST}scale: paper\nseeds: [0, 1, 2]"),
        ("{scale: laptop, seeds: [0], papers: [p]}\n", "{scale: paper, seeds: [0, 1, 2], papers: [p]}\n"),
        ("scale: >-\n  laptop\nseeds:\n  [0]\n# x\n", "scale: paper\nseeds: [0, 1, 2]\n# x\n"),
        ("# Größe π\nscale: laptop\t# c\nseeds: [0]\t# ü\n", "# Größe π\nscale: paper # c\nseeds: [0, 1, 2] # ü\n"),
        ("scale:\nseeds:\npapers: [p]\n", "scale: paper\nseeds: [0, 1, 2]\npapers: [p]\n"),
        ("---\nscale: laptop\nseeds:\n-\n  0\n- 1\n...\n", "---\nscale: paper\nseeds: [0, 1, 2]\n...\n"),
        ("\ufeffscale: laptop\nseeds: [0]\n", "\ufeffscale: paper\nseeds: [0, 1, 2]\n"),
        ("scale: laptop # x\r\nseeds:\r\n- 0\r\n- 1\r\n", "scale: paper # x\r\nseeds: [0, 1, 2]\r\n"),
        (
            f"scale: laptop\nseeds: # of all\n# more\n- 0\n- 1 # one\n\n# next\n{REST}",
            f"scale: paper\n# of all\n# more\nseeds: [0, 1, 2] # one\n\n# next\n{REST}",
        ),
    ],
)
def test_comments_and_the_rest_stay(tmp_path, text, written):
    (tmp_path / "params.yaml").write_bytes(text.encode())
    pipeline.choose(tmp_path, scale="paper", seeds=[0, 1, 2])
    assert (tmp_path / "params.yaml").read_bytes().decode() == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("? scale\n: laptop\n", "scale is written in a way that cannot be set: write `scale: paper` there"),
        ("- scale\n", "has no line 'scale"),
        ("", "has no line 'scale"),
        ("scale: [", "is not YAML"),
        ("scale: smoke\nscale: laptop\n", "line 2: scale is there twice"),
    ],
)
def test_what_cannot_be_set_is_one_line_and_left_alone(tmp_path, text, message):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message) as refused:
        pipeline.choose(tmp_path, scale="paper")
    assert len(str(refused.value).splitlines()) == 1
    assert (tmp_path / "params.yaml").read_text(encoding="utf-8") == text


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
    with pytest.raises(UserError, match=r"dvc.lock is damaged .*where there is none, .* record` writes it"):
        locks.read_stages(tmp_path / "dvc.lock")
    with pytest.raises(UserError, match=r"dvc.lock is missing: where there is none, .* record` writes it"):
        locks.read_stages(tmp_path / "no" / "dvc.lock")


def test_a_scale_that_there_is_not_is_not_written(tmp_path):
    (tmp_path / "params.yaml").write_text("scale: smoke\nseeds: [0]\n", encoding="utf-8")
    with pytest.raises(UserError, match="scale cannot be 'papr'; did you mean paper?"):
        pipeline.choose(tmp_path, scale="papr", seeds=[1])
    assert (tmp_path / "params.yaml").read_text(encoding="utf-8") == "scale: smoke\nseeds: [0]\n"
