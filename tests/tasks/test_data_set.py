"""Networks that learn a data set: what their samples are."""

import pytest
import torch

from metamemory.errors import UserError
from metamemory.tasks.data_set import DataSet, cropped, split_of_each_class
from metamemory.tasks.supervised import Normalisation

IMAGES = (torch.arange(6 * 24 * 9, dtype=torch.float64) * 7 % 251).to(torch.uint8).view(6, 24, 1, 3, 3)


def task(n_way=6, groups=None, images=IMAGES, **settings):
    splits = split_of_each_class(images)
    return DataSet(splits.train, splits.test, Normalisation.of(splits.train), n_way, 3, 4, 5, groups, **settings)


def number_of(task, x):
    """For each sample, the (class, image) that it is of, in `images` and in `queries`; None where it is in neither."""
    mean, deviation = task.normalisation
    found = []
    for images in (task.images, task.queries):
        every = ((images.float() / 255 - mean) / deviation).flatten(2)  # [class, image, pixel]
        near = (every[None, None] - x.flatten(2)[:, :, None, None]).abs().amax(dim=-1) < 1e-5
        found.append(near)
    return found


def test_samples_are_images_of_their_classes_and_queries_are_others():
    drawn = task().sample(4, torch.Generator().manual_seed(0))
    assert drawn.support_x.shape == (12, 4, 1, 3, 3) and drawn.query_x.shape == (5, 4, 1, 3, 3)
    for x, y, which in ((drawn.support_x, drawn.support_y, 0), (drawn.query_x, drawn.query_y, 1)):
        there = number_of(task(), x)
        assert there[which].flatten(2).any(dim=-1).all() and not there[1 - which].any()
        of_class = there[which].any(dim=-1)
        assert of_class.gather(2, y[..., None]).all()
    again = task().sample(4, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.support_x, again.support_x) and torch.equal(drawn.query_y, again.query_y)


def test_an_episode_is_of_one_group_whose_order_is_that_of_labels():
    groups = [[4, 2], [0, 1, 5]]
    grouped = task(n_way=3, groups=groups)
    drawn = grouped.sample(40, torch.Generator().manual_seed(1))
    there = number_of(grouped, drawn.support_x)[0].any(dim=-1)  # [sample, episode, class]
    counts = set()
    for episode in range(40):
        classes = [there[n, episode].nonzero().flatten().tolist() for n in range(12)]
        (group,) = (each for each in groups if all(set(found) & set(each) for found in classes))
        assert all(group[y] in found for y, found in zip(drawn.support_y[:, episode], classes, strict=True))
        counts.add(len(group))
    assert counts == {2, 3} and grouped.chance == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_of_more_classes_than_labels_some_are_drawn_for_each_episode():
    few = task(n_way=2)
    lives = few.lives(60, torch.Generator().manual_seed(0))
    assert lives.classes.shape == (60, 2) and lives.classes.unique().tolist() == list(range(6))
    assert (lives.classes[:, 0] != lives.classes[:, 1]).all()


def test_permutations_and_projections_are_of_an_episode_and_of_as_many_as_asked():
    plain = task().sample(200, torch.Generator().manual_seed(0))
    for changed in ("permuted", "projected"):
        for share, least, most in ((1.0, 1.0, 1.0), (0.5, 0.35, 0.65)):
            there = number_of(task(), task(**{changed: share}).sample(200, torch.Generator().manual_seed(0)).support_x)
            unknown = ~there[0].flatten(2).any(dim=-1)  # [sample, episode]
            assert least <= unknown.any(dim=0).float().mean() <= most
    assert number_of(task(), plain.support_x)[0].flatten(2).any(dim=-1).all()
    permuted = task(permuted=1.0)
    lives = permuted.lives(2, torch.Generator().manual_seed(0))
    seen, asked = lives.samples(50)[0], lives.samples(50, queries=True)[0]
    back = lives.orders.argsort(dim=-1)
    for x in (seen, asked):
        x = x.flatten(2).gather(2, back.expand_as(x.flatten(2))).view(x.shape)
        assert any(each.flatten(2).any(dim=-1).all() for each in number_of(permuted, x))


def test_loss_and_accuracy_are_of_the_queries():
    class Knows(torch.nn.Module):
        def answer_queries(self, support_x, support_y, query_x):
            return torch.full((5, 2, 6), -30.0).scatter(2, drawn.query_y[..., None], 30.0)

        def answer_stream(self, x, y):
            """Right where the label is 3 or more, else the label after it."""
            return torch.full((12, 2, 6), -30.0).scatter(2, (y + (y < 3))[..., None], 30.0)

    drawn = task().sample(2, torch.Generator().manual_seed(0))
    stream = task(scored="stream")
    assert torch.equal(stream.wanted(drawn), drawn.support_y) and torch.equal(task().wanted(drawn), drawn.query_y)
    assert stream.score(Knows(), drawn).accuracy == (drawn.support_y >= 3).float().mean()
    score = task().score(Knows(), drawn)
    assert score.loss < 1e-5 and score.accuracy == 1
    assert task().length == 17 and task().chance == pytest.approx(1 / 6)


def test_cropping_takes_the_middle_and_means_of_squares():
    images = torch.zeros(1, 2, 1, 8, 8, dtype=torch.uint8)
    images[0, 0, 0, 2:4, 2:4] = torch.tensor([[0, 100], [200, 20]], dtype=torch.uint8)
    small = cropped(images, 4, 2)
    assert small.shape == (1, 2, 1, 2, 2) and small[0, 0, 0].tolist() == [[80, 0], [0, 0]]
    assert torch.equal(cropped(images, 8, 8), images)


def test_faults_are_told():
    with pytest.raises(UserError, match="crop is 9 and must be from 1 to 8"):
        cropped(torch.zeros(1, 2, 1, 8, 8, dtype=torch.uint8), 9, 3)
    with pytest.raises(UserError, match="crop is 6 and must be a multiple of size, 4"):
        cropped(torch.zeros(1, 2, 1, 8, 8, dtype=torch.uint8), 6, 4)
    with pytest.raises(UserError, match="groups has .*, but there are 6 classes"):
        task(groups=[[0, 6]])
    with pytest.raises(UserError, match="groups has .* and 2 labels"):
        task(n_way=2, groups=[[0, 1, 2]])
    with pytest.raises(UserError, match="images of a class is 11"):
        split_of_each_class(IMAGES[:, :11])
