"""Online few-shot learning (Babu et al. 2021, section 3.1; Santoro et al. 2016, section 2).

A stream of images of a few classes that the learner has never seen. At each step it predicts the label of the image
before it; the right label is shown `delay` steps later. Labels are reshuffled in every episode, so that only the stream
itself can tell them.

    step      0     1     2     3     4    ...                      (delay 1, 2-way)
    x         ㄅ    ж     ж     ㄅ    ж                              the image
    y         1     0     0     1     0                              what to answer now
    y_seen    null  1     0     0     1                              the label shown with it
    shot      0     0     1     1     2                              labels of this class shown so far
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.settings import Count, Index
from metamemory.shapes import Bool, Float, Int
from metamemory.tasks.episode import Episode, Score
from metamemory.tasks.sampling import FewShot, require


class OnlineFewShot(FewShot):
    """k-way episodes with the same number of samples_per_class of each class, in random order.

    A batch of episodes is one gather from the data set.

    Args:
        images, n_way, classes, rotations, augment, images_per_class: see `FewShot`.
        samples_per_class: images of each class in an episode, all different unless `images_per_class` says otherwise;
            the last is seen after `samples_per_class - 1` others.
        delay: steps between an image and its label, at least 1.

    Raises:
        UserError: a setting is out of its range.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> episode = OnlineFewShot(images, n_way=5, samples_per_class=4).sample(8, torch.Generator().manual_seed(0))
        >>> episode.x.shape, episode.y_seen.shape  # time, batch, ...
        (torch.Size([20, 8, 1, 8, 8]), torch.Size([20, 8]))
    """

    def __init__(
        self,
        images: Tensor,
        n_way: Count,
        samples_per_class: Count,
        delay: Index = 1,
        classes: Count | None = None,
        rotations: bool = False,
        augment: bool = False,
        images_per_class: Count | None = None,
    ):
        super().__init__(images, n_way, classes, rotations, augment, images_per_class)
        require("samples_per_class", samples_per_class, 1, images.shape[1], "the images of a class")
        require("delay", delay, 1, None, "a label is shown after its image has been answered")
        self.samples_per_class, self.delay = samples_per_class, delay

    def __str__(self) -> str:
        return f"{self.n_way}-way"

    @property
    def length(self) -> int:
        """Steps in an episode."""
        return self.n_way * self.samples_per_class

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of episodes; the generator, on the device of the images, decides everything."""
        classes, chosen = self._draw(self.samples_per_class, batch, generator)
        order = self._choose(self.length, self.length, (batch,), generator).T  # [time, batch]

        y = order // self.samples_per_class
        x = self._look_up(classes.T.gather(0, y), chosen.flatten(1).T.gather(0, order), generator)
        return Episode(x=x, y_seen=delayed(y, self.delay), y=y, shot=shots(y, self.delay))

    def answer(self, learner: nn.Module, episode: Episode) -> Float[Tensor, "time batch n_way"]:
        """Logits of all steps, [time, batch, n_way]."""
        return learner(episode.x, episode.y_seen)

    def right(
        self, logits: Float[Tensor, "time batch n_way"], y: Int[Tensor, "time batch"]
    ) -> Bool[Tensor, "time batch"]:
        """Which answers are right, [time, batch] bool."""
        return logits.argmax(dim=-1) == y

    def score(self, learner: nn.Module, episode: Episode) -> Score:
        """Cross-entropy of every step; accuracy of those that a label of their class was shown before."""
        logits = self.answer(learner, episode)
        loss = fn.cross_entropy(logits.flatten(0, 1), episode.y.flatten(), ignore_index=-1, reduction="sum")
        with torch.no_grad():
            told = episode.shot >= 1
            accuracy = (self.right(logits, episode.y) & told).sum() / told.sum()
        return Score(loss / episode.y.shape[1], accuracy)


def delayed(y: Int[Tensor, "time batch *label"], delay: int) -> Int[Tensor, "time batch *label"]:
    """Labels as shown: y moved `delay` steps later, null (-1) before. [time, batch] int64."""
    if delay < 1:
        raise UserError(f"delay is {delay} and must be at least 1: a label is shown after its image")
    return torch.cat([torch.full_like(y[:delay], -1), y[:-delay]])[: len(y)]


def shots(y: Int[Tensor, "time batch"], delay: int) -> Int[Tensor, "time batch"]:
    """How many labels of y_t's class are shown up to and with step t. [time, batch] int64."""
    same = y[:, None] == y[None]  # [time t, time j, batch]
    steps = torch.arange(len(y), device=y.device)
    shown = (steps[:, None] - steps[None]) >= delay
    return (same & shown[..., None]).sum(dim=1)
