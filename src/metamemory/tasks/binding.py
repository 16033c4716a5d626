"""Binding images to labels, one after the other (Santoro et al. 2016, sections 2, 4.1 and 4.2).

A stream of images of a few classes that the learner has never seen. It predicts the label of each, which is shown with
the next. The class of every step is chosen at random, so that some come often and others, of the up to n_way, rarely or
never.

    step      0     1     2     3     4    ...                      (labels of one character)
    x         ㄅ    ж     ж     ㄅ    ж                              the image, a little rotated and shifted
    y         1     0     0     1     0                              what to answer now
    y_seen    null  1     0     0     1                              the label shown with it
    shot      0     0     1     1     2                              images of this class before: instance - 1

Labels are one of n_way, or strings of five characters out of a to e, reshuffled in every episode. With strings an
answer is right if all five characters are.
"""

import math
from typing import Annotated

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.settings import Count, Range
from metamemory.shapes import Bool, Float, Int
from metamemory.tasks.augmentation import affine_warp
from metamemory.tasks.episode import Episode, Score
from metamemory.tasks.online_few_shot import delayed
from metamemory.tasks.sampling import FewShot, require, require_images

STRING, ALPHABET = 5, 5  # characters of a label, and how many there are to choose from
ROTATION = math.pi / 16  # radians, each way
SHIFT = 10 / 105  # of the side of an image, each way: 10 of Omniglot's 105 pixels
QUARTERS = 4  # of a full turn


class Binding(FewShot):
    """Episodes of `length` images, the class of each chosen at random among n_way.

    Images of a class are all different until each has been shown, or `images_per_class` of them. In every episode each
    class as a whole is rotated by 0, 90, 180 or 270 degrees; each image, besides, by up to `ROTATION`, and shifted by
    up to `SHIFT` each way.

    Args:
        images: [class, image, channel, height, width] uint8, of one split; square, and at most about twice as large as
            `size`.
        n_way: classes in an episode, at most.
        length: steps in an episode.
        strings: labels are strings of five characters instead of one of n_way.
        size: of an image as it is shown, in pixels.
        classes: how many to use, spread evenly over those given; None for all. See `FewShot`.
        augment: rotate and shift the images; without, they are upright and in place.
        images_per_class: see `FewShot`.
        labels: the labels of the n_way classes are chosen from so many; None for n_way. A learner that is to have more
            labels than there are classes in its first episodes meets all of them from the start.

    Raises:
        UserError: a setting is out of its range.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> episode = Binding(images, n_way=3, length=15, size=8).sample(8, torch.Generator().manual_seed(0))
        >>> episode.x.shape, episode.y.shape
        (torch.Size([15, 8, 1, 8, 8]), torch.Size([15, 8]))
    """

    def __init__(
        self,
        images: Tensor,
        n_way: Count,
        length: Count,
        strings: bool = False,
        size: Annotated[int, Range(least=1, most=1024)] = 20,
        classes: Count | None = None,
        augment: bool = True,
        labels: Count | None = None,
        images_per_class: Count | None = None,
    ):
        require_images(images, square=True)
        super().__init__(images, n_way, classes, rotations=False, augment=augment, images_per_class=images_per_class)
        require("length", length, 2, None, "a label is shown with the image after its own")
        require("size", size, 1, images.shape[-1], "the pixels of an image")
        if strings:
            require("n_way", n_way, 1, ALPHABET**STRING, "the strings there are")
        self.labels = n_way if labels is None else labels
        require("labels", self.labels, n_way, None, "the classes, each of which has its own")
        self.length, self.strings, self.size = length, strings, size

    def __str__(self) -> str:
        return f"{self.n_way} classes"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channel, height, width) of x."""
        return (self.images.shape[2], self.size, self.size)

    @property
    def chance(self) -> float:
        """Accuracy of a guess among the labels of the episode's classes, or all strings."""
        return ALPHABET**-STRING if self.strings else 1 / self.n_way

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything.

        With strings, y and y_seen are [time, batch, 5].
        """
        y = torch.randint(self.n_way, (self.length, batch), generator=generator, device=self.device)
        shot = occurrences_before(y, self.n_way)
        classes, chosen = self._draw(self.images.shape[1], batch, generator)
        episodes = torch.arange(batch, device=self.device)
        images = self.images[classes[episodes, y], chosen[episodes, y, shot % chosen.shape[2]]]
        angles, moves = self.random_affine(y, generator)
        x = affine_warp(images, angles, moves, self.size)
        if self.strings:
            y = self._strings(batch, generator)[episodes, y]
        elif self.labels > self.n_way:
            y = self._choose(self.labels, self.n_way, (batch,), generator)[episodes, y]
        return Episode(x=x, y_seen=delayed(y, 1), y=y, shot=shot)

    def answer(self, learner: nn.Module, episode: Episode) -> Float[Tensor, "time batch *choices"]:
        """Logits of all steps, [time, batch, n_way], or [time, batch, 5, 5] of strings: character, then choice."""
        return self.split_characters(learner(episode.x, episode.y_seen))

    def split_characters(self, logits: Tensor) -> Tensor:
        """A learner's output by character, where labels are strings."""
        return logits.unflatten(-1, (STRING, ALPHABET)) if self.strings else logits

    def right(
        self, logits: Float[Tensor, "time batch *characters choices"], y: Int[Tensor, "time batch *characters"]
    ) -> Bool[Tensor, "time batch"]:
        """Which answers are right, [time, batch]: of a string, all of it."""
        right = logits.argmax(dim=-1) == y
        return right.all(dim=-1) if self.strings else right

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """Cross-entropy of every step, of strings summed over the characters; accuracy from the second instance on."""
        return self.score_logits(self.answer(learner, episode), episode)

    def score_logits(self, logits: Tensor, episode: Episode) -> Score:
        """The same of answers that have been given."""
        loss = fn.cross_entropy(logits.flatten(0, -2), episode.y.flatten(), reduction="sum")
        with torch.no_grad():
            told = episode.shot >= 1
            accuracy = (self.right(logits, episode.y) & told).sum() / told.sum()
        return Score(loss / episode.y.shape[1], accuracy)

    def random_affine(self, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Angles [time, batch] in radians, the quarter turns of the class and a little for each image; and shifts
        [time, batch, 2] as shares of the image's side."""
        time, batch = y.shape
        quarters = torch.randint(QUARTERS, (batch, self.n_way), generator=generator, device=self.device)
        own = quarters[torch.arange(batch, device=self.device), y] * (2 * math.pi / QUARTERS)
        turn, right, down = 2 * torch.rand(3, time, batch, generator=generator, device=self.device) - 1
        angles, moves = own + ROTATION * turn, SHIFT * torch.stack([right, down], dim=-1)
        return self.augment * angles, self.augment * moves

    def _strings(self, batch: int, generator: Generator) -> Tensor:
        """Different strings for the classes of each episode, [batch, n_way, 5] int64."""
        numbers = self._choose(ALPHABET**STRING, self.n_way, (batch,), generator)
        places = ALPHABET ** torch.arange(STRING, device=self.device)
        return numbers[..., None] // places % ALPHABET


def occurrences_before(y: Int[Tensor, "time batch"], n_way: int) -> Int[Tensor, "time batch"]:
    """How often y_t has come before step t. [time, batch] int64, from 0 to n_way - 1."""
    counts = fn.one_hot(y, n_way).cumsum(dim=0)
    return counts.gather(-1, y[..., None])[..., 0] - 1
