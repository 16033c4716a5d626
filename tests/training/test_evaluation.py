"""Accuracy by shot against loops; intervals; files that are whole or not there."""

import errno

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.models.metric.nearest_neighbour import NearestNeighbour
from metamemory.tasks.online_few_shot import OnlineFewShot
from metamemory.training.evaluation import evaluate, score_by_shot
from metamemory.training.files import write_atomically
from metamemory.training.statistics import bootstrap


def test_scores_by_loops():
    generator = torch.Generator().manual_seed(0)
    right = torch.rand(9, 4, generator=generator) < 0.5
    shot = torch.randint(0, 3, (9, 4), generator=generator)
    scored = torch.rand(9, 4, generator=generator) < 0.8
    scores = score_by_shot(right, shot, scored, 4)
    for b in range(4):
        for k in range(4):
            steps = [t for t in range(9) if shot[t, b] == k and scored[t, b]]
            if steps:
                assert scores[b, k] == pytest.approx(sum(right[t, b].item() for t in steps) / len(steps))
            else:
                assert scores[b, k].isnan()


def test_the_same_seed_evaluates_the_same_episodes(images):
    task, learner = OnlineFewShot(images, 3, 4), NearestNeighbour((1, 8, 8), 3)
    one, two, other = (evaluate(learner, task, 25, 10, seed).accuracy for seed in (1, 1, 2))
    assert one.shape == (25, 4)
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_nearest_neighbour_names_a_first_drawing_only_by_luck(images):
    """Only the very first drawing of an episode can be new and right: 1/n at one of n steps (Santoro et al.)."""
    accuracy = evaluate(NearestNeighbour((1, 8, 8), 3), OnlineFewShot(images, 3, 4), 4000, 100, 0).by_shot
    assert accuracy[0] == pytest.approx(1 / 9, abs=0.015)


def test_the_interval_holds_the_mean_it_should():
    values = np.random.default_rng(1).normal(0.7, 0.1, size=400)
    interval = bootstrap(values, "episodes")
    expected = 1.96 * 0.1 / 20
    assert interval.low == pytest.approx(interval.mean - expected, abs=0.003)
    assert interval.high == pytest.approx(interval.mean + expected, abs=0.003)
    assert bootstrap(values, "episodes") == interval
    assert bootstrap(np.array([0.5, np.nan]), "seeds") == (0.5, 0.5, 0.5, "seeds")


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    def write(path):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="cannot write .*results.json: No space left on device"):
        write_atomically(tmp_path / "results.json", write)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_what_was_there(tmp_path):
    target = tmp_path / "results.json"
    write_atomically(target, lambda path: path.write_text("whole"))
    with pytest.raises(ValueError):
        write_atomically(target, lambda path: path.write_text("new") and int("x"))
    assert target.read_text() == "whole" and len(list(tmp_path.iterdir())) == 1
