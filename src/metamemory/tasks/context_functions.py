"""Functions of one variable, of which some values are known (Garnelo et al. 2018, section 4.1).

    one length scale:    f ~ GP(0, k)                 k(x, x') = exp(-(x - x')^2 / (2 length_scale^2))
    two length scales:   s uniform in [-reach, reach];  f = f_1 left of s and f_2 right of it, each ~ GP(0, k_i)
    y = f(x) + noise e,  e ~ N(0, 1)                  x uniform in [-reach, reach]

The paper draws from a process with a fixed kernel, and then functions that switch, at some random place, between two
that were each drawn with other parameters of the kernel. It does not say which; its authors' code has a length scale of
0.4 in [-2, 2] and a noise of 0.02. The two of the second are our choice, and their order is always the same.
"""

from typing import Annotated, Any, ClassVar

import torch
from torch import Generator, Tensor

from metamemory.settings import Count, Index, Items, Positive
from metamemory.shapes import Float
from metamemory.tasks.context_target import ContextTarget, require_positive

NUGGET = 1e-6  # on the diagonal, so that the covariance of places close to each other has a Cholesky factor
KERNELS = 2  # at most, one on either side of the switch


class ContextFunctions(ContextTarget):
    """A new function each.

    Args:
        points: n, values asked for.
        length_scales: of the kernel; or of the two, on the left and on the right of the switch.
        reach, noise: as above; both above 0.
        device: of the episodes.
        least_context, most_context: see `ContextTarget`.

    Raises:
        UserError: a setting is out of its range.

    Example:
        >>> task = ContextFunctions(points=10, length_scales=[0.4], reach=2.0, noise=0.02, device=torch.device("cpu"))
        >>> task.sample(8, torch.Generator().manual_seed(0)).query_x.shape
        torch.Size([10, 8, 1])
    """

    size = 1
    source: ClassVar[dict[str, Any]] = {  # what a manifest says for a data set
        "name": "gaussian_process", "title": "functions of a Gaussian process", "digest": None,
    }  # fmt: skip

    def __init__(
        self,
        points: Count,
        length_scales: Annotated[list[Positive], Items(1, KERNELS)],
        reach: Positive,
        noise: Positive,
        device: torch.device,
        least_context: Index = 0,
        most_context: Index | None = None,
    ):
        super().__init__(points, least_context, most_context, None, "all that is asked for")
        require_positive(reach=reach, noise=noise, **{"length_scale": min(length_scales)})
        self.length_scales, self.reach, self.noise, self.device = tuple(length_scales), reach, noise, device

    def __str__(self) -> str:
        return "one kernel" if len(self.length_scales) == 1 else "two kernels"

    def drawn(self, batch: int, generator: Generator) -> tuple[Tensor, Tensor]:
        x = self.reach * (2 * torch.rand(self.points, batch, 1, generator=generator, device=self.device) - 1)
        f = self.values(x, generator)
        return x, f + self.noise * torch.randn(f.shape, generator=generator, device=self.device)

    def values(self, x: Float[Tensor, "point batch 1"], generator: Generator) -> Float[Tensor, "point batch 1"]:
        """f(x), without noise, of a function drawn for each episode."""
        places = x[..., 0].T.double()  # [batch, point]
        exponent = (places[:, :, None] - places[:, None]).square() / -2
        covariance = (exponent / self.length_scales[0] ** 2).exp()
        if len(self.length_scales) == KERNELS:
            switch = torch.rand(places.shape[0], 1, generator=generator, device=x.device, dtype=torch.float64)
            left = places < self.reach * (2 * switch - 1)
            right = (exponent / self.length_scales[1] ** 2).exp()
            both = left[:, :, None] & left[:, None]
            neither = ~(left[:, :, None] | left[:, None])
            covariance = covariance.where(both, right.where(neither, 0.0))
        nugget = NUGGET * torch.eye(places.shape[1], dtype=torch.float64, device=x.device)
        root = torch.linalg.cholesky_ex(covariance + nugget).L  # _ex: the device is not waited for to hear of failure
        white = torch.randn(*places.shape, 1, generator=generator, device=x.device, dtype=torch.float64)
        return (root @ white).float().transpose(0, 1).contiguous()
