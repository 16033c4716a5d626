"""What a trained learner does with its memory, over batches of which the last is a short one."""

import pytest
import torch

from metamemory.analysis.state import moved_by_labels
from metamemory.models.recurrent.cl_lstm import CLLSTM
from metamemory.protocols.inspection import _moved
from metamemory.tasks.episode import Episode
from metamemory.tasks.online_few_shot import OnlineFewShot


def part(episode, first, last):
    """Some episodes of a batch."""
    fields = (each[:, first:last] for each in (episode.x, episode.y_seen, episode.y, episode.shot))
    return Episode(*fields)


def test_every_episode_weighs_the_same(images):
    learner = CLLSTM((1, 8, 8), 2, filters=3, hidden=5, pool_after=(1,)).eval()
    episode = OnlineFewShot(images, 2, 2).sample(5, torch.Generator().manual_seed(0))
    whole = moved_by_labels(learner, episode)
    found = _moved(learner, [part(episode, 0, 2), part(episode, 2, 4), part(episode, 4, 5)])
    for name, expected in whole.items():
        assert found[name] == pytest.approx(expected, rel=1e-5)
    assert found["LSTM"][-1] > 0
    halves = [part(episode, 0, 2), part(episode, 2, 4)]
    each = [moved_by_labels(learner, half)["CL-1"] for half in halves]
    assert _moved(learner, halves)["CL-1"] == [(a + b) / 2 for a, b in zip(*each, strict=True)]  # to the bit
