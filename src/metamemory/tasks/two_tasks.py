"""Two tasks in a row, with no word that one has ended (Irie et al. 2022, section 4.2).

A stream of images of a few classes of one data set, and then of as many of another, with the same labels. Each label is
shown after its image has been answered. When the second task begins, what was bound to the labels in the first is of no
use any more, and has to be written over.

    step      0     1     2     3     4     5     6     7              (delay 1, 2-way)
    x         ㄅ    ж     ж     ㄅ    cat   dog   dog   cat             the image
    y         1     0     0     1     0     1     1     0              what to answer now
    y_seen    null  1     0     0     1     0     1     1              the label shown with it
    shot      0     0     1     1     0     0     1     1              labels of this class shown in this task
              |_____________________|______________________|
               first task             second task
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Generator, Tensor

from metamemory.errors import UserError
from metamemory.settings import Count, Index
from metamemory.shapes import Float, Int
from metamemory.tasks.episode import Episode
from metamemory.tasks.online_few_shot import OnlineFewShot, delayed
from metamemory.tasks.sampling import DEVIATION, GREY, require
from metamemory.tasks.stream import Stream
from metamemory.tasks.supervised import Normalisation

ORDERS = ("either", "one_first", "other_first")


class TwoTasks(Stream):
    """Episodes of two tasks with the same number of classes and labels.

    In training, so that the second task does not always begin at the same step, some steps of the episode are left
    out: a random part of them at the end of the first task, the rest at the end of the second.

    Args:
        images, other: [class, image, channel, height, width] uint8 of the two data sets, images of one shape.
        n_way: classes of each task.
        samples_per_class: images of each class.
        delay: steps between an image and its label, at least 1.
        order: which data set comes first: "one_first" those of `images`, "other_first", or "either" at random.
        left_out: steps of an episode that are left out, the same number in every one.
        rotations: rotate every class of `images` by 0, 90, 180 and 270 degrees into four classes.
        augment: flip and shift each image of `other` at random.
        classes, images_per_class: of both data sets, see `FewShot`; for the start of a curriculum.
        normalisations: of the images of each data set. None: as in other tasks; drawings and photographs are then so
            far apart that, where a layer is normalised over both, those of one are hardly told apart.

    Raises:
        UserError: a setting is out of its range.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> task = TwoTasks(images, images, n_way=3, samples_per_class=4)
        >>> task.sample(8, torch.Generator().manual_seed(0)).x.shape
        torch.Size([24, 8, 1, 8, 8])
    """

    def __init__(
        self,
        images: Tensor,
        other: Tensor,
        n_way: Count,
        samples_per_class: Count,
        delay: Index = 1,
        order: Literal[ORDERS] = "either",
        left_out: Index = 0,
        rotations: bool = False,
        augment: bool = False,
        classes: Count | None = None,
        images_per_class: Count | None = None,
        normalisations: Sequence[Normalisation] | None = None,
    ):
        few = {"classes": classes, "images_per_class": images_per_class}
        self.one = OnlineFewShot(images, n_way, samples_per_class, delay, rotations=rotations, **few)
        self.other = OnlineFewShot(other, n_way, samples_per_class, delay, augment=augment, **few)
        require("left_out", left_out, 0, self.one.length - 1, "the steps of a task, of which one is left")
        if images.shape[2:] != other.shape[2:]:
            found = f"images are {list(images.shape[2:])} and the other ones {list(other.shape[2:])}"
            raise UserError(f"task: {found} [channel, height, width], and must be alike")
        if normalisations is not None and len(normalisations) != 2:
            raise UserError(f"task: normalisations are {len(normalisations)}, and must be one for each data set")
        self.n_way, self.samples_per_class, self.delay = n_way, samples_per_class, delay
        self.order, self.left_out, self.normalisations = order, left_out, normalisations

    def __str__(self) -> str:
        return f"two tasks, {self.n_way}-way"

    @property
    def device(self) -> torch.device:
        return self.one.device

    @property
    def length(self) -> int:
        """Steps in an episode."""
        return 2 * self.one.length - self.left_out

    @property
    def switch(self) -> int:
        """The step at which the second task begins where nothing is left out."""
        return self.one.length

    def sample(self, batch: int, generator: Generator) -> Episode:
        """Draw a batch of episodes, which all change task at the same step; the generator, on the device of the
        images, decides everything."""
        tasks = [task.sample(batch, generator) for task in (self.one, self.other)]
        x, y, shot = (torch.stack([getattr(each, name) for each in tasks]) for name in ("x", "y", "shot"))
        if self.normalisations is not None:
            x = torch.stack([normalised(*pair) for pair in zip(x, self.normalisations, strict=True)])
        first = self._first(batch, generator)  # 0 or 1, [batch]
        episodes = torch.arange(batch, device=self.device)
        cut = self.one.length - self._cut(generator)
        parts = [(first, cut), (1 - first, self.length - cut)]

        def in_a_row(of_each: Tensor) -> Tensor:
            """[2, time, batch, ...] -> [time, batch, ...]"""
            return torch.cat([of_each[which, :steps, episodes].transpose(0, 1) for which, steps in parts])

        y = in_a_row(y)
        return Episode(x=in_a_row(x), y_seen=delayed(y, self.delay), y=y, shot=in_a_row(shot))

    def _first(self, batch: int, generator: Generator) -> Int[Tensor, " batch"]:
        if self.order == "either":
            return torch.randint(2, (batch,), generator=generator, device=self.device)
        return torch.full((batch,), int(self.order == "other_first"), device=self.device)

    def _cut(self, generator: Generator) -> int:
        """Steps left out at the end of the first task."""
        if not self.left_out:
            return 0
        return int(torch.randint(self.left_out + 1, (), generator=generator, device=self.device))


def normalised(
    x: Float[Tensor, "*images channel height width"], by: Normalisation
) -> Float[Tensor, "*images channel height width"]:
    """Images that came from `sampling.normalise`, in place of that with a mean of 0 and a standard deviation of 1 over
    their data set."""
    x = x * DEVIATION + GREY if x.shape[-3] == 3 else x
    return (x - by.mean) / by.deviation
