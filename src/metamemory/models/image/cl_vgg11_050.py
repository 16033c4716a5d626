"""CL-VGG-11 (0.5×) (Babu et al. 2021, Table 5): VGG-11 with a ConvLSTM in place of every convolution, and half
of its filters. The method is in `bases.image_network`, the arrangement of layers in `bases.vgg`."""

from metamemory.models.image.vgg import VGG


class CLVGG11Half(VGG):
    """32 filters in the first layer; 20.0 million parameters.

    Example:
        >>> CLVGG11Half((3, 32, 32), n_way=10)(torch.rand(1, 8, 3, 32, 32), torch.full((1, 8), -1)).shape
        torch.Size([1, 8, 10])
    """

    share = 0.5
    recurrent = True
