"""The layer is torch's convolution and batch normalisation."""

import torch
from torch import nn

from metamemory.nn.conv_norm import ConvNorm


def test_it_is_a_convolution_and_a_normalisation():
    torch.manual_seed(0)
    layer, conv, norm = ConvNorm(3, 6, stride=2), nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
    conv.weight = layer.weight
    for _ in range(3):
        x = torch.randn(5, 3, 9, 9)
        torch.testing.assert_close(layer(x), norm(conv(x)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.eval()(x), norm.eval()(conv(x)), rtol=1e-4, atol=1e-5)
    assert layer.used == sum(each.numel() for each in (*conv.parameters(), *norm.parameters()))
