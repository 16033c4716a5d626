"""Few-shot episodes whose classes are images of known classes, each with the pixels in another order (Munkhdalai and Yu
2017, section 4.3.3: 50 permutations of the ten digits of MNIST make 500 classes).

    a three   --permutation 0-->   class 3        the same permutation for all images of an episode's class,
              --permutation 1-->   class 13       another for a class of another permutation
              ...
"""

from typing import Any

import torch
from torch import Generator, Tensor

from metamemory.settings import Count, Index
from metamemory.tasks.sampling import normalise, require
from metamemory.tasks.support_query import SupportQuery


class PermutedSupportQuery(SupportQuery):
    """n-way k-shot episodes of permuted images.

    Args:
        images: [class, image, channel, height, width] uint8; classes of a permutation.
        permutations: orders of the pixels, drawn at random.
        permutation_seed: of them, the same on every device.
        settings: of `SupportQuery`: n_way, k_shot, n_query, labels.

    Raises:
        UserError: a setting is out of its range.

    Example:
        >>> images = torch.randint(0, 256, (12, 20, 1, 8, 8), dtype=torch.uint8)
        >>> task = PermutedSupportQuery(images, permutations=3, n_way=5, k_shot=1, n_query=3)
        >>> task.sample(8, torch.Generator().manual_seed(0)).query_y.shape
        torch.Size([15, 8])
    """

    def __init__(self, images: Tensor, permutations: Count, permutation_seed: Index = 0, **settings: Any):
        require("permutations", permutations, 1, None, "orders of the pixels")
        super().__init__(images, **settings)
        draw = Generator().manual_seed(permutation_seed)
        pixels = images.shape[-2] * images.shape[-1]
        orders = [torch.randperm(pixels, generator=draw) for _ in range(permutations)]
        self.orders = torch.stack(orders).to(self.device)

    def _draw(self, k: int, batch: int, generator: Generator) -> tuple[Tensor, Tensor]:
        classes = self._choose(len(self.orders) * self.images.shape[0], self.n_way, (batch,), generator)
        return classes, self._choose(self.images.shape[1], k, (batch, self.n_way), generator)

    def _look_up(self, classes: Tensor, chosen: Tensor, generator: Generator) -> Tensor:
        of_permutation = self.images.shape[0]
        x = self.images[classes % of_permutation, chosen]  # [..., channel, height, width]
        order = self.orders[classes // of_permutation].expand(*x.shape[:-3], -1)
        pixels = x.flatten(-2).gather(-1, order[..., None, :].expand(*x.shape[:-2], -1))
        return normalise(pixels.view(x.shape))
