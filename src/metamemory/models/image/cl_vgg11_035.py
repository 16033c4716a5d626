"""CL-VGG-11 (0.35×) (Babu et al. 2021, Table 5): VGG-11 with a ConvLSTM in place of every convolution, and about
a third of its filters. The method is in `bases.image_network`, the arrangement of layers in `bases.vgg`."""

from metamemory.models.image.vgg import VGG


class CLVGG11Third(VGG):
    """22 filters in the first layer; 9.5 million parameters.

    Example:
        >>> CLVGG11Third((3, 32, 32), n_way=10)(torch.rand(1, 8, 3, 32, 32), torch.full((1, 8), -1)).shape
        torch.Size([1, 8, 10])
    """

    share = 0.35
    recurrent = True
