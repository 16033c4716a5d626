"""Images turned and moved, each by its own angle and way, all in one go.

What is seen at a point p of the output is what the image has at R p - m, where R turns by the angle and m is the way;
in between four pixels it is their bilinear mean, and beyond the edge it is 0, which in a drawing is paper. An image of
twice the size of the output, not turned and not moved, gives the mean of every two by two pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional as fn


def affine_warp(images: Tensor, angles: Tensor, moves: Tensor, size: int) -> Tensor:
    """Turn and move images, and reduce them to `size` x `size` pixels.

    Args:
        images: [..., channel, height, width] uint8, square, at most about twice `size`: pixels between those that are
            looked at would be left out.
        angles: [...] radians; a quarter of a turn is as `torch.rot90`.
        moves: [..., 2] to the right and down, as a share of the image's side.

    Returns:
        [..., channel, size, size] float32, 0 to 1.
    """
    cos, sin = angles.cos(), angles.sin()
    right, down = (2 * moves).unbind(-1)  # the grid's coordinates go from -1 to 1
    # p is taken back by the way, then by the angle
    rows = [[cos, -sin, sin * down - cos * right], [sin, cos, -sin * right - cos * down]]
    back = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2).flatten(0, -3)
    flat = images.flatten(0, -4).float() / 255
    grid = fn.affine_grid(back, [len(flat), flat.shape[1], size, size], align_corners=False)
    return fn.grid_sample(flat, grid, align_corners=False).view(*images.shape[:-2], size, size)
