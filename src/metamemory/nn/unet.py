"""A U-Net of ten layers (Ronneberger et al. 2015; Babu et al. 2021, section 4.4): who feeds whom, whatever a layer is.

    layer     1 - 2 ----------- skip ----------- 9 - 10          F maps of the image's size
                   \\ pool                    up /
                    3 - 4 ----- skip ----- 7 - 8                 2 F maps of half the size
                         \\ pool        up /
                          5 ------------- 6                      4 F maps of a quarter of the size

Babu et al. say "10 layer U-Net like CNN" and no more. Two layers at each level on the way down and on the way up, and
two at the bottom, make ten, with the ninth at full size, where a mask can be shown to it. As in Ronneberger et al.: 3x3
kernels, 2x2 max pooling, twice the filters below, skips by concatenation. Otherwise: convolutions keep the size, and on
the way up pixels are repeated, without a convolution of its own.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.nn.labels import Classes, Labels, Masks, labels_of
from metamemory.shapes import Float

LEVELS = (0, 0, 1, 1, 2, 2, 1, 1, 0, 0)  # of layers 1 to 10
DEPTH = max(LEVELS)


def channels(inputs: int, filters: int) -> list[tuple[int, int]]:
    """Channels in and out of each layer, with `filters` = F."""
    sizes, kept, below = [], {}, inputs
    for n, level in enumerate(LEVELS):
        rises = n > 0 and level < LEVELS[n - 1]
        sizes.append((below + rises * kept.get(level, 0), filters * 2**level))
        kept[level] = below = sizes[-1][1]
    return sizes


def through(
    x: Float[Tensor, "*lead channels height width"], layer: Callable[[int, Tensor], Tensor]
) -> Float[Tensor, "*lead filters height width"]:
    """Put maps [..., channel, height, width] through the ten layers; `layer(n, maps)` is the nth, n from 1 to 10."""
    kept: dict[int, Tensor] = {}
    before = 0
    for n, level in enumerate(LEVELS, start=1):
        if level > before:
            x = _on_maps(lambda maps: fn.max_pool2d(maps, 2), x)
        elif level < before:
            x = torch.cat([kept[level], _on_maps(lambda maps: fn.interpolate(maps, scale_factor=2.0), x)], dim=-3)
        x = kept[level] = layer(n, x)
        before = level
    return x


def _on_maps(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What works on [N, channel, height, width], for any number of leading axes."""
    return function(x.flatten(0, -4)).unflatten(0, x.shape[:-3])


def masks_for(learner: str, size: Sequence[int], n_way: int | Labels) -> Masks:
    """How labels of images of this size are written; refuses images that cannot be pooled as often as the U goes down,
    and pixels of more than two kinds."""
    height, width = size
    if any(length % 2**DEPTH for length in size):
        raise UserError(f"{learner}: images of {width}x{height} pixels; both sides must be multiples of {2**DEPTH}")
    masks, labels = Masks(height, width), labels_of(n_way)
    if labels not in (masks, Classes(2)):
        shown = f"n_way is {labels.n_way}" if isinstance(labels, Classes) else f"labels are {labels}"
        raise UserError(f"{learner}: {shown} and must be 2 (a pixel is the object's or the ground's)")
    return masks
