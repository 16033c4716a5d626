"""What a run leaves is what its manifest says, or is named: `run`, `list`, `report` and pages agree on it."""

import dataclasses
import json

import pytest
import torch

from metamemory.errors import UserError
from metamemory.models import LSTM
from metamemory.protocols import Outcome
from metamemory.study import runs, stored
from metamemory.study.recording import record, require_recordable, versions
from metamemory.study.results import finished
from metamemory.study.runs import Run
from metamemory.study.stored import ENDINGS, seal

OUTCOME = Outcome(
    LSTM((1, 2, 2), n_way=2, hidden=1),
    metrics={"accuracy": 0.25},
    scores=[{"shot": 0, "accuracy": 0.25, "low": 0.125, "high": 0.5}],
    history=[{"episodes": 10, "seconds": 1.5, "loss": 0.5}],
    example={"y": [0, 1]},
    facts={"data": {"title": "glyphs"}},
)


@pytest.fixture
def run(tmp_path):
    run = Run("smoke", "e", "m", "s", root=tmp_path)
    record(run, OUTCOME, {}, {}, "as asked for", torch.device("cpu"), 1.0)
    return run


def without_digests(run):
    """The manifest as it was before there were digests of files."""
    manifest = stored.read_manifest(run)
    del manifest["files"], manifest["sha256"]
    run.result("manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def everything(run):
    """All that reads what a run left."""
    for result in finished(run.root):
        _ = result.metrics, result.scores, result.history, result.example


DAMAGES = {
    "emptied": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "cut short at its end": lambda content: content[:-2],
    "a list": lambda content: b"[1, 2]\n",
    "a number": lambda content: b"3\n",
    "a text": lambda content: b'"text"\n',
    "null": lambda content: b"null\n",
    "not UTF-8": lambda content: b"\xff\xfe" + content,
    "zeros": lambda content: bytes(len(content)),
    "deep": lambda content: b"[" * 100_000,
    "longer": lambda content: content + b"x",
}
FILES = [*ENDINGS, "model"]


def path_of(run, file):
    return run.model if file == "model" else run.result(file)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [*DAMAGES, "a folder", "gone", "a link to nothing"])
def test_a_damaged_file_is_named_and_its_run_is_not_finished(run, file, damage):
    assert runs.finished(run) == "as asked for"
    everything(run)
    path = path_of(run, file)
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage == "a link to nothing":
        path.symlink_to(path.with_name("nothing"))
    elif damage in DAMAGES:
        path.write_bytes(DAMAGES[damage](content))
    assert runs.finished(run) is None
    said = str(stored.state(run, {}, begun=False))
    if file == "model":
        gone = damage in ("gone", "a link to nothing")
        assert said == ("finished, without its weights" if gone else "damaged: model.safetensors")
        everything(run)
    elif file == "manifest.json" and damage in ("gone", "a link to nothing"):
        assert said == "not run"
    else:
        assert said == f"damaged: seed0.{file}"
        with pytest.raises(UserError, match=rf"^{path} (is missing|is damaged \(.*\)|cannot be read \(.*\)): run it"):
            everything(run)


@pytest.mark.parametrize("file", FILES)
def test_every_flipped_bit_is_found(run, file):
    path = path_of(run, file)
    content = path.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
        assert runs.finished(run) is None, place
    path.write_bytes(content)
    assert runs.finished(run) == "as asked for"


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name not in ("cut short at its end", "longer")])
@pytest.mark.parametrize("file", ENDINGS)
def test_without_digests_a_file_must_be_of_its_kind(run, file, damage):
    """So it is with manifests of before there were any."""
    without_digests(run)
    assert runs.finished(run) == "as asked for"
    everything(run)
    path = path_of(run, file)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert runs.finished(run) is None
    with pytest.raises(UserError, match=rf"^{path} is damaged \([^\n]*\): run it again"):
        everything(run)


@pytest.mark.parametrize("key", ["run", "fingerprint", "digests", "configuration", "data", "model"])
@pytest.mark.parametrize("value", [None, 3, [], "lost"])
def test_a_manifest_without_what_it_needs_is_damaged(run, key, value):
    without_digests(run)
    manifest = json.loads(run.result("manifest.json").read_text(encoding="utf-8"))
    if value == "lost":
        del manifest[key]
    else:
        manifest[key] = value
    run.result("manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UserError, match="seed0.manifest.json is damaged"):
        everything(run)
    assert runs.finished(run) is None


def test_a_manifest_in_the_place_of_another_run_is_refused(run):
    for ending in ENDINGS:
        run.result(ending).rename(dataclasses.replace(run, seed=1).result(ending))
    with pytest.raises(UserError, match="seed1.manifest.json is damaged .it is of the run smoke/e/m/s/seed0"):
        everything(run)


def test_the_states_of_a_run_are_told_apart(run):
    def told(run, today, begun):
        return str(stored.state(run, today, begun))

    today = {"source": "another", "data": None}  # what is not known is not compared
    assert told(run, {}, begun=True) == told(run, {"data": None}, begun=False) == "finished"
    assert told(run, today, begun=False) == "stale: another source"
    assert told(run, {**today, "configuration": "c"}, begun=False) == "stale: another source and configuration"
    assert told(run, today, begun=True) == "begun"  # `run` goes on with it
    other = dataclasses.replace(run, seed=1)
    assert [told(other, {}, begun=each) for each in (True, False)] == ["begun", "not run"]


def test_the_seal_is_of_all_else(run):
    manifest = stored.read_manifest(run)
    assert manifest["sha256"] == seal(manifest) == seal(json.loads(json.dumps(manifest)))
    assert set(manifest["files"]) == set(ENDINGS) - {"manifest.json"}


def test_versions_do_not_need_that_anything_is_installed(monkeypatch):
    """On a bare machine the package is found by PYTHONPATH, and has no metadata."""

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    found = versions()
    assert found["torch"] == torch.__version__ and found["metamemory"] == "0.1.0" and len(found) == 4


class Tied(LSTM):
    """Two names for the same weights, and one that is a part of another."""

    def __init__(self):
        super().__init__((1, 2, 2), n_way=2, hidden=4)
        self.twin = self.classifier
        self.register_buffer("part", self.classifier.weight.detach()[:1])


def test_weights_that_share_memory_are_stored(tmp_path):
    run = Run("smoke", "e", "m", "s", root=tmp_path)
    learner = Tied()
    require_recordable(run, tmp_path / "c.pt", learner)
    record(run, dataclasses.replace(OUTCOME, learner=learner), {}, {}, "", torch.device("cpu"), 1.0)
    from safetensors.torch import load_file

    found = load_file(run.model)
    assert set(found) == set(learner.state_dict())
    assert all(torch.equal(value, found[name]) for name, value in learner.state_dict().items())


class Odd(LSTM):
    """Its state is not of tensors alone."""

    def __init__(self):
        super().__init__((1, 2, 2), n_way=2, hidden=4)

    def get_extra_state(self):
        return {"count": 3}

    def set_extra_state(self, state):
        pass


def test_weights_that_cannot_be_stored_are_refused(tmp_path):
    run = Run("smoke", "e", "m", "s", root=tmp_path)
    with pytest.raises(UserError, match="model.safetensors cannot hold the weights of this learner"):
        require_recordable(run, tmp_path / "c.pt", Odd())


@pytest.mark.parametrize("stages", [1, 3, 5, 40])
def test_a_name_that_is_too_long_is_cut_and_stays_its_own(tmp_path, stages):
    def place(delay):
        stage = {"n_way": 2, "samples_per_class": 4, "episodes": 1600, "delay": delay}
        return Run("smoke", "e", "m", "s", overrides={"curriculum": [stage] * stages}, root=tmp_path)

    run, other = place(1), place(2)
    assert run.place != other.place and run.place == place(1).place
    assert max(len(part.encode()) for part in run.place.split("/")) <= 255
    assert ("~" in run.place) == (stages > 3)
    record(run, OUTCOME, {}, {}, "as asked for", torch.device("cpu"), 1.0)
    assert runs.finished(run) == "as asked for" and runs.finished(other) is None


def test_names_that_a_folder_can_hold_stay(tmp_path):
    for length in (1, 100, 247):
        run = Run("smoke", "e", "m", "s", overrides={"a": "ü" * (length // 2) + "x" * (length % 2)})
        assert run.place == f"smoke/e/m/s,a={run.overrides['a']}/seed0"
