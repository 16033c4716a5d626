"""Images are split by position, drawn with their labels, and normalised as a plain loop does it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.tasks.augmentation import flip_and_shift
from metamemory.tasks.supervised import Normalisation, Supervised, split_images


@pytest.fixture
def images():
    """[class 4, image 60, channel 3, 8, 8] uint8: 50 of a class for training, then 10 for testing."""
    return torch.randint(0, 256, (4, 60, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def task(images, **settings):
    return Supervised(images, Normalisation.of(images), **settings)


@pytest.mark.parametrize(("count", "train", "held_out", "test"), [(6000, 4500, 500, 1000), (600, 450, 50, 100)])
def test_the_boundaries_are_those_of_cifar(count, train, held_out, test):
    numbers = torch.stack([torch.arange(count) // 256, torch.arange(count) % 256], dim=-1).to(torch.uint8)
    split = split_images(numbers[None, :, None, None].expand(3, -1, 1, 1, 2), n_way=2)
    assert [each.shape[:2] for each in split] == [(2, train), (2, held_out), (2, test)]
    one = [(each[0, :, 0, 0].long() @ torch.tensor([256, 1])).tolist() for each in split]
    assert sorted(one[0] + one[1]) == list(range(train + held_out))
    assert one[2] == list(range(train + held_out, count))
    assert one[1] == list(range(9, train + held_out, 10))  # evenly: they are sorted by what they show


def test_what_cannot_be_split_is_refused(images):
    with pytest.raises(UserError, match="n_way is 5 and must be from 1 to 4"):
        split_images(images, 5)
    with pytest.raises(UserError, match="images of a class is 59"):
        split_images(images[:, :59], 4)


def test_the_normalisation_is_that_of_the_training_images(images):
    mean, deviation = Normalisation.of(images)
    for channel in range(3):
        values = images[:, :, channel].numpy().astype(np.float64) / 255
        assert mean[channel].item() == pytest.approx(values.mean(), abs=1e-6)
        assert deviation[channel].item() == pytest.approx(values.std(), abs=1e-6)


def test_one_colour_is_no_division_by_zero():
    black = torch.zeros(2, 60, 3, 8, 8, dtype=torch.uint8)
    episode = task(black).sample(3, torch.Generator().manual_seed(0))
    assert episode.x.isfinite().all()


def test_every_image_comes_with_its_own_label(images):
    """Each drawn image is found again among the originals, in the class that its label says."""
    one = task(images)
    episode = one.sample(50, torch.Generator().manual_seed(0))
    assert episode.x.shape == (1, 50, 3, 8, 8) and episode.x.dtype == torch.float32
    assert (episode.y_seen == -1).all() and (episode.shot == 0).all()
    mean, deviation = one.normalisation
    for x, y in zip(episode.x[0], episode.y[0], strict=True):
        original = (x * deviation + mean).mul(255).round().to(torch.uint8)
        assert (images[y] == original).all(dim=(1, 2, 3)).sum() == 1


def test_all_images_are_drawn_and_all_classes_as_often(images):
    episode = task(images).sample(20_000, torch.Generator().manual_seed(0))
    assert torch.bincount(episode.y[0]).float().div(20_000).sub(0.25).abs().max() < 0.02
    assert len(episode.x[0].flatten(1).unique(dim=0)) == 240


def test_the_generator_decides_everything(images):
    one, two, other = (
        task(images, augment=True).sample(8, torch.Generator().manual_seed(seed)).x for seed in (0, 0, 1)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_augmentation_moves_and_mirrors_before_it_normalises(images):
    """What comes in at the border is black, as normalised; the rest is the image, moved by at most an eighth."""
    plain, varied = task(images), task(images, augment=True)
    generator = torch.Generator().manual_seed(3)
    chosen = torch.randint(240, (5,), generator=generator)
    mean, deviation = plain.normalisation
    expected = (flip_and_shift(images.flatten(0, 1)[chosen], generator).float() / 255 - mean) / deviation
    torch.testing.assert_close(varied.sample(5, torch.Generator().manual_seed(3)).x[0], expected)

    found = set()
    for seed in range(40):
        x = varied.sample(1, torch.Generator().manual_seed(seed)).x[0, 0] * deviation + mean
        image = images.flatten(0, 1)[torch.randint(240, (1,), generator=torch.Generator().manual_seed(seed))][0] / 255
        padded = fn.pad(image, (1, 1, 1, 1))
        found |= {
            (down, right, mirrored)
            for down in range(3)
            for right in range(3)
            for mirrored in (False, True)
            if torch.allclose(x, _moved(padded, down, right, mirrored), atol=1e-5)
        }
    assert len(found) == 18  # every move and both ways round


def _moved(padded, down, right, mirrored):
    cut = padded[:, down : down + 8, right : right + 8]
    return cut.flip(-1) if mirrored else cut


def test_in_order_every_image_comes_once(images):
    one = task(images, augment=True)
    episodes = list(one.in_order(100))
    assert [each.y.shape[1] for each in episodes] == [100, 100, 40]
    assert torch.equal(torch.cat([each.y[0] for each in episodes]), torch.arange(4).repeat_interleave(60))
    mean, deviation = one.normalisation
    x = torch.cat([each.x[0] for each in episodes]) * deviation + mean
    torch.testing.assert_close(x, images.flatten(0, 1) / 255, atol=1e-5, rtol=0)


def test_the_score_is_the_cross_entropy(images):
    class Fixed(nn.Module):
        def forward(self, x, y_seen):
            return x[..., 0, 0, :1] * torch.tensor([1.0, -2.0, 0.5, 0.0])

    one = task(images)
    episode = one.sample(16, torch.Generator().manual_seed(0))
    score = one.score(Fixed(), episode)
    logits = Fixed()(episode.x, episode.y_seen)[0].double().numpy()
    losses, right = [], []
    for row, y in zip(logits, episode.y[0].tolist(), strict=True):
        losses.append(np.log(np.exp(row).sum()) - row[y])
        right.append(row.argmax() == y)
    assert score.loss.item() == pytest.approx(np.mean(losses), abs=1e-5)
    assert score.accuracy.item() == pytest.approx(np.mean(right))
    assert one.chance == 0.25 and one.length == 1 and str(one) == "4 classes"
