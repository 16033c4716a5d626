"""Area averaging against the definition, pixel by pixel, in exact fractions."""

from fractions import Fraction
from math import ceil, floor

import pytest
import torch

from metamemory.data.images import area_average, area_weights


def slow_area_average(image: list[list[int]], size: int) -> list[list[Fraction]]:
    scale = Fraction(len(image), size)

    def covered(index: int) -> list[tuple[int, Fraction]]:
        start, end = index * scale, (index + 1) * scale
        return [(i, min(end, i + 1) - max(start, i)) for i in range(floor(start), ceil(end))]

    return [
        [sum(h * w * image[y][x] for y, h in covered(row) for x, w in covered(column)) / scale**2
         for column in range(size)]
        for row in range(size)
    ]  # fmt: skip


@pytest.mark.parametrize(("source", "size"), [(105, 28), (105, 14), (7, 3), (6, 3), (5, 1), (5, 5), (4, 6)])
def test_is_the_mean_of_the_area_under_each_pixel(source, size):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (source, source), generator=generator, dtype=torch.uint8)
    expected = slow_area_average(image.tolist(), size)
    assert area_average(image, size).tolist() == [[round(value) for value in row] for row in expected]


@pytest.mark.parametrize(("source", "size"), [(105, 28), (105, 20), (32, 14), (3, 7)])
def test_weights_share_out_all_of_the_input(source, size):
    weights = area_weights(source, size)
    assert weights.sum(1).tolist() == [source] * size
    assert weights.sum(0).tolist() == [size] * source


def test_keeps_leading_dimensions_and_extremes():
    images = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 9, 9)
    assert area_average(images, 4).equal(images[..., :4, :4])
