"""How the heads of a Neural Turing Machine find, read and change rows of a memory (Graves et al. 2014, section 3).

A head addresses a memory M of N rows of width W with weights w over the rows, which sum to 1:

    content      w_c(i) = softmax_i(beta K[k, M(i)]),  K the cosine       `by_content`    eqs 5, 6
    interpolate  w_g = g w_c + (1 - g) w_{t-1}                            `interpolate`   eq 7
    shift        w_s(i) = sum_j w_g(j) s(i - j), around the end           `shift`         eq 8
    sharpen      w(i) = w_s(i)^gamma / sum_j w_s(j)^gamma                 `sharpen`       eq 9
    read         r = sum_i w(i) M(i)                                      `read`          eq 2
    write        M(i) = M(i) (1 - w(i) e) + w(i) a                        `write`         eqs 3, 4

Pure functions of tensors; all heads at once.

Shape legend: B batch, H heads, N rows, W width of a row, S shifts.
"""

import torch
from torch import Tensor

from metamemory.shapes import Float

SHORTEST = 1e-3  # vectors shorter than this are similar to nothing
TINY = 1e-30  # stands for 0 where a logarithm is taken


def cosine(
    key: Float[Tensor, "batch heads width"], memory: Float[Tensor, "batch rows width"]
) -> Float[Tensor, "batch heads rows"]:
    """K of every key with every row. key [B, H, W], memory [B, N, W] -> [B, H, N].

    Lengths are sqrt(|v|^2 + SHORTEST^2): a row in which nothing has been written is similar to nothing, and
    has a finite gradient, where that of the plain cosine grows without bound.
    """
    return key @ memory.mT / (_length(key) * _length(memory).mT)


def by_content(
    key: Float[Tensor, "batch heads width"],
    strength: Float[Tensor, "batch heads 1"],
    memory: Float[Tensor, "batch rows width"],
) -> Float[Tensor, "batch heads rows"]:
    """Weights by similarity. key [B, H, W], strength (beta) [B, H, 1], memory [B, N, W] -> [B, H, N]."""
    return (strength * cosine(key, memory)).softmax(dim=-1)


def interpolate(
    content: Float[Tensor, "batch heads rows"],
    previous: Float[Tensor, "batch heads rows"],
    gate: Float[Tensor, "batch heads 1"],
) -> Float[Tensor, "batch heads rows"]:
    """Between the weights by content and those of the step before. [B, H, N] twice, gate [B, H, 1] in [0, 1]."""
    return torch.lerp(previous, content, gate)


def shift(
    weights: Float[Tensor, "batch heads rows"], shifts: Float[Tensor, "batch heads shifts"]
) -> Float[Tensor, "batch heads rows"]:
    """Circular convolution. weights [B, H, N], shifts [B, H, S], S odd: how much moves by -(S // 2) .. S // 2 rows."""
    reach = shifts.shape[-1] // 2
    moved = [weights.roll(by, dims=-1) for by in range(-reach, reach + 1)]
    return torch.stack([part * share for part, share in zip(moved, shifts.split(1, dim=-1), strict=True)]).sum(dim=0)


def sharpen(
    weights: Float[Tensor, "batch heads rows"], power: Float[Tensor, "batch heads 1"]
) -> Float[Tensor, "batch heads rows"]:
    """weights [B, H, N] to the power (gamma) [B, H, 1], at least 1, and made to sum to 1 again.

    As a softmax of logarithms: the sum of high powers of small weights would underflow to 0.
    """
    return (power * (weights + TINY).log()).softmax(dim=-1)


def read(
    weights: Float[Tensor, "batch heads rows"], memory: Float[Tensor, "batch rows width"]
) -> Float[Tensor, "batch heads width"]:
    """weights [B, H, N], memory [B, N, W] -> [B, H, W]."""
    return weights @ memory


def write(
    memory: Float[Tensor, "batch rows width"],
    weights: Float[Tensor, "batch heads rows"],
    erase: Float[Tensor, "batch heads width"],
    add: Float[Tensor, "batch heads width"],
) -> Float[Tensor, "batch rows width"]:
    """All heads erase, then all add; the order of heads is of no matter.

    memory [B, N, W], weights [B, H, N], erase [B, H, W] in [0, 1], add [B, H, W] -> [B, N, W].
    """
    for w, e in zip(weights.unbind(dim=1), erase.unbind(dim=1), strict=True):
        memory = torch.addcmul(memory, memory, w[:, :, None] * e[:, None, :], value=-1)
    return torch.baddbmm(memory, weights.mT, add)


def _length(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(dim=-1, keepdim=True) + SHORTEST**2).sqrt()
