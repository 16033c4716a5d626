"""Contexts and targets: functions have the covariance that is said, images are their pixels, contexts their sizes."""

import math

import numpy as np
import pytest
import torch

from metamemory.errors import UserError
from metamemory.tasks.completion import Completion
from metamemory.tasks.context_functions import ContextFunctions

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def functions(points=6, length_scales=(0.7,), **settings):
    return ContextFunctions(points, list(length_scales), 2.0, 0.1, CPU, **settings)


def images(channels=3):
    return torch.randint(0, 256, (2, 5, channels, 3, 4), dtype=torch.uint8, generator=generator())


def test_an_episode_knows_a_number_of_its_own_and_asks_for_all():
    task = functions(least_context=1, most_context=4)
    episode = task.sample(400, generator())
    assert episode.support_x.shape == (4, 400, 1) and episode.query_y.shape == (6, 400, 1) and task.length == 6
    known = ~episode.support_y[..., 0].isnan()
    counts = known.sum(dim=0)
    assert torch.equal(known, torch.arange(4)[:, None] < counts)  # the first of them
    assert counts.unique().tolist() == [1, 2, 3, 4] and all(count > 60 for count in counts.bincount()[1:])
    assert torch.equal(episode.support_y[known], episode.query_y[:4][known])
    assert torch.equal(episode.support_x, episode.query_x[:4])
    assert functions().most_context == 5 and functions().least_context == 0
    one, two = (functions().sample(3, generator(1)) for _ in range(2))
    assert torch.equal(one.query_y, two.query_y) and torch.equal(one.support_x, two.support_x)


def test_values_have_the_covariance_of_one_kernel():
    x = torch.tensor([[-1.0], [-0.4], [0.0], [1.5]])[:, None].expand(-1, 40_000, -1)
    f = functions(4).values(x, generator())[..., 0].double().numpy()
    places = [-1.0, -0.4, 0.0, 1.5]
    expected = [[math.exp(-((a - b) ** 2) / 2 / 0.7**2) for b in places] for a in places]
    np.testing.assert_allclose(np.cov(f), expected, atol=0.03)


def test_values_have_the_covariance_of_a_kernel_that_switches():
    """Of two places: of the first kernel where the switch is right of both, the second where it is left of both."""
    places = [-1.0, -0.4, 0.0, 1.5]
    x = torch.tensor(places)[:, None, None].expand(-1, 60_000, -1)
    f = functions(4, (0.9, 0.3)).values(x, generator())[..., 0].double().numpy()

    def covariance(a, b):
        right, left = (2 - max(a, b)) / 4, (min(a, b) + 2) / 4  # how likely the switch is there
        if a == b:
            return 1.0
        return sum(p * math.exp(-((a - b) ** 2) / 2 / scale**2) for p, scale in ((right, 0.9), (left, 0.3)))

    np.testing.assert_allclose(np.cov(f), [[covariance(a, b) for b in places] for a in places], atol=0.03)


def test_pixels_are_those_of_an_image():
    source = images()
    task = Completion(source, most_context=7)
    episode = task.sample(8, generator())
    assert episode.query_x.shape == (12, 8, 2) and episode.query_y.shape == (12, 8, 3)
    flat = source.flatten(0, 1)
    for b in range(8):
        rows, columns = ((episode.query_x[:, b] + 1) / 2 * torch.tensor([2, 3])).round().long().T
        assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 12
        pixels = torch.zeros(3, 3, 4)
        pixels[:, rows, columns] = episode.query_y[:, b].T * 255
        assert any(torch.equal(pixels.round().byte(), image) for image in flat)
    orders = {tuple(episode.query_x[:, b].flatten().tolist()) for b in range(8)}
    assert len(orders) == 8


def test_pixels_in_order_come_row_by_row():
    episode = Completion(images(1), least_context=5, most_context=5, ordered=True).sample(2, generator())
    rows, columns = ((episode.support_x[:, 0] + 1) / 2 * torch.tensor([2, 3])).round().long().T
    assert rows.tolist() == [0, 0, 0, 0, 1] and columns.tolist() == [0, 1, 2, 3, 0]
    assert not episode.support_y.isnan().any()


@pytest.mark.parametrize("settings", [{"most_context": 13}, {"points": 13}, {"points": 6, "most_context": 7}])
def test_a_context_larger_than_the_image_is_refused(settings):
    with pytest.raises(UserError, match="image, which has 12 pixels") as error:
        Completion(images(), **settings)
    assert "\n" not in str(error.value)


def test_impossible_functions_are_refused():
    for settings, told in (
        ({"length_scales": ()}, r"length_scales is \[\], .*1 to 2 of them"),
        ({"length_scales": (1.0, 1.0, 1.0)}, r"length_scales is \[1.0, 1.0, 1.0\], .*1 to 2 of them"),
        ({"length_scales": (0.0,)}, r"length_scales is \[0.0\], "),
        ({"points": 0}, "points is 0"),
        ({"most_context": 7}, "most_context is 7"),
        ({"least_context": 3, "most_context": 2}, "least_context is 3"),
    ):
        with pytest.raises(UserError, match=told):
            functions(**settings)
