"""A U-Net without memory, pre-trained with MAML and fine-tuned in the stream: a baseline (Babu et al. 2021, Table 4).

    theta_0 = theta    theta_t = theta_{t-1} - alpha grad L(theta_{t-1}; x_{t-1}, y_{t-1})    logits_t = U(x_t; theta_t)

At every step one gradient on the picture before and the mask that has just been shown, L being the cross-entropy, mean
over pixels; then the answer to the new picture. The weights of an episode are its own, and all that it remembers but
for the one picture that waits for its mask. theta is learned by MAML (Finn et al. 2017; see `nn.inner_loop`), of second
order, "for segmentation without any distractors" (section 4.4): n gradients on a few pictures of one object, and the
loss on others.

From the paper: ten convolutions in the form of a U; pre-training by MAML without distractors; a gradient at each time
step. Our choices, where it says nothing: see `nn.unet`; 32 filters; n, the size of the support set, and alpha, in
pre-training and in the stream, where a support set of one picture may want another.

Departure, as in `models.recurrent.cnn_lstm`: layer normalisation (Ba et al. 2016), over the channels and pixels of a
sample, in place of MAML's batch normalisation, so that the answer to one picture does not depend on others.

Shape legend: T steps, N support pictures, Q queries, B batch, C channels of x, H height, W width.
"""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.models.learner import Learner
from metamemory.nn import inner_loop, unet
from metamemory.nn.labels import Labels
from metamemory.nn.masks import plane
from metamemory.settings import Order, Positive, Range, Width
from metamemory.shapes import Float, Shaped


class UNetState(NamedTuple):
    """Weights of each episode, [B, *shape of the weight], in the order of `named_parameters`; and the picture that
    waits for its mask, [B, C, H, W]."""

    theta: tuple[Tensor, ...]
    waiting: Tensor


class FineTunedUNet(Learner):
    """Ten convolutions in the form of a U, whose weights go on learning.

    Args:
        input_shape: (C, H, W), H and W multiples of 4.
        n_way: labels of a pixel, 2: object and ground.
        filters: of the layers at the image's size.
        inner_steps: n, of gradient descent on a support set.
        inner_rate: alpha in pre-training.
        online_rate: alpha in the stream; None for the same.
        order: 2 for MAML, 1 for its first-order variant.

    Raises:
        UserError: a size that cannot be halved twice; `order` is neither 1 nor 2.

    Example:
        >>> learner = FineTunedUNet((3, 32, 32), filters=4)
        >>> learner(torch.rand(4, 2, 3, 32, 32), torch.full((4, 2, 32, 32), -1.0)).shape
        torch.Size([4, 2, 32, 32])
    """

    title = "U-Net, fine-tuned"
    paper = "babu2021"
    answers = "mask"
    adapts = True

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels = 2,
        filters: Width = 32,
        inner_steps: Annotated[int, Range(least=1, most=1000)] = 1,
        inner_rate: Positive = 0.1,
        online_rate: Positive | None = None,
        order: Order = 2,
    ):
        super().__init__()
        colours, *size = input_shape
        self.labels = unet.masks_for("unet", size, n_way)
        inner_loop.require_order("unet", order)
        self.input_shape, self.inner_steps, self.order = input_shape, inner_steps, order
        self.inner_rate, self.online_rate = inner_rate, inner_rate if online_rate is None else online_rate
        self.net = Convolutions(colours, filters)

    def initial_state(self, batch: int) -> UNetState:
        theta = tuple(weight.expand(batch, *weight.shape) for weight in self.net.parameters())
        return UNetState(theta, theta[0].new_zeros(batch, *self.input_shape))

    def step(
        self,
        x_t: Float[Tensor, "batch channel height width"],
        y_seen_t: Shaped[Tensor, " batch *size"],
        state: UNetState,
    ) -> tuple[Float[Tensor, "batch height width"], UNetState]:
        """As in `Learner`, with masks for labels: y_seen_t [B, H, W] -> logits [B, H, W]. No gradient comes back from
        it to the parameters: they are learned in pre-training."""
        mask, waiting = plane(y_seen_t[None], x_t.shape[-2:])[:, :, 0], state.waiting[None]  # [1, B, H, W], [1, B, ...]
        with torch.no_grad():
            theta = inner_loop.descend(
                lambda theta, waiting, mask: pixel_loss(self._answer(theta, waiting), mask),
                *(state.theta, self.online_rate),
                order=1,
                given=(waiting, mask),
            )
            return self._answer(theta, x_t[None])[0], UNetState(theta, x_t)

    def answer_queries(
        self,
        support_x: Float[Tensor, "support batch channel height width"],
        support_y: Float[Tensor, "support batch height width"],
        query_x: Float[Tensor, "query batch channel height width"],
    ) -> Float[Tensor, "query batch height width"]:
        """Pre-training. support_x [N, B, C, H, W], support_y [N, B, H, W], query_x [Q, B, C, H, W] -> logits
        [Q, B, H, W] of the adapted weights."""
        theta = inner_loop.adapt(
            self.net, support_x, support_y, self.inner_steps, self.inner_rate, self.order, loss=pixel_loss
        )
        return inner_loop.answer(self.net, theta, query_x)

    def _answer(self, theta: tuple[Tensor, ...], x: Tensor) -> Tensor:
        names = (name for name, _ in self.net.named_parameters())
        return inner_loop.answer(self.net, dict(zip(names, theta, strict=True)), x)


def pixel_loss(
    logits: Float[Tensor, "samples batch height width"], y: Float[Tensor, "samples batch height width"]
) -> Float[Tensor, ""]:
    """Mean over pixels and pictures of an episode, summed over episodes: [N, B, H, W]; 0 where y is null (-1)."""
    told, of_object = (y >= 0).float(), y.clamp(min=0)
    loss = fn.binary_cross_entropy_with_logits(logits, of_object, told, reduction="sum")
    return loss / (len(y) * y.shape[-2] * y.shape[-1])


class Convolutions(nn.Module):
    """Images [N, C, H, W] -> logits [N, H, W], each image on its own."""

    def __init__(self, colours: int, filters: int):
        super().__init__()
        self.layers = nn.ModuleList(
            # no bias: the normalisation has one
            nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.GroupNorm(1, c_out), nn.ReLU())
            for c_in, c_out in unet.channels(colours, filters)
        )
        self.readout = nn.Conv2d(filters, 1, 1)

    def forward(self, x: Float[Tensor, "images channel height width"]) -> Float[Tensor, "images height width"]:
        return self.readout(unet.through(x, lambda n, maps: self.layers[n - 1](maps)))[:, 0]
