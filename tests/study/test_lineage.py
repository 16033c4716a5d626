"""Results are carried over a change that keeps every bit, and over no other."""

import json
import math
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from metamemory.errors import UserError
from metamemory.study import runs, shortened, unfinished
from metamemory.study.before import before_of
from metamemory.study.outcomes import differences, weights_differ
from metamemory.study.parameters import project_root
from metamemory.study.results import finished
from metamemory.study.shortened import Cut, shorten
from metamemory.study.stale import different

MANIFESTS = [result.manifest for result in finished(project_root())]


def stages_entered(config):
    """How many updates each stage of a shortened run has, by its configuration."""
    training, curriculum = config["training"], config.get("curriculum") or []
    batch = training["batch_size"]
    updates = [stage["episodes"] / batch for stage in curriculum]
    if "classes" in config:
        updates += [config["classes"]["every"] / batch] * (config["classes"]["last"] - config["classes"]["first"])
    return [*updates, training["episodes"] / batch - sum(updates)]


@pytest.mark.parametrize("flops_per_step", [1000, 10**9])
def test_a_shortened_run_enters_every_stage(flops_per_step):
    cut = Cut.of(flops_per_step)
    for manifest in MANIFESTS:
        config = manifest["configuration"]
        short = shorten(config, cut)
        assert short == shorten(config, cut) and config == manifest["configuration"]
        if "training" in config:
            updates = stages_entered(short)
            assert all(each >= 1 and each == int(each) for each in updates) and updates[-1] >= 2
            assert sum(updates) >= cut.updates and sum(updates) <= max(50, len(updates) + 2)
            assert short["training"]["validation_episodes"] <= config["training"].get("validation_episodes", 200)
        kept = ("data", "task", "model", "trained", "label_gain", "rows", "learner", "protocol")
        assert all(short.get(name) == config.get(name) for name in kept)
        assert short["evaluation"].get("episodes", 0) <= 20


def test_a_cut_changes_nothing_in_the_configuration_that_it_is_given():
    config = {
        "training": {"episodes": 1000, "batch_size": 10},
        "curriculum": [{"pretrain": {"n_way": 2}, "episodes": 300}, {"n_way": 2}, {}],
        "evaluation": {"episodes": 100, "batch_size": 50, "longer": {"episodes": 50, "batch_size": 25, "every": 4}},
        "second": {"permutations": 5, "tasks": 2000, "every": 400, "repeats": 5, "test_episodes": 100},
    }
    kept = json.loads(json.dumps(config))
    short = shorten(config, Cut())
    assert config == kept
    assert [stage["episodes"] for stage in short["curriculum"]] == [120, 120, 120]
    assert short["training"] == {"episodes": 500, "batch_size": 10, "validations": 2, "validation_episodes": 110}
    assert short["evaluation"] == {
        "episodes": 20, "batch_size": 8, "longer": {"episodes": 4, "batch_size": 2, "every": 4}
    }  # fmt: skip
    assert short["second"] == {"permutations": 5, "tasks": 20, "every": 10, "repeats": 2, "test_episodes": 100}


def test_differences_are_named():
    one = {"a": 1, "b": [{"c": 1.0}, {"c": 2.0}], "d": math.nan, "e": [1]}
    assert different(one, json.loads(json.dumps(one))) == []
    assert different(one, {**one, "a": 1.0}) == ["a"]
    assert different(one, {**one, "b": [{"c": 1.0}, {"c": 2.5}], "e": [1, 2]}) == ["b[1].c", "e"]
    assert different({"a": 1, "b": 2}, {"b": 2, "c": 3}) == ["a (only before)", "c (only after)"]


def test_weights_are_compared_by_their_bits():
    one = {"w": torch.tensor([0.0, math.nan]), "n": torch.tensor(3), "b": torch.ones(2, dtype=torch.bfloat16)}
    assert weights_differ(one, {name: value.clone() for name, value in one.items()}) == []
    assert weights_differ(one, {**one, "w": torch.tensor([-0.0, math.nan])}) == ["weights w"]
    assert weights_differ(one, {**one, "n": torch.tensor(3.0)}) == ["weights n"]
    assert weights_differ(one, {"w": one["w"], "n": one["n"]}) == ["weights b (only before)"]


def outcome(folder, **changes):
    save_file({"w": torch.arange(3.0)}, folder / "w.safetensors")
    parts = {
        "metrics": {"accuracy": 0.5},
        "scores": [{"shot": 0, "accuracy": 0.5}],
        "history": [{"episodes": 8, "seconds": 1.5, "loss": 0.7}],
        "example": {"y": [0, 1]},
        "facts": {"training_seconds": 2.0, "training_flops": 3},
    }
    return {**parts, "weights": folder / "w.safetensors", **changes}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"history": [{"episodes": 8, "seconds": 2.5, "loss": 0.7}]}, []),
        ({"facts": {"training_seconds": 9.0, "training_flops": 3}}, []),
        ({"history": [{"episodes": 8, "seconds": 1.5, "loss": 0.7000000001}]}, ["history[0].loss"]),
        ({"facts": {"training_seconds": 2.0, "training_flops": 4}}, ["facts.training_flops"]),
        ({"metrics": {"accuracy": 0.5, "more": 1}}, ["metrics.more (only after)"]),
        ({"example": {"y": [1, 0]}}, ["example.y[0]", "example.y[1]"]),
        ({"failed": "no such thing"}, ["after the change it fails: no such thing"]),
    ],
)
def test_outcomes_are_equal_but_for_seconds(tmp_path, changes, found):
    assert differences(outcome(tmp_path), outcome(tmp_path, **changes), lambda part, value: value) == found


# the whole, in copies of the project


class Tree:
    """A copy of the project with a small data set, and one finished run."""

    def __init__(self, root, drawings):
        self.root = root
        root.mkdir()
        for part in ("src", "params", "params.yaml"):
            path = project_root() / part
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, root / part, ignore=ignored) if path.is_dir() else shutil.copy(path, root / part)
        drawings(root / "data" / "glyphs")

    def run(self, *words, code=0):
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "metamemory", *map(str, words)]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, encoding="utf-8")
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def edit(self, name, old, new):
        path = self.root / "src/metamemory" / name
        assert old in path.read_text(encoding="utf-8"), f"{old!r} is not in {name}"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    @property
    def manifest(self):
        (path,) = (self.root / "results").glob("*/*/*/*/*.manifest.json")
        return json.loads(path.read_text(encoding="utf-8"))


def trees(folder, drawings):
    """Two copies of the project, in both of which what was run in the first is there."""
    before = Tree(folder / "before", drawings)
    before.run(*RUN)
    after = Tree(folder / "after", drawings)
    for part in ("results", "runs"):
        shutil.copytree(before.root / part, after.root / part)
    return before, after


RUN = ("run", "online_few_shot", "--method", "lstm", "--setting", "omniglot", "--scale", "smoke")


@pytest.mark.slow
def test_a_result_goes_with_a_change_that_keeps_its_bits_and_with_no_other(tmp_path, drawings):
    before, after = trees(tmp_path, drawings)
    made = before.manifest
    assert "1 as today" in after.run("carry", before.root)

    # a module is renamed: nothing has to be done at all
    (after.root / "src/metamemory/nn/precision.py").rename(after.root / "src/metamemory/nn/number_type.py")
    for path in (after.root / "src").rglob("*.py"):
        path.write_text(path.read_text(encoding="utf-8").replace("nn.precision", "nn.number_type"), encoding="utf-8")
    assert "1 as today" in after.run("carry", before.root)

    # the same numbers, worked out in another way
    after.edit("training/loop.py", "1 / min(at.stage_updates + 1, 50)", "1 / (min(at.stage_updates, 49) + 1)")
    assert "without a proof yet" in after.run("carry", before.root, "--check", code=1)
    assert after.manifest == made
    said = after.run("carry", before.root)
    assert "before the change" in said and "1 carried over: equal shortened run" in said
    carried = after.manifest
    (step,) = carried.pop("lineage")
    assert step["old"]["source"] == made["digests"]["source"] and step["new"]["source"] == carried["digests"]["source"]
    assert step["shortened"]["run"].endswith("/seed0") and any("mastered" in each for each in step["not_covered"])
    changed = ("digests", "fingerprint", "sha256")  # the last is the manifest's own
    assert all(carried.pop(name) != made[name] for name in changed)
    assert carried == {name: value for name, value in made.items() if name not in changed}
    assert "finished before" in after.run(*RUN)
    assert "0 files written" in after.run("carry", before.root)
    after.run("carry", before.root, "--check")

    # another number: now the result is on the list
    after.edit("training/loop.py", "(min(at.stage_updates, 49) + 1)", "(min(at.stage_updates, 49) + 2)")
    shutil.copytree(before.root / "results", after.root / "results", dirs_exist_ok=True)
    assert "1 stale" in after.run("carry", before.root)
    (reason,) = json.loads((after.root / "results/stale.json").read_text(encoding="utf-8")).values()
    assert reason.startswith("its shortened run differs: history[")
    assert after.manifest == made


@pytest.mark.slow
def test_a_result_goes_with_a_check_and_is_stale_until_it_is_carried(tmp_path, drawings):
    before, after = trees(tmp_path, drawings)
    after.run("carry", before.root)  # the list of what is stale is now that of these trees
    after.edit("refusals.py", "batch < 0:", "batch < 1:")
    after.edit(
        "tasks/online_few_shot.py",
        '        require("samples_per_class"',
        '        if n_way > 500:\n            raise UserError("too many")\n        require("samples_per_class"',
    )
    assert "1 carried over: equal but for refusals" in after.run("carry", before.root, "--check", code=1)
    assert after.manifest == before.manifest
    assert "1 files written" in after.run("carry", before.root)
    assert after.manifest["digests"]["source"] != before.manifest["digests"]["source"]
    assert "finished before" in after.run(*RUN)


def test_a_tree_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="no checkout of the project"):
        before_of(tmp_path)
    with pytest.raises(UserError, match="before.py is not there"):
        before_of(project_root(), tmp_path)


def test_a_job_is_known_by_what_decides_it():
    job = {
        "experiment": "e",
        "method": "m",
        "seed": 0,
        "configuration": {"a": 1},
        "cut": {},
        "data": "x",
        "outcome": "y",
    }
    assert shortened.identity(job) == shortened.identity({**job, "data": "elsewhere"})
    assert shortened.identity(job) != shortened.identity({**job, "seed": 1})


def test_an_unfinished_run_goes_on_after_the_change(tmp_path):
    old, new = ({"configuration": each, "source": each, "data": "d"} for each in ("one", "other"))
    path = runs.checkpoint(tmp_path, runs.fingerprint(old, 3))
    path.parent.mkdir()
    torch.save({"learner": {"w": torch.ones(2)}, "position": {"history": [{"loss": 1.0, "a": 2}], "episodes": 8}}, path)
    ((found, other),) = unfinished.carried(tmp_path, old, new)
    assert found == path and other == runs.checkpoint(tmp_path, runs.fingerprint(new, 3))
    unfinished.carry(path, other, lambda part, rows: [{**row, part: 1} for row in rows])
    state = torch.load(other, weights_only=True)
    assert state["position"] == {"history": [{"loss": 1.0, "a": 2, "history": 1}], "episodes": 8}
    assert not path.exists() and list(unfinished.carried(tmp_path, old, new)) == []
