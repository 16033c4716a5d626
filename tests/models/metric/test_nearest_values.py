"""Nearest values by loops."""

import math

import pytest
import torch

from metamemory.models.metric.nearest_values import NearestValues
from metamemory.nn.labels import Values


@pytest.mark.parametrize("neighbours", [1, 3, 9])
@pytest.mark.parametrize("unknown", [[], [0, 2]])
def test_the_mean_of_the_nearest_by_loops(neighbours, unknown):
    generator = torch.Generator().manual_seed(0)
    x, y, places = (torch.rand(*shape, generator=generator) for shape in ((6, 2, 2), (6, 2, 3), (4, 2, 2)))
    y[unknown] = torch.nan
    found = NearestValues((2,), Values(3), neighbours, deviation=0.5).answer_queries(x, y, places)
    for b in range(2):
        for m in range(4):
            near = sorted(
                (n for n in range(6) if n not in unknown), key=lambda n: (x[n, b] - places[m, b]).norm().item()
            )
            expected = torch.stack([y[n, b] for n in near[:neighbours]]).mean(dim=0)
            torch.testing.assert_close(found[m, b, :3], expected)
    torch.testing.assert_close(found[..., 3:], torch.full((4, 2, 3), 2 * math.log(0.5)))


def test_where_nothing_is_known_and_in_a_stream():
    learner, places = NearestValues((2,), Values(1)), torch.rand(4, 2, 2)
    assert (learner.answer_queries(places[:0], places[:0, :, :1], places)[..., 0] == 0.5).all()
    state = learner.initial_state(2)
    _, state = learner.step(places[0], torch.full((2, 1), torch.nan), state)
    answer, state = learner.step(places[1], torch.full((2, 1), 0.25), state)
    assert (answer[:, 0] == 0.25).all()
