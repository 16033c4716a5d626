"""A neuromodulated meta-learning algorithm, ANML (Beaulieu et al. 2020; the ANML baseline of Babu et al. 2021, 4.3).

Two networks see the sample. The neuromodulating one, phi, is frozen in an episode and gates the features of the
prediction network, theta, all of which is adapted to every labelled sample of the stream by a step of gradient descent:

    gate_t = sigmoid(NM(x_t))           logits_t = W (gate_t CNN(x_t)) + b               theta = CNN, W, b

A closed gate keeps a feature out of the answer and, since it multiplies the gradient as well, out of the update: which
weights a sample may change is what training learns. How steps are taken, the order of the meta-gradient and how the
last layer starts is in `models.gradient.online_sgd`.

From Babu et al.: a CNN of four layers and a linear one, and a modulating network of three layers. From the code of
Beaulieu et al.: 256 and 112 filters, the modulating network's own linear layer to the gates, a rate of 0.1, and that
the whole prediction network is adapted. Our choices: pooling after the first three blocks, with which the gates are the
2304 of their code. Departures: in the network that is adapted, layer normalisation of each sample (Ba et al. 2016)
where their code, which gives batch normalisation one sample at a time, normalises each channel of it; in the one that
is frozen, batch normalisation as in the other learners (running statistics in evaluation), without which gates hardly
tell samples apart at first and then close for all. Their meta-loss is of the trajectory and a random sample of all
training classes, ours of the query set of the task, as Babu et al. train.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from torch import Tensor, nn

from metamemory.models.gradient.online_sgd import OnlineSGD, Weights, blank, linear
from metamemory.nn import inner_loop
from metamemory.nn.encoder import Encoder
from metamemory.nn.labels import Labels
from metamemory.settings import Order, Positive, Range, Width


class Modulation(Encoder):
    """The neuromodulating network: three convolutional blocks and a linear layer."""

    n_blocks = 3


class ANML(OnlineSGD):
    """A gating network, and a gated CNN that is adapted as a whole.

    Args:
        input_shape: (channel, height, width).
        n_way: K, the number of labels.
        delay: steps between a sample and its label.
        filters, modulating_filters: of each block of the prediction and of the modulating network.
        pools: blocks of both, from the first on, whose output is max-pooled 2x2.
        rate: of the inner gradient descent.
        order: 2 for the gradient through the inner steps, 1 for what is left without their Hessians.

    Example:
        >>> learner = ANML((1, 28, 28), n_way=5, filters=16, modulating_filters=8)
        >>> learner(torch.rand(10, 2, 1, 28, 28), torch.full((10, 2), -1)).shape
        torch.Size([10, 2, 5])
    """

    title = "ANML"
    paper = "beaulieu2020"

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_way: int | Labels,
        delay: int = 1,
        filters: Width = 256,
        modulating_filters: Width = 112,
        pools: Annotated[int, Range(least=0, most=4)] = 3,
        rate: Positive = 0.1,
        order: Order = 2,
    ):
        super().__init__(n_way, delay, rate, order)
        self.input_shape = input_shape
        prediction = Encoder(input_shape, None, filters, partial(nn.GroupNorm, 1), pools)
        self.features = nn.Sequential(prediction.blocks, nn.Flatten())
        self.modulation = Modulation(input_shape, prediction.out_features, modulating_filters, pools=pools)

    def start(self) -> Weights:
        cnn = tuple(self.features.parameters())
        return *cnn, *blank(self.modulation.out_features, self.n_way, cnn[0])

    @property
    def waiting_shapes(self) -> Sequence[Sequence[int]]:
        return [self.input_shape, (self.modulation.out_features,)]

    def prepare(self, x: Tensor) -> tuple[Tensor, ...]:
        return x, self.modulation(x).sigmoid()

    def answer(self, theta: Weights, *prepared: Tensor) -> Tensor:
        (x, gate), (*cnn, w, b) = prepared, theta
        names = (name for name, _ in self.features.named_parameters())
        features = inner_loop.answer(self.features, dict(zip(names, cnn, strict=True)), x)
        return linear(w, b, gate * features)
