"""What all tasks with a few classes have in common: where their drawings come from, and how they are chosen."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from metamemory.errors import UserError


class FewShot:
    """Draws classes, and drawings of them, from a data set that lies on the device as a whole.

    Args:
        images: [class, drawing, channel, height, width] uint8, the classes of one part of a split.
        n_way: classes in an episode.
        rotations: turn every class by 0, 90, 180 and 270 degrees into four classes.
    """

    def __init__(self, images: Tensor, n_way: int, rotations: bool):
        if rotations:
            turns = [torch.rot90(images, quarter, dims=(-2, -1)) for quarter in range(4)]
            images = torch.cat(turns).contiguous()
        require("n_way", n_way, 1, images.shape[0], "the classes of this part of the split")
        self.images, self.n_way = images, n_way

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return 1 / self.n_way

    def _draw(self, k: int, batch: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Classes [batch, n_way] in random order, so that a class's place can be its label, and k different
        drawings of each, [batch, n_way, k]; places in `images`, int64."""
        classes = self._choose(self.images.shape[0], self.n_way, (batch,), generator)
        return classes, self._choose(self.images.shape[1], k, (batch, self.n_way), generator)

    def _look_up(self, classes: Tensor, drawings: Tensor) -> Tensor:
        """The images at these places: [..., channel, height, width] float32, 0 to 1."""
        return self.images[classes, drawings].float() / 255

    def _choose(self, n: int, k: int, shape: Sequence[int], generator: Generator) -> Tensor:
        """k different numbers below n, in random order: [*shape, k] int64."""
        keys = torch.rand(*shape, n, generator=generator, device=self.device)
        return keys.topk(k).indices


def require(name: str, value: int, low: int, high: int | None, why: str) -> None:
    """Refuse a setting of a task that is not from `low` to `high`."""
    if value < low or (high is not None and value > high):
        reach = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"task: {name} is {value} and must be {reach} ({why})")
