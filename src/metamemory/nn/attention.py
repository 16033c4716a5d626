"""Attention over the steps of an episode, none of which sees a later one.

    attend       softmax_j(q_t k_j / sqrt(D)) v_j over all j up to t           Vaswani et al. 2017, eq 1
    rotate       positions as angles, so that q_t k_j depends on t - j         Su et al. 2021, RoFormer, section 3.2

Shape legend: T steps now, S steps so far (those now are the last of them), B batch, H heads, D size of a head.
"""

import torch
from torch import Tensor
from torch.nn import functional as fn

from metamemory.shapes import Float

BASE = 10_000.0  # of the wavelengths in `rotate`


def attend(
    q: Float[Tensor, "time batch heads size"],
    k: Float[Tensor, "so_far batch heads size"],
    v: Float[Tensor, "so_far batch heads outputs"],
) -> Float[Tensor, "time batch heads outputs"]:
    """q [T, B, H, D], k [S, B, H, D], v [S, B, H, E] -> [T, B, H, E]. The softmax is over keys, for each query."""
    steps, so_far = len(q), len(k)
    visible = torch.ones(steps, so_far, dtype=torch.bool, device=q.device).tril(so_far - steps)
    q, k, v = (each.permute(1, 2, 0, 3) for each in (q, k, v))
    return fn.scaled_dot_product_attention(q, k, v, attn_mask=visible).permute(2, 0, 1, 3)


def rotate(x: Float[Tensor, "time batch heads size"], start: int) -> Float[Tensor, "time batch heads size"]:
    """Turn the pairs (x_d, x_{d + D/2}) of step t by the angle t / BASE^(2d / D). x [T, B, H, D], D even.

    `start` is the position of the first of the steps. A product of two rotated vectors depends on their
    distance alone; at distances short beside the longest wavelengths those pairs look up by content only.
    """
    steps, half = len(x), x.shape[-1] // 2
    frequencies = BASE ** -(torch.arange(half, device=x.device) / half)
    angles = (start + torch.arange(steps, device=x.device))[:, None] * frequencies  # [T, D / 2]
    cos, sin = (each.to(x.dtype)[:, None, None] for each in (angles.cos(), angles.sin()))
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
