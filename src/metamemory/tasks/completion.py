"""Images of which some pixels are known (Garnelo et al. 2018, section 4.2): functions from places to values.

    x = (row, column) from -1 to 1       y = the pixel's channels from 0 to 1

The known pixels are chosen at random, or the first in order, row by row from the top.
"""

import torch
from torch import Generator, Tensor

from metamemory.settings import Count, Index
from metamemory.shapes import Float, Shaped
from metamemory.tasks.context_target import ContextTarget
from metamemory.tasks.sampling import require_images


class Completion(ContextTarget):
    """Pixels of an image each.

    Args:
        images: [class, image, channel, height, width] uint8.
        points: pixels asked for, chosen at random; None for all.
        least_context, most_context: see `ContextTarget`.
        ordered: pixels come row by row, and the first are known; else in random order.

    Raises:
        UserError: a setting is out of its range; a context is larger than the image.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> episode = Completion(images, points=10).sample(8, torch.Generator().manual_seed(0))
        >>> episode.query_x.shape
        torch.Size([10, 8, 2])
    """

    def __init__(
        self,
        images: Tensor,
        points: Count | None = None,
        least_context: Index = 0,
        most_context: Index | None = None,
        ordered: bool = False,
    ):
        require_images(images)
        *_, self.size, self.height, self.width = images.shape
        pixels = self.height * self.width
        of = f"an image, which has {pixels} pixels"
        super().__init__(pixels if points is None else points, least_context, most_context, pixels, of)
        self.images, self.ordered, self.device = images.flatten(0, 1), ordered, images.device
        rows, columns = (torch.linspace(-1, 1, each, device=images.device) for each in (self.height, self.width))
        self.places = torch.cartesian_prod(rows, columns)  # [pixel, 2]

    def __str__(self) -> str:
        return f"{self.height}x{self.width} pixels, {'in order' if self.ordered else 'at random'}"

    def drawn(self, batch: int, generator: Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(self.images), (batch,), generator=generator, device=self.device)
        values = self.values(self.images[chosen])  # [batch, pixel, channel]
        order = self.order(batch, generator)
        of_each = torch.arange(batch, device=self.device)[:, None]
        return self.places[order.T], values[of_each, order].transpose(0, 1).contiguous()

    def order(self, batch: int, generator: Generator) -> Tensor:
        """Pixels in the order in which they become known, [batch, points] int64."""
        if self.ordered:
            return torch.arange(self.points, device=self.device).expand(batch, -1)
        scores = torch.rand(batch, len(self.places), generator=generator, device=self.device)
        return scores.argsort(dim=-1)[:, : self.points]

    def pixels(self, places: Float[Tensor, "*shape 2"]) -> Shaped[Tensor, "*shape"]:
        """Which pixels these places are, counted row by row from 0, int64."""
        last = torch.tensor([self.height - 1, self.width - 1], device=places.device)
        rows, columns = ((places + 1) / 2 * last).round().long().unbind(dim=-1)
        return rows * self.width + columns

    @staticmethod
    def values(images: Shaped[Tensor, "batch channel height width"]) -> Float[Tensor, "batch pixel channel"]:
        """Pixels of images, from 0 to 1."""
        return images.flatten(2).transpose(1, 2).float() / 255
