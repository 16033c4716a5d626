"""Learners that only Santoro's part of the study has, and what their settings refuse."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.models import build
from metamemory.models.autoencoder_neighbour import AutoencoderNeighbour
from metamemory.models.feedforward import FeedForward
from metamemory.models.mann import MANN
from metamemory.nn.labels import Characters, Values


@pytest.mark.parametrize("name", ["feedforward", "mann_feedforward"])
@pytest.mark.parametrize(
    ("labels", "y", "outputs"),
    [(Characters(5, 5), torch.randint(5, (4, 2, 5)), 25), (Values(1), torch.rand(4, 2, 1), 2)],
)
def test_labels_of_any_kind(name, labels, y, outputs):
    assert build(name, (7,), labels, 1, {"hidden": 6})(torch.rand(4, 2, 7), y).shape == (4, 2, outputs)


def test_a_feed_forward_network_remembers_nothing():
    learner = FeedForward((3,), 2, hidden=8)
    x, y = torch.rand(5, 1, 3), torch.randint(2, (5, 1))
    torch.testing.assert_close(learner(x, y)[3:], learner(x[3:], y[3:]))


def test_more_heads_than_slots_are_refused():
    with pytest.raises(UserError, match="heads is 4 and must be from 1 to 3"):
        MANN((3,), 2, slots=3)


@pytest.mark.parametrize("delay", [1, 2])
def test_the_nearest_in_features_by_loops(delay):
    torch.manual_seed(0)
    learner = AutoencoderNeighbour((1, 4, 4), 3, delay, hidden=8, features=5).eval()
    x, y = torch.rand(9, 2, 1, 4, 4), torch.randint(3, (9, 2))
    y_seen = torch.cat([torch.full((delay, 2), -1), y[:-delay]])
    answers = learner(x, y_seen)
    e = learner.encoder(x.flatten(2))
    for b in range(2):
        for t in range(9):
            distances = [(e[t, b] - e[s, b]).square().sum() for s in range(t - delay + 1)]
            for label in range(3):
                of_label = [each for s, each in enumerate(distances) if y[s, b] == label]
                if of_label:
                    torch.testing.assert_close(answers[t, b, label], -min(of_label), rtol=1e-4, atol=1e-6)
                else:
                    assert answers[t, b, label] == -1e9


def test_an_autoencoder_learns_to_draw():
    torch.manual_seed(0)
    learner = AutoencoderNeighbour((1, 6, 6), 3, hidden=32, features=8)
    x = torch.rand(4, 2, 1, 6, 6)
    optimiser = torch.optim.Adam(learner.parameters(), lr=3e-3)
    errors = []
    for _ in range(400):
        error = (learner.reconstructed(x) - x).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert learner.reconstructed(x).shape == x.shape and errors[-1] < 0.1 * errors[0]
