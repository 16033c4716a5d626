"""What a run sets before it trains."""

import pytest
import torch

from metamemory.models import LSTM
from metamemory.protocols import Outcome
from metamemory.study import runs
from metamemory.study.parameters import project_root
from metamemory.study.recording import record
from metamemory.study.runs import Run


@pytest.mark.parametrize("lost", ["results/smoke/e/m/s/seed0.scores.csv", "runs/smoke/e/m/s/seed0/model.safetensors"])
def test_a_run_that_lost_a_file_is_not_finished(tmp_path, lost):
    run = Run("smoke", "e", "m", "s", root=tmp_path)
    outcome = Outcome(LSTM((1, 2, 2), n_way=2, hidden=1), metrics={}, scores=[], history=[], example={}, facts={})
    record(run, outcome, {}, {}, "as asked for", torch.device("cpu"), 1.0)
    assert runs.finished(run) == "as asked for"
    (tmp_path / lost).unlink()
    assert runs.finished(run) is None


def test_numbers_too_small_to_matter_are_zero_in_a_run(monkeypatch):
    seen = []
    conduct = lambda *_: seen.append((torch.tensor(1e-38) * 1e-3).item())  # noqa: E731
    monkeypatch.setattr(runs, "load_images", lambda *_: None)
    monkeypatch.setattr(runs, "conduct", conduct)
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot choose")
    assert not runs.execute(Run("smoke", "online_few_shot", "counting", "omniglot", root=project_root()))
    assert seen == [0.0]
