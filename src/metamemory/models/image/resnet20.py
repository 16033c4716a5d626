"""ResNet-20 (He et al. 2016; Babu et al. 2021, Table 5): the plain network, described in `bases.resnet`."""

from metamemory.models.image.resnet import ResNet


class ResNet20(ResNet):
    """The plain network.

    Example:
        >>> ResNet20((3, 32, 32), n_way=10)(torch.rand(1, 8, 3, 32, 32), torch.full((1, 8), -1)).shape
        torch.Size([1, 8, 10])
    """
