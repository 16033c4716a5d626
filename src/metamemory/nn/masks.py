"""How masks are shown to a network: as one more channel (Babu et al. 2021, section 4.4)."""

from collections.abc import Sequence

from torch import Tensor

from metamemory.shapes import Float, Shaped


def plane(y: Shaped[Tensor, "time batch *size"], size: Sequence[int]) -> Float[Tensor, "time batch 1 height width"]:
    """Masks [time, batch, height, width], or labels [time, batch] that hold for every pixel, as a channel
    [time, batch, 1, height, width] float32: 1 on the object, 0 elsewhere, -1 everywhere for null."""
    if y.dim() == 2:
        y = y[..., None, None].expand(*y.shape, *size)
    return y[:, :, None].float()
