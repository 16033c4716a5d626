"""Standard supervised learning, put as episodes of one step (Babu et al. 2021, section 4.5).

An episode is one image, to be classified with nothing seen before; the classes are the same in all of them, so that the
weights can know them. A batch of episodes is what is called a batch of images elsewhere.

    x         an image            [1, batch, channel, height, width]
    y_seen    null                there was no step before
    y         its class           the same classes in training and in testing
    shot      0                   no label of any class was shown

Images are drawn each on its own, not epoch by epoch: after as many draws as there are images, 63 % of them have come.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.refusals import Checked, check_normalisation
from metamemory.shapes import Float, Shaped
from metamemory.tasks.augmentation import flip_and_shift
from metamemory.tasks.episode import Episode, Score
from metamemory.tasks.sampling import require, require_images

TEST_SHARE = 6  # of a class's images one in so many is for testing, the last ones: 1,000 of 6,000, or 100 of 600
VALIDATION_SHARE = (
    10  # of the others, one in so many is held out, evenly over them: they are in order of what they show
)


class ImageSplits(NamedTuple):
    """Images uint8 [class, image, channel, height, width] of the same classes."""

    train: Tensor
    validation: Tensor
    test: Tensor


def split_images(images: Shaped[Tensor, "classes image channel height width"], n_way: int) -> ImageSplits:
    """The first `n_way` classes, their images for training, held out from these, and for testing.

    Args:
        images: uint8 [class, image, channel, height, width]; of a class, the images for training come first.

    Raises:
        UserError: there are not so many classes, or too few images in each.
    """
    require_images(images)
    require("n_way", n_way, 1, images.shape[0], "the classes of the data set")
    count = images.shape[1]
    require("images of a class", count, TEST_SHARE * VALIDATION_SHARE, None, "else no tenth of five sixths is left")
    boundary = count - count // TEST_SHARE
    held_out = torch.arange(boundary) % VALIDATION_SHARE == VALIDATION_SHARE - 1
    known = images[:n_way, :boundary]
    return ImageSplits(known[:, ~held_out], known[:, held_out], images[:n_way, boundary:])


class Normalisation(NamedTuple):
    """Mean and standard deviation of the training images, [channel, 1, 1] float32, on the scale of 0 to 1."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, images: Tensor) -> "Normalisation":
        """Of uint8 [class, image, channel, height, width].

        Raises:
            UserError: they are of another type or shape.
        """
        require_images(images)
        moments = []
        for of_class in images:  # one at a time: 8 bytes a pixel are many
            x = of_class.double() / 255
            moments.append(torch.stack([x.mean(dim=(0, 2, 3)), (x**2).mean(dim=(0, 2, 3))]))
        mean, square = torch.stack(moments).mean(dim=0)
        deviation = (square - mean**2).sqrt().clamp(min=1e-3)
        return cls(mean.float()[:, None, None], deviation.float()[:, None, None])


class Supervised(Checked):
    """Images of known classes.

    Args:
        images: uint8 [class, image, channel, height, width], on the device; a class's place is its label.
        normalisation: of the training images.
        augment: flip and shift each image at random (`augmentation.flip_and_shift`): at 32x32 the usual flip, and the
            usual crop from a margin of 4 pixels, here in black.

    Example:
        >>> images = torch.randint(0, 256, (5, 10, 3, 8, 8), dtype=torch.uint8)
        >>> task = Supervised(images, Normalisation.of(images))
        >>> task.sample(4, torch.Generator().manual_seed(0)).x.shape
        torch.Size([1, 4, 3, 8, 8])
    """

    length = 1

    def __init__(self, images: Tensor, normalisation: Normalisation, augment: bool = False):
        require_images(images, square=augment)
        check_normalisation(normalisation, images)
        self.n_way, self.per_class = images.shape[:2]
        self.images, self.normalisation, self.augment = images.flatten(0, 1), normalisation, augment

    def __str__(self) -> str:
        return f"{self.n_way} classes"

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return 1 / self.n_way

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of images; the generator, on the device of the images, decides everything."""
        chosen = torch.randint(len(self), (batch,), generator=generator, device=self.device)
        images = self.images[chosen]
        return self._episode(flip_and_shift(images, generator) if self.augment else images, chosen)

    def in_order(self, batch: int) -> Iterator[Episode]:
        """Every image once, as it is."""
        for chosen in torch.arange(len(self), device=self.device).split(batch):
            yield self._episode(self.images[chosen], chosen)

    def answer(self, learner: nn.Module, episode: Episode) -> Float[Tensor, "1 batch n_way"]:
        """Logits [1, batch, n_way]."""
        return learner(episode.x, episode.y_seen)

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """Cross-entropy and accuracy."""
        logits = self.answer(learner, episode)[0]
        accuracy = (logits.argmax(dim=-1) == episode.y[0]).float().mean()
        return Score(fn.cross_entropy(logits, episode.y[0]), accuracy)

    def _episode(self, images: Tensor, chosen: Tensor) -> Episode:
        mean, deviation = self.normalisation
        y = (chosen // self.per_class)[None]
        x = (images.float() / 255 - mean) / deviation
        return Episode(x=x[None], y_seen=torch.full_like(y, -1), y=y, shot=torch.zeros_like(y))
