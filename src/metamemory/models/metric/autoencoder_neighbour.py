"""Nearest neighbour on the features of an autoencoder (Santoro et al. 2016, section 4.2; "deep features" of Table 2).

    e = encoder(x)        x -> 200 -> 200 -> 32, leaky ReLU between          trained so that decoder(e) is near x
    x' = decoder(e)       32 -> 200 -> 200 -> x

Drawings are compared by their 32 features, the output of the bottleneck; the rest is as on raw pixels
(`models.metric.nearest_neighbour`): every drawing is kept, and the label of the nearest is the answer.

The paper gives these sizes, says that the autoencoder was trained on three times as many augmented drawings as MANN,
and that a single neighbour was best. Our choice: the features are compared by Euclidean distance; pixels come out of a
sigmoid, and the error of training is squared.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.nn.labels import Classes, Labels, labels_for, one_hot
from metamemory.settings import Width
from metamemory.shapes import Float, Int

FAR = 1e9  # squared distance to a class that has not been named yet: finite, so that gradients are


class Features(NamedTuple):
    """The stream so far: features [T, B, F], F of them a drawing, and the labels shown with them [T, B] int64."""

    e: Tensor
    y_seen: Tensor


class AutoencoderNeighbour(Learner):
    """An autoencoder, and a nearest neighbour in its bottleneck.

    Args:
        input_shape: (channel, height, width).
        n_way: labels.
        delay: steps between a drawing and its label.
        hidden: units of each of the two layers of encoder and decoder.
        features: of the bottleneck.

    Example:
        >>> learner = AutoencoderNeighbour((1, 28, 28), n_way=5)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "Nearest neighbour, deep features"
    paper = "santoro2016"
    needs_delay = True
    trained_by = "reconstruction"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        hidden: Width = 200,
        features: Width = 32,
    ):
        super().__init__()
        pixels = torch.Size(input_shape).numel()
        self.encoder = _layers(pixels, hidden, features)
        self.decoder = nn.Sequential(_layers(features, hidden, pixels), nn.Sigmoid())
        self.labels = labels_for("autoencoder_neighbour", n_way, Classes)
        self.n_way, self.delay, self.features = self.labels.n_way, delay, features

    def initial_state(self, batch: int) -> Features:
        empty = self.encoder[0].weight.new_zeros(0, batch, self.features)
        return Features(empty, empty.new_zeros(0, batch, dtype=torch.int64))

    def run(
        self, x: Float[Tensor, "time batch *shape"], y_seen: Int[Tensor, "time batch"], state: Features
    ) -> tuple[Float[Tensor, "time batch n_way"], Features]:
        e = self.encoder(x.flatten(2))
        state = Features(torch.cat([state.e, e]), torch.cat([state.y_seen, y_seen]))
        return self._answers(e, *state), state

    def _answers(self, asked: Tensor, e: Tensor, y_seen: Tensor) -> Tensor:
        """Of the last steps, `asked` [Q, B, F], among all: minus the squared distance to the nearest drawing of each
        class whose label is known at the time, [Q, B, n_way]."""
        steps = torch.arange(len(e), device=e.device)
        known = steps <= steps[-len(asked) :, None] - self.delay  # [Q, T]
        labels = torch.cat([y_seen[self.delay :], torch.full_like(y_seen[: self.delay], -1)])
        of_class = one_hot(labels, self.n_way).bool() & known[:, :, None, None]  # [Q, T, B, n_way]
        distances = (asked[:, None] - e[None]).square().sum(dim=-1)  # [Q, T, B]
        return -distances[..., None].where(of_class, FAR).amin(dim=1)

    def reconstructed(self, x: Tensor) -> Tensor:
        """The drawings [..., channel, height, width] as the decoder gives them back, each for itself."""
        return self.decoder(self.encoder(x.flatten(-3))).view_as(x)


def _layers(n_inputs: int, hidden: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(n_inputs, hidden), nn.LeakyReLU()),
        *(nn.Linear(hidden, hidden), nn.LeakyReLU()),
        nn.Linear(hidden, n_outputs),
    )
