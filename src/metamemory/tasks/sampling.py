"""What all few-shot tasks have in common: how the classes and images of an episode are sampled."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from metamemory.errors import UserError
from metamemory.shapes import Float, Shaped
from metamemory.tasks.augmentation import flip_and_shift

GREY, DEVIATION = 0.5, 0.25  # about the mean and the standard deviation of photographs, on a scale of 0 to 1


class FewShot:
    """Samples classes, and images of them, from a data set that lies on the device as a whole.

    Args:
        images: [class, image, channel, height, width] uint8, the classes of one split.
        n_way: classes in an episode.
        classes: how many to use, spread evenly over those given; None for all. For the start of a curriculum: with few
            classes, images are soon recognised, and what remains is to bind them to labels.
        rotations: rotate every class by 0, 90, 180 and 270 degrees into four classes.
        augment: flip and shift each image at random (`flip_and_shift`), as is usual for small photographs.
        images_per_class: different images of a class in an episode, which come in turn, again and again; None: all are
            different. For the start of a curriculum, too: an image that comes again is recognised by its likeness
            alone, so that what remains is to bind it; what images of a class have in common can be learned later.

    Raises:
        UserError: a setting is out of its range.
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
            require("images_per_class", images_per_class, 1, images.shape[1], "the images of a class")
        if classes is not None:
            require("classes", classes, 1, images.shape[0], "the classes of this split")
            images = images[:: images.shape[0] // classes][:classes]
        if rotations:
            turns = [torch.rot90(images, quarter, dims=(-2, -1)) for quarter in range(4)]
            images = torch.cat(turns).contiguous()
        require("n_way", n_way, 1, images.shape[0], "the classes of this split")
        self.images, self.n_way, self.augment, self.images_per_class = images, n_way, augment, images_per_class

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return 1 / self.n_way

    def _draw(self, k: int, batch: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Classes [batch, n_way] in random order, so that a class's place can be its label, and k images of each,
        [batch, n_way, k], as many of them different as `images_per_class` says; indices into `images`, int64."""
        classes = self._choose(self.images.shape[0], self.n_way, (batch,), generator)
        different = min(k, self.images_per_class or k)
        chosen = self._choose(self.images.shape[1], different, (batch, self.n_way), generator)
        return classes, chosen[..., torch.arange(k, device=self.device) % different]

    def _look_up(self, classes: Tensor, chosen: Tensor, generator: Generator) -> Tensor:
        """These images of these classes, as learners see them: [..., channel, height, width] float32."""
        x = self.images[classes, chosen]
        if self.augment:  # after all else is drawn, so that without it the same episodes are
            x = flip_and_shift(x, generator)
        return normalise(x)

    def _choose(self, n: int, k: int, shape: Sequence[int], generator: Generator) -> Tensor:
        """k different numbers below n, in random order: [*shape, k] int64."""
        keys = torch.rand(*shape, n, generator=generator, device=self.device)
        return keys.topk(k).indices


def normalise(images: Shaped[Tensor, "*images channel height width"]) -> Float[Tensor, "*images channel height width"]:
    """uint8 images [..., channel, height, width] as float32: drawings from 0 (paper) to 1 (ink); photographs, which
    have three channels, with a mean of about 0 and a standard deviation of about 1. (From 0 to 1, they all look much
    alike beside a label.)"""
    x = images.float() / 255
    return (x - GREY) / DEVIATION if images.shape[-3] == 3 else x


def denormalise(x: Float[Tensor, "*images channel height width"]) -> Shaped[Tensor, "*images channel height width"]:
    """The opposite of `normalise`."""
    if x.shape[-3] == 3:
        x = x * DEVIATION + GREY
    return (x * 255).round().to(torch.uint8)


def require(name: str, value: int, low: int, high: int | None, why: str) -> None:
    """Refuse a setting of a task that is not from `low` to `high`.

    Raises:
        UserError: in one line, with the reason why.
    """
    if value < low or (high is not None and value > high):
        reach = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"task: {name} is {value} and must be {reach} ({why})")
