"""Classes of permuted pixels: as many as permutations times classes, each with one order of its own."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.tasks.permuted import PermutedSupportQuery


def task(images, **changes) -> PermutedSupportQuery:
    settings = {"permutations": 5, "n_way": 4, "k_shot": 2, "n_query": 3, **changes}
    return PermutedSupportQuery(images, **settings)


def test_every_image_is_one_of_its_class_with_its_pixels_in_one_order(images):
    """By a loop over all classes, images and permutations."""
    found = task(images, permutations=3)
    episode = found.sample(6, torch.Generator().manual_seed(1))
    known = {}
    for permutation, order in enumerate(found.orders):
        for label, of_class in enumerate(images):
            for image in of_class:
                known[tuple((image.flatten()[order].float() / 255).tolist())] = (permutation, label)
    seen = set()
    for batch in range(6):
        of_label: dict[int, set] = {}
        for x, y in zip(episode.support_x[:, batch], episode.support_y[:, batch], strict=True):
            of_label.setdefault(y.item(), set()).add(known[tuple(x.flatten().tolist())])
        for x, y in zip(episode.query_x[:, batch], episode.query_y[:, batch], strict=True):
            of_label.setdefault(y.item(), set()).add(known[tuple(x.flatten().tolist())])
        assert all(len(classes) == 1 for classes in of_label.values())  # all images of a label are of one class
        assert len(set.union(*of_label.values())) == 4  # and labels of different ones
        seen |= set.union(*of_label.values())
    assert {permutation for permutation, _ in seen} == {0, 1, 2}


def test_support_and_queries_are_different_images(images):
    episode = task(images).sample(20, torch.Generator().manual_seed(2))
    together = torch.cat([episode.support_x, episode.query_x])
    for batch in range(20):
        assert len(together[:, batch].flatten(1).unique(dim=0)) == 4 * (2 + 3)


def test_orders_are_those_of_their_seed(images):
    first, again = task(images), task(images)
    other = task(images, permutation_seed=1)
    assert first.orders.equal(again.orders) and not first.orders.equal(other.orders)
    assert all(order.sort().values.equal(torch.arange(64)) for order in first.orders)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"permutations": 0}, "permutations is 0"),
        ({"n_way": 13}, "n_way is 13"),
        ({"k_shot": 9}, "n_query is 3"),
        ({"labels": 3}, "labels is 3"),
    ],
)
def test_what_is_out_of_range_is_refused(images, changes, match):
    with pytest.raises(UserError, match=match):
        task(images, **changes)
