"""What all tasks with a few classes have in common: where their drawings come from, and how they are chosen."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from metamemory.errors import UserError
from metamemory.tasks.augmentation import flip_and_shift

GREY, DEVIATION = 0.5, 0.25  # about the mean and the standard deviation of photographs, on a scale of 0 to 1


class FewShot:
    """Draws classes, and drawings of them, from a data set that lies on the device as a whole.

    Args:
        images: [class, drawing, channel, height, width] uint8, the classes of one part of a split.
        n_way: classes in an episode.
        classes: to take, spread evenly over those given; None for all. A beginning of a curriculum: with a few, to
            tell drawings apart is soon learned, and what remains is to bind them to labels.
        rotations: turn every class by 0, 90, 180 and 270 degrees into four classes.
        augment: mirror and move each drawing by lot (`flip_and_shift`), as is usual for small photographs.
        images_per_class: of a class that are different in an episode; they come in turn, again and again. None: all differ.
            Another beginning of a curriculum: a drawing that comes again is known by its likeness alone, so that what
            remains is to bind it; what drawings of a class have in common can be learned after.
    """

    def __init__(
        self,
        images: Tensor,
        n_way: int,
        classes: int | None,
        rotations: bool,
        augment: bool,
        images_per_class: int | None = None,
    ):
        if images_per_class is not None:
            require("images_per_class", images_per_class, 1, images.shape[1], "the drawings of a class")
        if classes is not None:
            require("classes", classes, 1, images.shape[0], "the classes of this part of the split")
            images = images[:: images.shape[0] // classes][:classes]
        if rotations:
            turns = [torch.rot90(images, quarter, dims=(-2, -1)) for quarter in range(4)]
            images = torch.cat(turns).contiguous()
        require("n_way", n_way, 1, images.shape[0], "the classes of this part of the split")
        self.images, self.n_way, self.augment, self.images_per_class = images, n_way, augment, images_per_class

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return 1 / self.n_way

    def _draw(self, k: int, batch: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Classes [batch, n_way] in random order, so that a class's place can be its label, and k drawings of each,
        [batch, n_way, k], as many of them different as `images_per_class` says; places in `images`, int64."""
        classes = self._choose(self.images.shape[0], self.n_way, (batch,), generator)
        different = min(k, self.images_per_class or k)
        drawings = self._choose(self.images.shape[1], different, (batch, self.n_way), generator)
        return classes, drawings[..., torch.arange(k, device=self.device) % different]

    def _look_up(self, classes: Tensor, drawings: Tensor, generator: Generator) -> Tensor:
        """The images at these places, as learners see them: [..., channel, height, width] float32."""
        x = self.images[classes, drawings]
        if self.augment:  # after all else is drawn, so that without it the same episodes are
            x = flip_and_shift(x, generator)
        return normalise(x)

    def _choose(self, n: int, k: int, shape: Sequence[int], generator: Generator) -> Tensor:
        """k different numbers below n, in random order: [*shape, k] int64."""
        keys = torch.rand(*shape, n, generator=generator, device=self.device)
        return keys.topk(k).indices


def normalise(images: Tensor) -> Tensor:
    """uint8 images [..., channel, height, width] as float32: drawings from 0, paper, to 1, ink; photographs, which
    have three channels, about 0, their usual deviation about 1. (On 0 to 1 they are all much alike beside a label.)"""
    x = images.float() / 255
    return (x - GREY) / DEVIATION if images.shape[-3] == 3 else x


def denormalise(x: Tensor) -> Tensor:
    """The opposite of `normalise`."""
    if x.shape[-3] == 3:
        x = x * DEVIATION + GREY
    return (x * 255).round().to(torch.uint8)


def require(name: str, value: int, low: int, high: int | None, why: str) -> None:
    """Refuse a setting of a task that is not from `low` to `high`."""
    if value < low or (high is not None and value > high):
        reach = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"task: {name} is {value} and must be {reach} ({why})")
