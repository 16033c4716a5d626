"""The embedding against its definition, and the sizes it comes to."""

import pytest
import torch
from torch import nn

from metamemory.nn.encoder import Encoder


def convolved(image, kernel):
    """[C, H, W] by [F, C, 3, 3] -> [F, H, W], pixel by pixel, the outside being 0."""
    channels, height, width = image.shape
    padded = torch.zeros(channels, height + 2, width + 2)
    padded[:, 1:-1, 1:-1] = image
    out = torch.zeros(len(kernel), height, width)
    for i in range(height):
        for j in range(width):
            out[:, i, j] = (kernel * padded[:, i : i + 3, j : j + 3]).sum(dim=(1, 2, 3))
    return out


def pooled(maps):
    height, width = maps.shape[1] // 2, maps.shape[2] // 2
    return torch.stack([maps[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax(dim=(1, 2))
                        for i in range(height) for j in range(width)], dim=1).unflatten(1, (height, width))  # fmt: skip


def by_definition(encoder, image):
    maps = image
    layers = list(encoder.blocks)
    for conv, norm in zip(
        (each for each in layers if isinstance(each, nn.Conv2d)),
        (each for each in layers if isinstance(each, nn.BatchNorm2d)),
        strict=True,
    ):
        maps = convolved(maps, conv.weight)
        each = [value[:, None, None] for value in (norm.running_mean, norm.running_var, norm.weight, norm.bias)]
        maps = ((maps - each[0]) / (each[1] + 1e-5).sqrt() * each[2] + each[3]).clamp(min=0)
        if min(maps.shape[1:]) >= 2:
            maps = pooled(maps)
    flat = maps.flatten()
    return flat if isinstance(encoder.linear, nn.Identity) else encoder.linear.weight @ flat + encoder.linear.bias


@torch.no_grad()
@pytest.mark.parametrize("features", [None, 5])
@pytest.mark.parametrize("shape", [(1, 9, 9), (3, 16, 12), (1, 2, 6), (2, 32, 32)])
def test_an_image_becomes_what_the_definition_says(shape, features):
    torch.manual_seed(0)
    encoder = Encoder(shape, features, filters=4).eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.running_mean, module.bias):
                value.normal_()
            for value in (module.running_var, module.weight):
                value.uniform_(0.5, 2)
    x = torch.rand(2, 1, *shape)
    vectors = encoder(x)
    assert vectors.shape == (2, 1, encoder.out_features)
    for t in range(2):
        torch.testing.assert_close(vectors[t, 0], by_definition(encoder, x[t, 0]), rtol=1e-4, atol=1e-5)


def test_every_image_is_embedded_on_its_own_in_evaluation_whatever_is_around_it():
    encoder = Encoder((1, 14, 14), 8, 4).eval()
    x = torch.rand(3, 2, 1, 14, 14)
    torch.testing.assert_close(encoder(x)[1, 1], encoder(x[1, 1]))


def test_statistics_in_training_are_over_all_steps_of_all_episodes():
    torch.manual_seed(0)
    encoder = Encoder((1, 8, 8), 8, 4)
    x = torch.rand(3, 2, 1, 8, 8)
    torch.testing.assert_close(encoder(x), encoder(x.flatten(0, 1)).unflatten(0, (3, 2)))
    assert not torch.allclose(encoder(x)[:1], encoder(x[:1]), atol=1e-3)


def test_parameters_are_those_of_the_closed_formula():
    """Four convolutions without bias, a gain and a bias each, and a linear layer on one pixel of 64 channels."""
    expected = 9 * 64 * (1 + 3 * 64) + 4 * 2 * 64 + 64 * 64 + 64
    assert sum(each.numel() for each in Encoder((1, 28, 28)).parameters()) == expected


@pytest.mark.parametrize(("pools", "side"), [(0, 14), (1, 7), (2, 3), (4, 1)])
def test_only_the_first_blocks_pool(pools, side):
    assert Encoder((1, 14, 14), None, 4, pools=pools).out_features == 4 * side**2


def test_another_normalisation_takes_the_place_of_that_over_the_batch():
    torch.manual_seed(0)
    encoder = Encoder((1, 8, 8), None, 4, norm=lambda channels: nn.GroupNorm(1, channels))
    x = torch.rand(3, 2, 1, 8, 8)
    assert encoder.training
    torch.testing.assert_close(encoder(x)[1, 1], encoder(x[1, 1]))
