"""Calibration by hand; states that are altered where they should be and nowhere else."""

import pytest
import torch

from metamemory.analysis import state as inspection
from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.tasks.online_few_shot import OnlineFewShot


@pytest.fixture
def learner():
    torch.manual_seed(0)
    return CLLSTM((1, 8, 8), 3, filters=3, hidden=8, pool_after=(1, 2)).eval()


@pytest.fixture
def episode(images):
    return OnlineFewShot(images, 3, 4).sample(2, torch.Generator().manual_seed(0))


def test_calibration_error_by_hand():
    confidence = torch.tensor([0.95, 0.95, 0.91, 0.42, 1.0])
    right = torch.tensor([True, False, True, False, True])
    # 0.9 to 1: sure of 3.81 of 4 and right 3 times; 0.4 to 0.5: sure of 0.42 and right never
    assert inspection.calibration_error(confidence, right) == pytest.approx((0.81 + 0.42) / 5, abs=1e-6)


def test_stepping_is_the_episode_and_a_part_that_stays_is_left_alone(learner, episode):
    whole = learner(episode.x, episode.y_seen)
    torch.testing.assert_close(inspection.answers(learner, episode), whole, rtol=1e-4, atol=1e-5)
    for part in inspection.parts(learner):
        reset = inspection.answers(learner, episode, inspection.reset(learner, part))
        assert torch.allclose(reset[0], whole[0], atol=1e-5) and not torch.allclose(reset[5:], whole[5:], atol=1e-5)
        frozen = inspection.answers(learner, episode, inspection.frozen(part, after=5))
        assert torch.allclose(frozen[:6], whole[:6], atol=1e-5) and not torch.allclose(frozen[6:], whole[6:], atol=1e-5)


def test_a_label_moves_only_what_it_can_reach(images, episode):
    torch.manual_seed(0)
    learner = CLLSTM((1, 8, 8), 3, filters=3, hidden=8, pool_after=(1, 2), inject=("lstm",)).eval()
    moved = inspection.moved_by_labels(learner, episode)
    assert list(moved) == ["CL-1", "CL-2", "CL-3", "CL-4", "LSTM"]
    assert all(max(moved[part]) == 0 for part in ("CL-1", "CL-2", "CL-3", "CL-4"))
    assert moved["LSTM"][0] == 0 and min(moved["LSTM"][1:]) > 0  # the first label is null anyway
