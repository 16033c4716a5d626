"""What all few-shot tasks have in common: how the classes and images of an episode are sampled."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from metamemory.errors import UserError
from metamemory.refusals import Checked
from metamemory.shapes import Float, Shaped
from metamemory.tasks.augmentation import flip_and_shift

GREY, DEVIATION = 0.5, 0.25  # about the mean and the standard deviation of photographs, on a scale of 0 to 1


class FewShot(Checked):
    """Samples classes, and images of them, from a data set that lies on the device as a whole.

    Attributes:
        channels: how many an image may have.

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
        UserError: the images are of another type or shape; a setting is out of its range.
    """

    channels: ClassVar[Sequence[int]] = (1, 2, 3, 4)

    def __init__(
        self,
        images: Tensor,
        n_way: int,
        classes: int | None,
        rotations: bool,
        augment: bool,
        images_per_class: int | None = None,
    ):
        require_images(images, self.channels, square=rotations or augment)
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
    if not isinstance(images, Tensor):
        raise UserError(f"images are {type(images).__name__} and must be a tensor: torch.as_tensor(images)")
    if images.dtype != torch.uint8:
        raise UserError(f"images are {images.dtype} and must be uint8, from 0 to 255".replace("torch.", ""))
    if images.dim() < 3 or images.shape[-3] not in (1, 2, 3, 4):
        raise UserError(f"images are {list(images.shape)}: channels are the third axis from the end, at most 4 of them")
    x = images.float() / 255
    return (x - GREY) / DEVIATION if images.shape[-3] == 3 else x


def denormalise(x: Float[Tensor, "*images channel height width"]) -> Shaped[Tensor, "*images channel height width"]:
    """The opposite of `normalise`."""
    if x.shape[-3] == 3:
        x = x * DEVIATION + GREY
    return (x * 255).round().to(torch.uint8)


def require_images(images: Any, channels: Sequence[int] = FewShot.channels, square: bool = False) -> None:
    """Refuse what is not a data set: uint8 [class, image, channel, height, width], with something along every axis.

    Args:
        images: what was given.
        channels: how many an image may have.
        square: whether its height must be its width.

    Raises:
        UserError: in one line, with the mend.
    """
    wanted = "must be a tensor uint8 [class, image, channel, height, width]"
    if not isinstance(images, Tensor):
        raise UserError(f"task: images are {type(images).__name__} and {wanted}")
    found = f"task: images are {str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
    if images.dtype != torch.uint8:
        mend = "; from 0 to 1, they are (255 * images).round().to(torch.uint8)" if images.is_floating_point() else ""
        raise UserError(f"{found} and {wanted}, from 0 to 255{mend}")
    if images.dim() != 5:
        mend = "; grey ones are images[:, :, None]" if images.dim() == 4 else ""
        raise UserError(f"{found} and {wanted}{mend}")
    if 0 in images.shape:
        raise UserError(f"{found}: there is nothing in them")
    if images.shape[2] not in channels:
        mend = "; with channels last, they are images.movedim(-1, 2)" if images.shape[-1] in channels else ""
        raise UserError(f"{found} and must have {' or '.join(map(str, channels))} channels, on the third axis{mend}")
    if square and images.shape[-1] != images.shape[-2]:
        raise UserError(f"{found} and must be square to be rotated, flipped or shifted")


def require(name: str, value: Any, low: int, high: int | None, why: str) -> None:
    """Refuse a setting of a task that is not a whole number from `low` to `high`.

    Raises:
        UserError: in one line, with the reason why.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise UserError(f"task: {name} is {value!r} and must be a whole number ({why})")
    if value < low or (high is not None and value > high):
        reach = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"task: {name} is {value} and must be {reach} ({why})")
