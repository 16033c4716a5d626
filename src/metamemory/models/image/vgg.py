"""VGG-11 (Simonyan and Zisserman 2015, configuration A) for small images.

    64, pool, 128, pool, 256, 256, pool, 512, 512, pool, 512, 512, pool            then the mean, and a linear layer

All kernels are 3x3, pools 2x2. The two hidden linear layers of 4,096 units that the network had for large photographs
are left out, as is usual for CIFAR and as the paper's 9.2 million parameters say. At 32x32 the maps shrink to one
pixel, so that the mean is that pixel. A map of one pixel is not pooled further, so that smaller images keep what they
have: 16, 8, 4, 2, 1, 1.
"""

from typing import Annotated

from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.models.image.image_network import ImageNetwork
from metamemory.nn.labels import Labels
from metamemory.settings import Among, Range, Width

LAYERS = ((1, True), (2, True), (4, False), (4, True), (8, False), (8, True), (8, False), (8, True))  # width, pooled?


class VGG(ImageNetwork):
    """See `ImageNetwork` for the arguments.

    The CL networks of Babu et al. 2021, Table 5, have 0.5 (20.0 million parameters) and 0.35 (9.5 million) of the
    filters.

    Example:
        >>> learner = VGG((3, 32, 32), n_way=10, memory=True, share=0.5)
        >>> learner(torch.rand(1, 8, 3, 32, 32), torch.full((1, 8), -1)).shape
        torch.Size([1, 8, 10])
    """

    title = "VGG-11"
    paper = "simonyan2015"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        filters: Width = 64,
        precision: Annotated[str, Among("float32", "bfloat16", "auto")] = "float32",
        memory: bool = False,
        share: Annotated[float, Range(above=0, most=1)] = 1.0,
    ):
        super().__init__(input_shape, n_way, filters, precision, memory, share)

    def build(self, channels: int, base: int, size: int) -> int:
        self.layers, self.pool_after = nn.ModuleList(), []
        for multiple, pooled in LAYERS:
            self.layers.append(self.layer(channels, multiple * base))
            channels = multiple * base
            self.pool_after.append(pooled and size >= 2)
            size = size // 2 if self.pool_after[-1] else size
        return channels

    def maps(self, x: Tensor) -> Tensor:
        for layer, pooled in zip(self.layers, self.pool_after, strict=True):
            x = self.activate(layer(x))
            x = fn.max_pool2d(x, 2) if pooled else x
        return x
