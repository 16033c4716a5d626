"""Nearest neighbour against a loop over what has been seen."""

import pytest
import torch

from metamemory.models.metric.nearest_neighbour import NearestNeighbour
from metamemory.tasks.online_few_shot import OnlineFewShot


@pytest.mark.parametrize("delay", [1, 3, 20])
def test_the_answer_is_the_nearest_labelled_drawing(images, delay):
    episode = OnlineFewShot(images, 3, 4, delay).sample(2, torch.Generator().manual_seed(0))
    logits = NearestNeighbour((1, 8, 8), 3, delay)(episode.x, episode.y_seen)
    for b in range(2):
        for t in range(12):
            labelled = range(max(t + 1 - delay, 0))
            if not labelled:
                assert logits[t, b].tolist() == [0, 0, 0]
                continue
            nearest = min(labelled, key=lambda j: (episode.x[j, b] - episode.x[t, b]).square().sum().item())
            assert logits[t, b].argmax() == episode.y[nearest, b]
