"""Convolutional networks that name images one by one, and the same networks with a memory in place of every convolution
(Babu et al. 2021, section 4.5, Table 5).

    plain        x -> ReLU(N(W * x))        N is batch normalisation
    CL           x -> h, one step of a ConvLSTM from a zero state (`nn.zero_state_conv_lstm`)

A CL layer has no ReLU, as h has passed its gates.

The paper says that CL networks have fewer filters, by the factor in their name, and how many parameters all have. From
these numbers follow: 3x3 kernels on inputs and hidden states, no peepholes, one linear layer on top, and that it is the
width of the first layer that is scaled and rounded, from which the others follow by doubling (0.35 x 64 = 22 and
0.35 x 16 = 6). Where normalisation is, is our choice: as in `nn.conv_lstm`. In evaluation it uses running statistics,
so that no image can see another.

There is no time in this: images are given as episodes, of which every step is answered on its own, and no label is ever
shown. A learner of this kind knows its classes by its weights.

Shape legend: T steps, B batch, C channels, K ways (classes).
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.errors import UserError
from metamemory.models.learner import Learner
from metamemory.nn.conv_norm import ConvNorm
from metamemory.nn.labels import Classes, Labels, labels_for
from metamemory.nn.precision import product_type
from metamemory.nn.zero_state_conv_lstm import ZeroStateConvLSTM
from metamemory.shapes import Float, Int


class EmptyState(NamedTuple):
    """What is carried from one image to the next."""


class ImageNetwork(Learner, abstract=True):
    """Layers that a subclass arranges in `build` and `maps`, the mean over the pixels, a linear classifier.

    Args:
        input_shape: (C, height, width).
        n_way: K.
        filters: of the plain network's first layer; this one has `share` of them.
        precision: "float32", "bfloat16" for the products inside convolutions, or "auto" for bfloat16 where the
            machine is faster with it.
        memory: layers are ConvLSTMs.
        share: of the plain network's filters that this one has.

    Raises:
        UserError: no filter is left.
    """

    answers = "image"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        filters: int,
        precision: str,
        memory: bool,
        share: float,
    ):
        super().__init__()
        base = round(share * filters)
        if base < 1:
            raise UserError(f"{self.name}: {share} of filters {filters} leaves none")
        self.labels = labels_for(self.name, n_way, Classes)
        self.product, self.memory, self.share = product_type(precision), memory, share
        channels, height, width = input_shape
        self.classifier = nn.Linear(self.build(channels, base, min(height, width)), self.labels.n_way)

    def build(self, channels: int, base: int, size: int) -> int:
        """Make the layers, for images of so many channels and pixels; the channels of the last."""
        raise NotImplementedError

    def maps(self, x: Tensor) -> Tensor:
        """Images [image, C, height, width] -> what the last layer makes of them."""
        raise NotImplementedError

    def layer(self, in_channels: int, filters: int, stride: int = 1) -> nn.Module:
        kind = ZeroStateConvLSTM if self.memory else ConvNorm
        return kind(in_channels, filters, stride=stride, precision=self.product)

    def activate(self, maps: Tensor) -> Tensor:
        return maps if self.memory else fn.relu(maps)

    @property
    def used_parameters(self) -> int:
        """Those of a CL network that belong to a state before the step have no part in the answer."""
        layers = [each for each in self.modules() if isinstance(each, (ConvNorm, ZeroStateConvLSTM))]
        return sum(each.used for each in layers) + sum(each.numel() for each in self.classifier.parameters())

    def initial_state(self, batch: int) -> EmptyState:
        return EmptyState()

    def run(
        self, x: Float[Tensor, "time batch channel height width"], y_seen: Int[Tensor, "time batch"], state: EmptyState
    ) -> tuple[Float[Tensor, "time batch n_way"], EmptyState]:
        features = self.maps(x.flatten(0, 1)).to(self.classifier.weight.dtype).mean(dim=(-2, -1))
        return self.classifier(features).unflatten(0, x.shape[:2]), state
