"""Episodes of one object: pictures with masks, then pictures to answer."""

import pytest
import torch
from torch import nn

from metamemory.errors import UserError
from metamemory.tasks.segmentation_support_query import SegmentationSupportQuery


@pytest.fixture
def pictures():
    """[class 6, picture 10, channel 4, 8, 8] uint8: every picture different, with its mask in red too."""
    images = torch.randint(0, 256, (6, 10, 4, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images[:, :, 3] = torch.where(images[:, :, 3] < 80, 255, 0)
    images[:, :, 0] = images[:, :, 3]
    return images


class Adapts(nn.Module):
    """Answers with what is red."""

    def answer_queries(self, support_x, support_y, query_x):
        assert torch.equal(support_x[:, :, 0], support_y)
        return 200 * query_x[:, :, 0] - 100


def test_pictures_are_of_one_object_all_different_with_their_masks(pictures):
    task = SegmentationSupportQuery(pictures, 3, 4)
    episode = task.sample(5, torch.Generator().manual_seed(0))
    assert episode.support_x.shape == (3, 5, 3, 8, 8) and episode.query_x.shape == (4, 5, 3, 8, 8)
    assert episode.query_y.shape == (4, 5, 8, 8)
    every, masks = torch.cat([episode.support_x, episode.query_x]), torch.cat([episode.support_y, episode.query_y])
    assert torch.equal(every[:, :, 0], masks)
    for b in range(5):
        found = [
            ((pictures[:, :, :3].float() / 255 - x).abs().amax(dim=(2, 3, 4)) < 1e-6).nonzero()[0].tolist()
            for x in every[:, b]
        ]
        assert len({kind for kind, _ in found}) == 1 and len({number for _, number in found}) == 7
    score = task.score(Adapts(), episode)
    assert score.loss < 1e-6 and score.accuracy == 1


def test_chance_is_the_toss_of_a_coin(pictures):
    task = SegmentationSupportQuery(pictures, 3, 4)
    episode = task.sample(300, torch.Generator().manual_seed(0))
    coin = torch.randn(episode.query_y.shape, generator=torch.Generator().manual_seed(3))

    class Tosses(nn.Module):
        def answer_queries(self, *_):
            return coin

    assert task.score(Tosses(), episode).accuracy.item() == pytest.approx(task.chance, abs=0.01)


@pytest.mark.parametrize(("k_shot", "n_query", "message"), [(0, 1, "k_shot is 0"), (4, 7, "n_query is 7")])
def test_impossible_tasks_are_refused(pictures, k_shot, n_query, message):
    with pytest.raises(UserError, match=message):
        SegmentationSupportQuery(pictures, k_shot, n_query)
