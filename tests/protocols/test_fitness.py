"""Searches side by side: rows, intervals, seeds."""

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.protocols import Context
from metamemory.protocols.conduct import conduct

CONFIG = {
    "protocol": "fitness",
    "learner": "self_modifying_policy",
    "task": {"name": "bandit", "period": 5},
    "search": {"strategy": "monotonic", "steps": 10, "candidates": 3},
    "evaluation": {"searches": 4, "at": [2, 3], "lifetimes": 2},
    "model": {"size": 4},
}


@pytest.fixture
def done(tmp_path):
    def done(seed=0, **changes):
        return conduct({**CONFIG, **changes}, seed, Context(torch.device("cpu"), tmp_path / "checkpoint.pt"))

    return done


@pytest.mark.parametrize("strategy", ["monotonic", "climbing"])
@pytest.mark.parametrize("task", [{"name": "bandit"}, {"name": "cart_pole"}], ids=lambda task: task["name"])
def test_rows_are_means_over_searches(done, task, strategy):
    outcome = done(task=task, search={"strategy": strategy, "steps": 8, "candidates": 3})
    assert [row["lifetimes"] for row in outcome.scores] == [5, 6]  # three to begin with
    by_search = outcome.example["by_search"]
    for number, row in enumerate(outcome.scores):
        for name in ("paid", "best"):
            assert len(by_search[name][number]) == 4
            assert row[name] == pytest.approx(np.mean(by_search[name][number]), abs=1e-4)
            assert 0 <= row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] <= 1
    assert outcome.metrics["rise"] == pytest.approx(outcome.scores[1]["best"] - outcome.scores[0]["best"], abs=1e-4)
    assert outcome.facts["test_episodes"] == 4 and outcome.facts["data"]["title"] and not outcome.history


def test_a_seed_decides_everything(done):
    one, again, other = done(), done(), done(seed=1)
    assert one.scores == again.scores and one.example == again.example
    assert one.example != other.example


def test_a_setting_of_another_task_is_refused(done):
    with pytest.raises(UserError, match="task: cart_pole has no setting period"):
        done(task={"name": "cart_pole", "period": 3})
