"""CL-ResNet-20 (0.5×) (Babu et al. 2021, Table 5): ResNet-20 with a ConvLSTM in place of every convolution, and half
of its filters. The method is in `bases.image_network`, the arrangement of layers in `bases.resnet`."""

from metamemory.models.image.resnet import ResNet


class CLResNet20Half(ResNet):
    """8 filters in the first layer; 0.56 million parameters.

    Example:
        >>> CLResNet20Half((3, 32, 32), n_way=10)(torch.rand(1, 8, 3, 32, 32), torch.full((1, 8), -1)).shape
        torch.Size([1, 8, 10])
    """

    share = 0.5
    recurrent = True
