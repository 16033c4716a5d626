"""Augmentation of images: rotation and translation by any angle and distance, flips and shifts by whole pixels."""

import torch
from torch import Generator, Tensor
from torch.nn import functional as fn

from metamemory.shapes import Float, Shaped


def affine_warp(
    images: Shaped[Tensor, "*images channel height width"],
    angles: Float[Tensor, "*images"],
    moves: Float[Tensor, "*images 2"],
    size: int,
) -> Float[Tensor, "*images channel size size"]:
    """Rotate and translate images, each by its own angle and distance, and reduce them to `size` x `size` pixels.

    The value at a point p of the output is that of the image at R p - m, where R rotates by the angle and m is the
    translation: the bilinear mean of the four pixels around it, and 0 beyond the edge, which in a drawing is paper. An
    image of twice the size of the output, neither rotated nor translated, gives the mean of every two by two pixels.

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


def flip_and_shift(
    x: Shaped[Tensor, "*images channel size size"], generator: Generator
) -> Shaped[Tensor, "*images channel size size"]:
    """Random horizontal flip (p = 0.5) and translation by up to size // 8 pixels each way, zero-padded.

    Args:
        x: [..., channel, height, width], square, of any type; each image has a flip and a translation of its own.
        generator: on the device of x.

    Returns:
        As x. Where each pixel comes from is worked out for an image and gathered for all its channels at once, from the
        image with a margin around it.
    """
    size, device = x.shape[-1], x.device
    margin = size // 8
    mirrored = torch.rand(*x.shape[:-3], 1, generator=generator, device=device) < 0.5
    down, right = torch.randint(2 * margin + 1, (2, *x.shape[:-3], 1), generator=generator, device=device)
    pixels = torch.arange(size, device=device)
    rows = down + pixels  # [..., height]
    columns = right + torch.where(mirrored, pixels.flip(0), pixels)  # [..., width]
    source = rows[..., :, None] * (size + 2 * margin) + columns[..., None, :]
    source = source.flatten(-2)[..., None, :].expand(*x.shape[:-2], -1)  # the same for every channel
    return fn.pad(x, [margin] * 4).flatten(-2).gather(-1, source).view_as(x)
