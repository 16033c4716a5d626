"""VGG-11 (Simonyan and Zisserman 2015; Babu et al. 2021, Table 5): the plain network, described in `bases.vgg`."""

from metamemory.models.image.vgg import VGG


class VGG11(VGG):
    """The plain network.

    Example:
        >>> VGG11((3, 32, 32), n_way=10)(torch.rand(1, 8, 3, 32, 32), torch.full((1, 8), -1)).shape
        torch.Size([1, 8, 10])
    """
