"""ResNet-20 (He et al. 2016, section 4.2), made for CIFAR: a layer, nine blocks of two layers, a linear layer.

    block        y = layer(layer(x)) + x            three blocks of 16 filters, three of 32, three of 64

The first layer of the fourth and of the seventh block has stride 2; there x is taken at every second pixel, and
channels of zeros make up the number ("option A" of that paper: no parameters, as the counts of Table 5 ask). In the
plain network a ReLU follows the first layer of a block, the very first one, and the sum. The CL network has none: its
layers have their gates, and the sum is left as it is.
"""

from typing import Annotated

from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.models.image.image_network import ImageNetwork
from metamemory.nn.labels import Labels
from metamemory.settings import Among, Range, Width

STAGES, BLOCKS = (1, 2, 4), 3  # widths, and blocks of each


class ResNet(ImageNetwork):
    """See `ImageNetwork` for the arguments.

    The CL networks of Babu et al. 2021, Table 5, have 0.5 (0.56 million parameters) and 0.35 (0.32 million) of the
    filters.

    Example:
        >>> learner = ResNet((3, 32, 32), n_way=10, memory=True, share=0.5)
        >>> learner(torch.rand(1, 8, 3, 32, 32), torch.full((1, 8), -1)).shape
        torch.Size([1, 8, 10])
    """

    title = "ResNet-20"
    paper = "he2016"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        filters: Width = 16,
        precision: Annotated[str, Among("float32", "bfloat16", "auto")] = "float32",
        memory: bool = False,
        share: Annotated[float, Range(above=0, most=1)] = 1.0,
    ):
        super().__init__(input_shape, n_way, filters, precision, memory, share)

    def build(self, channels: int, base: int, size: int) -> int:
        self.first, self.blocks = self.layer(channels, base), nn.ModuleList()
        channels = base
        for stage, multiple in enumerate(STAGES):
            for block in range(BLOCKS):
                stride = 2 if stage and block == 0 else 1
                layers = [self.layer(channels, multiple * base, stride), self.layer(multiple * base, multiple * base)]
                self.blocks.append(nn.ModuleList(layers))
                channels = multiple * base
        return channels

    def maps(self, x: Tensor) -> Tensor:
        x = self.activate(self.first(x))
        for one, two in self.blocks:
            y = two(self.activate(one(x)))
            if one.stride > 1:
                x = x[..., :: one.stride, :: one.stride]
                x = fn.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))  # the last pair: channels
            x = self.activate(y + x)
        return x
