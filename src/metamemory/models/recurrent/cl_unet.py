"""CL U-Net: a U-Net of ten convolutional LSTM layers (Babu, Savarese and Maire 2021, section 4.4).

    [x_t, y_seen_t] -> CL-1 - CL-2 ------------------------> CL-9 - CL-10 -> 1x1 convolution -> logit of each pixel
                              pool                       up
                                  CL-3 - CL-4 -> CL-7 - CL-8
                                        pool    up
                                          CL-5 - CL-6

"We augment a 10 layer U-Net like CNN with memory cells in each layer, by converting each convolution into a
convolutional LSTM." Nothing but their states changes within an episode. The mask of the picture before is shown as one
more channel of the image to the first layer, or to the ninth beside what the layers below have made: the paper's two
rows of Table 4.

From the paper: ten layers, their equations, where masks are shown, -1 everywhere for null. Our choices, where it says
nothing: see `nn.unet`; 32 filters; batch normalisation and a forget bias of 1 (see `nn.conv_lstm`); a 1x1 convolution
to read the answer out, since h lies between -1 and 1.

Shape legend: T steps, B batch, C channels of x, F filters, H height, W width.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn import unet
from metamemory.nn.conv_lstm import ConvLSTM, ConvLSTMState
from metamemory.nn.labels import Labels
from metamemory.nn.masks import plane
from metamemory.nn.precision import product_type
from metamemory.settings import Among, Items, Number, Width
from metamemory.shapes import Float, Shaped


class CLUNetState(NamedTuple):
    """States of the ten CL layers."""

    cl: tuple[ConvLSTMState, ...]


class CLUNet(Learner):
    """Ten convolutional LSTM layers in the form of a U.

    Args:
        input_shape: (C, H, W), H and W multiples of 4.
        n_way: labels of a pixel, 2: object and ground.
        filters: F, of the layers at the image's size.
        inject: layers to which masks are shown, of those at the image's size: 1, 2, 9, 10.
        normalise: batch normalisation in the CL layers.
        forget_bias: of the forget gates, at the start.
        precision: "float32", "bfloat16" for the products inside convolutions, or "auto" for bfloat16 where the
            machine is faster with it.

    Raises:
        UserError: a layer that is not one of these, a size that cannot be halved twice.

    Example:
        >>> learner = CLUNet((3, 32, 32), filters=8)
        >>> learner(torch.rand(18, 4, 3, 32, 32), torch.full((18, 4, 32, 32), -1.0)).shape
        torch.Size([18, 4, 32, 32])
    """

    title = "CL U-Net"
    paper = "babu2021"
    answers = "mask"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels = 2,
        filters: Width = 32,
        inject: Annotated[Sequence[Annotated[int, Among(1, 2, 9, 10)]], Items(distinct=True)] = (1,),
        normalise: bool = True,
        forget_bias: Number = 1.0,
        precision: Annotated[str, Among("float32", "bfloat16", "auto")] = "float32",
    ):
        super().__init__()
        colours, *size = input_shape
        self.labels = unet.masks_for("cl_unet", size, n_way)
        places = [n for n, level in enumerate(unet.LEVELS, start=1) if level == 0]
        if unknown := set(inject) - set(places):
            raise UserError(f"cl_unet: inject names {sorted(unknown)}; masks have the size of layers {places}")
        self.inject = frozenset(inject)
        self.sizes = [(size[0] >> level, size[1] >> level) for level in unet.LEVELS]
        self.cl = nn.ModuleList(
            ConvLSTM(c_in + (n in self.inject), c_out, 3, normalise, forget_bias, precision=product_type(precision))
            for n, (c_in, c_out) in enumerate(unet.channels(colours, filters), start=1)
        )
        self.readout = nn.Conv2d(filters, 1, 1)

    def initial_state(self, batch: int) -> CLUNetState:
        return CLUNetState(
            tuple(layer.initial_state(batch, size) for layer, size in zip(self.cl, self.sizes, strict=True))
        )

    def run(
        self,
        x: Float[Tensor, "time batch channel height width"],
        y_seen: Shaped[Tensor, "time batch *size"],
        state: CLUNetState,
    ) -> tuple[Float[Tensor, "time batch height width"], CLUNetState]:
        """As in `Learner`, with masks for labels: y_seen [T, B, H, W] -> logits [T, B, H, W]."""
        mask, states = plane(y_seen, x.shape[-2:]), []

        def layer(n: int, maps: Tensor) -> Tensor:
            if n in self.inject:
                maps = torch.cat([maps, mask.to(maps.dtype)], dim=2)
            h, after = self.cl[n - 1](maps, state.cl[n - 1])
            states.append(after)
            return h

        h = unet.through(x, layer)
        logits = self.readout(h.flatten(0, 1).to(self.readout.weight.dtype)).unflatten(0, x.shape[:2])[:, :, 0]
        return logits, CLUNetState(tuple(states))
