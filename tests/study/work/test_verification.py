"""Kept weights measured again: the same numbers, or it is said which are not; never on a stand-in of their data."""

import json
import re
import shutil
from pathlib import Path

import pytest

from metamemory.data import preparation, store
from metamemory.errors import UserError
from metamemory.study.parameters import project_root
from metamemory.study.pretrained import MOST_BYTES, MOST_BYTES_OF_ALL, all_kept, read_kept
from metamemory.study.runs import Run
from metamemory.study.stored import read_manifest, seal
from metamemory.study.verification import TOLERANCE, Number, verify

ROOT = project_root()


@pytest.fixture
def kept(little):
    """A project that keeps the weights of two runs."""
    patterns = "keep: [smoke/few_shot/lstm/one/seed0, smoke/few_shot/counting/one]\n"
    text = (little.root / "params.yaml").read_text(encoding="utf-8")
    (little.root / "params.yaml").write_text(text + patterns, encoding="utf-8")
    for method in ("lstm", "counting"):
        little.run("run", "few_shot", "--method", method)
    little.run("keep")
    return little


def change(little, method, edit):
    path = little.root / f"pretrained/few_shot/{method}/one.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    edit(record)
    path.write_text(json.dumps({**record, "sha256": seal(record)}), encoding="utf-8")


def test_kept_weights_measure_the_same_again(kept):
    said = kept.run("verify", "--jobs", "1")
    assert said.count("agrees") == 6 and "DIFFERS" not in said
    assert "6 of 6 numbers agree within 0.1 point" in said
    assert re.search(r"\| smoke/few_shot/lstm/one/seed0 +\| glyphs \(stand-in for Omniglot\) \| +20 \| acc", said)
    assert "6 of 6" in kept.run("verify", "--jobs", "2")  # in processes of their own
    assert "3 of 3" in kept.run("verify", "--only", "lstm")


def test_a_number_that_does_not_agree_is_told_and_fails(kept):
    change(kept, "lstm", lambda record: record["metrics_of_these_weights"].update(accuracy_1_shot=2.0))
    said = kept.run("verify", "--jobs", "1", code=1)
    assert said.count("DIFFERS") == 1 and "5 of 6 numbers agree" in said
    (line,) = (line for line in said.splitlines() if "DIFFERS" in line)
    assert "accuracy_1_shot" in line and "200.00" in line


@pytest.mark.parametrize(("kept", "agrees"), [(0.5, True), (0.501, True), (0.499, True), (0.5011, False), (0.4, False)])
def test_within_a_tenth_of_a_point(kept, agrees):
    assert Number("", "", 1, "accuracy", 0.5, kept, 0.5).agrees == agrees and TOLERANCE == 0.001


def test_another_data_set_is_refused_before_anything_is_measured(kept, monkeypatch):
    monkeypatch.setattr("metamemory.study.verification.measure", lambda *_: pytest.fail("measured"))

    def of_the_original(record):
        record["digests"]["data"], record["data"] = "0" * 64, "Omniglot"

    change(kept, "lstm", of_the_original)
    said = kept.run("verify", code=1)
    assert said.startswith("error: pretrained/few_shot/lstm/one.safetensors was measured on Omniglot, and data/ has ")
    assert "glyphs (stand-in for Omniglot): fetch it by `python -m metamemory data omniglot`" in said
    assert said.count("\n") == 1
    shutil.rmtree(kept.root / "data" / "glyphs")
    assert "run `make data`" in kept.run("verify", code=1)


def test_what_cannot_be_measured_is_one_line(kept):
    with pytest.raises(UserError, match="holds no weights of cl_lstm$"):
        verify(kept.root, ("cl_lstm",))
    with pytest.raises(UserError, match="holds no weights: run from the top of a checkout"):
        verify(kept.root / "data")
    change(kept, "lstm", lambda record: record.update(weights="0"))
    said = kept.run("verify", "--jobs", "2", code=1)
    assert "one.safetensors is damaged: get it back" in said and said.splitlines()[-1].startswith("error: ")
    change(kept, "lstm", lambda record: record.update(configuration=3))
    assert "one.json is damaged (configuration is no dict)" in kept.run("verify", code=1)


def test_a_record_that_is_not_as_it_was_written_is_one_line(kept):
    path = kept.root / "pretrained/few_shot/lstm/one.json"
    text = path.read_text(encoding="utf-8")
    for old, new in (('"delay": 1', '"delay": 2'), ('"seed": 0', '"q": 0'), ('"test_episodes"', '"test"')):
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        said = kept.run("verify", code=1)
        assert "one.json is damaged (it is not as it was written): get it back" in said and said.count("\n") == 1


def test_as_many_episodes_are_measured_as_take_seconds(kept, monkeypatch):
    assert read_kept(kept.root / "pretrained/few_shot/lstm/one.json")["test_episodes"] == 20
    kept.edit("params/little.yaml", "batch_size: 20", "batch_size: 3")
    monkeypatch.setattr("metamemory.study.pretrained.MOST_SECONDS", 0.0)
    for method in ("lstm", "counting"):
        kept.run("run", "few_shot", "--method", method)
    assert "metrics of 3 episodes within" in kept.run("keep")
    assert read_kept(kept.root / "pretrained/few_shot/lstm/one.json")["test_episodes"] == 3
    assert "6 of 6" in kept.run("verify", "--jobs", "1")


def test_what_is_kept_stays_where_the_weights_of_its_run_are_not_here(kept):
    before = {path: path.read_bytes() for path in (kept.root / "pretrained").rglob("*.*")}
    shutil.rmtree(kept.root / "runs")
    assert kept.run("keep").count("kept before; the run's own weights are not here") == 2
    assert {path: path.read_bytes() for path in (kept.root / "pretrained").rglob("*.*")} == before
    (kept.root / "pretrained/few_shot/lstm/one.json").unlink()
    assert "no finished run whose weights are here is 'smoke/few_shot/lstm/one/seed0'" in kept.run("keep", code=1)


COMMITTED = all_kept(ROOT)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: "/".join(path.parts[-3:]))
def test_committed_weights_are_those_of_their_run(path):
    record = read_kept(path.with_suffix(".json"))
    run = Run(**record["run"], root=ROOT)
    manifest = read_manifest(run)
    assert record["weights_of_the_run"] == manifest["model"]
    assert record["configuration"] == manifest["configuration"]
    assert record["digests"]["data"] == manifest["data"]["digest"] and "stand-in" not in record["data"]
    assert path.stat().st_size <= MOST_BYTES


def test_committed_weights_are_small_together():
    assert COMMITTED and sum(path.stat().st_size for path in COMMITTED) <= MOST_BYTES_OF_ALL


@pytest.mark.slow  # a minute
def test_committed_weights_give_the_committed_numbers(tmp_path, monkeypatch):
    """`make verify`, on Omniglot itself."""
    (tmp_path / "pretrained").symlink_to(ROOT / "pretrained")
    if store.exists(ROOT / "data" / "omniglot"):
        (tmp_path / "data").symlink_to(ROOT / "data")
    else:
        preparation.prepare(["omniglot"], tmp_path / "data")
    if not store.exists(tmp_path / "data" / "omniglot"):
        pytest.skip("Omniglot is neither in data/ nor at METAMEMORY_MIRROR, nor can its host be reached")
    assert verify(tmp_path)


def test_metamemory_gives_a_learner_with_what_it_was_trained_on():
    import metamemory

    learner = metamemory.pretrained("cl_lstm", "omniglot")
    assert not learner.training and type(learner).__name__ == "CLLSTM"
    trained = learner.trained_on
    assert trained.data == "Omniglot" and Path(trained.run).parts[1:4] == ("online_few_shot", "cl_lstm", "omniglot")
    assert trained.configuration["task"]["n_way"] == 5 and 0.7 < trained.metrics["accuracy_1_shot"] < 1
