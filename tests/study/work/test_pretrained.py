"""Weights that are kept in Git: small, and with the numbers that they themselves give."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from metamemory.errors import UserError
from metamemory.study.pretrained import load, rounded
from metamemory.study.runs import Run
from metamemory.study.stored import read_manifest


@pytest.fixture
def kept(little):
    """A project that keeps the weights of one run."""
    text = (little.root / "params.yaml").read_text(encoding="utf-8")
    (little.root / "params.yaml").write_text(text + "keep: [smoke/few_shot/lstm/one/seed0]\n", encoding="utf-8")
    assert "keep: no finished run whose weights are here is" in little.run("keep", code=1)
    little.run("run", "few_shot", "--method", "lstm")
    little.said = little.run("keep")
    return little


def test_kept_weights_are_half_as_large_and_measured(kept):
    run = Run("smoke", "few_shot", "lstm", "one", root=kept.root)
    assert kept.said.startswith("pretrained/few_shot/lstm/one.safetensors: 0.0 MiB, metrics of 20 episodes within 0.")
    learner = load("lstm", "one", root=kept.root)
    whole = load_file(run.model)
    assert not learner.training and learner.state_dict().keys() == whole.keys()
    for name, value in learner.state_dict().items():
        torch.testing.assert_close(value, whole[name], rtol=1e-3, atol=1e-6)
        assert torch.equal(value, value.half().float())
    record = json.loads((kept.root / "pretrained/few_shot/lstm/one.json").read_text(encoding="utf-8"))
    measured, before = record["metrics_of_these_weights"], record["metrics"]
    assert measured.keys() == before.keys() and all(abs(measured[name] - before[name]) < 0.06 for name in before)
    assert before == json.loads(run.result("metrics.json").read_text(encoding="utf-8"))


def test_what_is_measured_is_measured_with_the_kept_weights(kept, monkeypatch):
    """Weights of which rounding leaves nothing give other numbers, and these are in the record."""
    nothing = lambda weights: {name: torch.zeros_like(value) for name, value in weights.items()}  # noqa: E731
    monkeypatch.setattr("metamemory.study.pretrained.rounded", nothing)
    kept.run("keep")
    record = json.loads((kept.root / "pretrained/few_shot/lstm/one.json").read_text(encoding="utf-8"))
    assert record["metrics_of_these_weights"] != record["metrics"]
    assert not any(value.any() for value in load("lstm", "one", root=kept.root).state_dict().values())


def test_weights_that_are_too_large_are_refused(kept, monkeypatch):
    monkeypatch.setattr("metamemory.study.pretrained.MOST_BYTES", 2000)
    assert "its weights are larger than" in kept.run("keep", code=1)
    monkeypatch.setattr("metamemory.study.pretrained.MOST_BYTES", 10**6)
    monkeypatch.setattr("metamemory.study.pretrained.MOST_BYTES_OF_ALL", 2000)
    assert "pretrained/ has 0.0 MiB, and may have 0: keep less" in kept.run("keep", code=1)


def test_what_is_not_there_or_damaged_is_said(kept):
    with pytest.raises(UserError, match="no pretrained weights 'lstn/one'. There are few_shot/lstm/one."):
        load("lstn", "one", root=kept.root)
    with pytest.raises(UserError, match="no pretrained weights 'other/lstm/one'"):
        load("lstm", "one", "other", root=kept.root)
    with pytest.raises(UserError, match="holds none"):
        load("lstm", "one", root=kept.root / "data")
    path = kept.root / "pretrained/few_shot/lstm/one.safetensors"
    other = kept.root / "pretrained/other/lstm/one.safetensors"
    other.parent.mkdir(parents=True)
    other.write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="name the experiment, few_shot or other"):
        load("lstm", "one", root=kept.root)
    assert load("lstm", "one", "few_shot", root=kept.root)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(UserError, match="is damaged: get it back by `git checkout"):
        load("lstm", "one", "few_shot", root=kept.root)


def test_rounding(tmp_path):
    weights = {
        "a": torch.tensor([1.0, 3.14159]),
        "large": torch.tensor([1e6, 1.0]),
        "count": torch.tensor([3]),
        "none": torch.zeros(0, 2),
    }
    found = rounded(weights)
    kinds = {name: value.dtype for name, value in found.items()}
    assert kinds == {"a": torch.float16, "large": torch.bfloat16, "count": torch.int64, "none": torch.float16}
    assert found["a"].float().tolist() == [1.0, 3.140625] and found["large"].isfinite().all()
    save_file(found, tmp_path / "a.safetensors")


def test_kept_weights_stand_in_for_those_of_their_run(kept):
    """A run that looks at weights is done without them, and its results are those of the run whose weights they are."""
    run, looking = (Run("smoke", name, "lstm", "one", root=kept.root) for name in ("few_shot", "looking"))
    own = read_manifest(run)["model"]
    run.model.unlink()
    said = kept.run("run", "looking", "--method", "lstm")
    assert "with the rounded weights of" in said and "pretrained/few_shot/lstm/one.safetensors" in said
    manifest = read_manifest(looking)
    assert manifest["digests"]["trained"] == own
    assert manifest["rounded_weights"] == "pretrained/few_shot/lstm/one.safetensors"
    assert "finished before" in kept.run("run", "looking", "--method", "lstm")
    other = kept.run("run", "looking", "--method", "lstm", "--seed", "1", code=1)  # of which none are kept
    assert "do the run smoke/few_shot/lstm/one/seed1 first, which trains it" in other
    path = kept.root / "pretrained/few_shot/lstm/one.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert "one.safetensors is damaged: get it back by" in kept.run("run", "looking", "--method", "lstm", code=1)
