"""Nearest neighbour on the features of an autoencoder (Santoro et al. 2016, section 4.2; "deep features" of Table 2).

    e = encoder(x)        x -> 200 -> 200 -> 32, leaky ReLU between          trained so that decoder(e) is near x
    x' = decoder(e)       32 -> 200 -> 200 -> x

Drawings are compared by their 32 features, the output of the bottleneck; the rest is as on raw pixels
(`models.nearest_neighbour`): every drawing is kept, and the label of the nearest is the answer.

The paper gives these sizes, says that the autoencoder was trained on three times as many augmented drawings as MANN,
and that a single neighbour was best. Our choice: the features are compared by Euclidean distance; pixels come out of a
sigmoid, and the error of training is squared.
"""

import torch
from torch import Tensor, nn

from metamemory.models.learner import Learner
from metamemory.models.nearest_neighbour import NearestNeighbour, Stored


class AutoencoderNeighbour(Learner):
    """An autoencoder, and a nearest neighbour in its bottleneck.

    Args:
        input_shape: (channel, height, width).
        n_way: labels.
        delay: steps between a drawing and its label.
        hidden: units of each of the two layers of encoder and decoder.
        features: of the bottleneck.
    """

    def __init__(
        self, input_shape: tuple[int, int, int], n_way: int, delay: int = 1, hidden: int = 200, features: int = 32
    ):
        super().__init__()
        pixels = torch.Size(input_shape).numel()
        self.encoder = _layers(pixels, hidden, features)
        self.decoder = nn.Sequential(_layers(features, hidden, pixels), nn.Sigmoid())
        self.neighbour = NearestNeighbour((features, 1, 1), n_way, delay)

    def initial_state(self, batch: int) -> Stored:
        return self.neighbour.initial_state(batch)

    def step(self, x_t: Tensor, y_seen_t: Tensor, state: Stored) -> tuple[Tensor, Stored]:
        return self.neighbour.step(self.encoder(x_t.flatten(1)), y_seen_t, state)

    def forward(self, x: Tensor, y_seen: Tensor) -> Tensor:
        return self.neighbour(self.encoder(x.flatten(2)), y_seen)

    def reconstructed(self, x: Tensor) -> Tensor:
        """The drawings [..., channel, height, width] as the decoder gives them back, each for itself."""
        return self.decoder(self.encoder(x.flatten(-3))).view_as(x)


def _layers(n_inputs: int, hidden: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(n_inputs, hidden), nn.LeakyReLU()),
        *(nn.Linear(hidden, hidden), nn.LeakyReLU()),
        nn.Linear(hidden, n_outputs),
    )
