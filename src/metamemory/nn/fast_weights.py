"""Networks with slow and fast weights, side by side in each layer (Munkhdalai and Yu 2017, section 3.3).

Slow weights are learned over all tasks. Fast ones are made for a task or for an example, by a generator that reads
gradients of the slow ones. Layer augmentation adds what both find, after each has passed its non-linearity:

    h_l = relu(W_l h_{l-1}) + relu(W*_l h_{l-1})        the last layer:  logits = W_l h_{l-1} + W*_l h_{l-1}

Layers before the first augmented one have slow weights alone. No layer has a bias.

    convolutional, perceptron      what layers there are
    SlowNetwork                    their slow weights; the answer with fast ones beside; gradients by example
    preprocess                     what a generator reads of a gradient (Andrychowicz et al. 2016, appendix A)
    Generator                      one network for all coordinates of convolutions, one for those of linear layers

Weights of a layer have the shape [...], those of a task [B, ...], those of an example [B, N, ...]. All layers of one
kind lie in one vector of coordinates, so that a generator is one product of matrices for all of them.

Shape legend: B tasks, N examples, P coordinates, K labels, S steps of a generator.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from metamemory.kernels import generators
from metamemory.shapes import Bool, Float, Int

Weights = Mapping[str, Tensor]  # by layer
Coordinates = Mapping[str, Tensor]  # by kind of layer, each [..., P]
KINDS = ("conv", "linear")
SMALLEST = torch.finfo(torch.float32).eps  # added to the size of a gradient before its logarithm is taken
BOUND = 0.1  # of the uniform initialisation


class Layer(NamedTuple):
    """A layer: its name, "conv" (3x3, then 2x2 max pooling) or "linear", and the shape of its weights."""

    name: str
    kind: str
    shape: tuple[int, ...]


def convolutional(input_shape: tuple[int, int, int], filters: int, hidden: int, blocks: int) -> list[Layer]:
    """`conv1` to `conv<blocks>`, and `linear`. Pooling rounds up, so that 28 pixels become 14, 7, 4, 2, 1."""
    channels, *sides = input_shape
    layers = []
    for block in range(1, blocks + 1):
        layers.append(Layer(f"conv{block}", "conv", (filters, channels, 3, 3)))
        channels, sides = filters, [math.ceil(side / 2) for side in sides]
    return [*layers, Layer("linear", "linear", (hidden, channels * math.prod(sides)))]


def perceptron(inputs: int, hidden: int, layers: int) -> list[Layer]:
    """`linear1` and so on, the last of them `linear`: as many hidden layers as it says."""
    names = [*(f"linear{number}" for number in range(1, layers)), "linear"]
    sizes = [inputs, *[hidden] * (layers - 1)]
    return [Layer(name, "linear", (hidden, size)) for name, size in zip(names, sizes, strict=True)]


def draw(weight: Tensor, initialisation: str, fan_in: int) -> None:
    """Draw weights in place: "uniform" in [-0.1, 0.1), or "lecun", normal with variance 1 / fan_in."""
    with torch.no_grad():
        if initialisation == "uniform":
            weight.uniform_(-BOUND, BOUND)
        else:
            weight.normal_(0, fan_in**-0.5)


class SlowNetwork(nn.Module):
    """The slow weights of a network.

    Args:
        layers: the hidden ones, in order.
        labels: K, outputs of the last layer, `softmax`.
        augmented: names of the layers that have fast weights too; those that there are.
        initialisation: "uniform" or "lecun".

    Attributes:
        augmented: those layers, in order.
        kinds: of them.
    """

    def __init__(self, layers: Sequence[Layer], labels: int, augmented: Collection[str], initialisation: str):
        super().__init__()
        self.initialisation = initialisation
        layers = [*layers, Layer("softmax", "linear", (labels, layers[-1].shape[0]))]
        names = [layer.name for layer in layers]
        places = [place for place, name in enumerate(names) if name in augmented]
        first = min([*places, len(layers) - 2])  # an embedding ends before `softmax`, and without a non-linearity
        self.below, self.above = layers[:first], layers[first:]
        self.augmented = [layer for layer in layers if layer.name in augmented]
        self.kinds = [kind for kind in KINDS if any(layer.kind == kind for layer in self.augmented)]
        self.weights = nn.ParameterDict()
        for layer in layers:
            self.weights[layer.name] = nn.Parameter(torch.empty(layer.shape))
            draw(self.weights[layer.name], initialisation, math.prod(layer.shape[1:]))

    def drawn_anew(self) -> "SlowNetwork":
        """A network of the same layers with other weights."""
        softmax = self.weights["softmax"]
        hidden = [*self.below, *self.above][:-1]
        augmented = [layer.name for layer in self.augmented]
        return SlowNetwork(hidden, len(softmax), augmented, self.initialisation).to(softmax)

    @property
    def slow(self) -> dict[str, Tensor]:
        """The weights, by layer."""
        return dict(self.weights.items())

    def lower(self, x: Float[Tensor, "tasks examples *shape"]) -> Float[Tensor, "tasks examples *maps"]:
        """What the layers before the first augmented one make of x [B, N, ...]."""
        return advance(self.below, x, [self.slow])

    def upper(
        self, h: Float[Tensor, "tasks examples *maps"], parts: Sequence[Weights], embedding: bool = False
    ) -> Float[Tensor, "tasks examples outputs"]:
        """What the other layers make of it, with slow and fast weights; `embedding`: all but `softmax`, and without a
        non-linearity after the last of them."""
        return advance(self.above[:-1] if embedding else self.above, h, parts, linear_end=True)

    def own(self, examples: tuple[int, int], other: Weights) -> dict[str, Tensor]:
        """The weights of the augmented layers, a copy [B, N, ...] for each example; `other` in place of some."""
        chosen = {layer: other.get(layer.name, self.weights[layer.name]) for layer in self.augmented}
        return {layer.name: weights.expand(*examples, *layer.shape) for layer, weights in chosen.items()}

    def flat(self, weights: Weights) -> dict[str, Tensor]:
        """Weights of the augmented layers as coordinates by kind: [..., P]."""
        found: dict[str, list[Tensor]] = {}
        for layer in self.augmented:
            found.setdefault(layer.kind, []).append(weights[layer.name].flatten(-len(layer.shape)))
        return {kind: torch.cat(each, dim=-1) for kind, each in found.items()}

    def unflat(self, coordinates: Coordinates) -> dict[str, Tensor]:
        """The opposite of `flat`."""
        found = {}
        for kind, values in coordinates.items():
            layers = [layer for layer in self.augmented if layer.kind == kind]
            for layer, each in zip(layers, values.split([math.prod(one.shape) for one in layers], -1), strict=True):
                found[layer.name] = each.unflatten(-1, layer.shape)
        return found


def advance(
    layers: Sequence[Layer], x: Tensor, parts: Sequence[Weights], linear_end: bool = False
) -> Float[Tensor, "tasks examples *maps"]:
    """Layers, one after the other, each with the sum of what its parts find, those that have weights for it.

    Args:
        layers: in order.
        x: [B, N, ...].
        parts: weights by layer, each [...], [B, ...] or [B, N, ...].
        linear_end: no non-linearity in the last one.
    """
    for layer in layers:
        found = [_product(layer, x, part[layer.name]) for part in parts if layer.name in part]
        if len(found) == 1:  # the larger of two numbers can be taken before or after the rest is cut off
            x = _pooled(layer, found[0])
            x = x if linear_end and layer is layers[-1] else fn.relu(x)
        else:
            if not (linear_end and layer is layers[-1]):
                found = [fn.relu(each) for each in found]
            x = _pooled(layer, sum(found[1:], start=found[0]))
    return x


def _pooled(layer: Layer, x: Tensor) -> Tensor:
    if layer.kind == "linear":
        return x
    return fn.max_pool2d(x.flatten(0, 1), 2, ceil_mode=True).unflatten(0, x.shape[:2])


def _product(layer: Layer, x: Tensor, weights: Tensor) -> Tensor:
    """x [B, N, ...] by weights that are the same for all, a task's or an example's."""
    shared = len(layer.shape) - weights.dim()  # 0, -1 or -2
    if layer.kind == "linear":
        x = x.flatten(2)
        return torch.matmul(weights, x[..., None])[..., 0] if shared == -2 else torch.matmul(x, weights.mT)
    tasks, examples = x.shape[:2]
    if shared == 0 or (shared == -1 and tasks == 1):
        x = x.flatten(0, 1)
        if x.dtype == torch.float32:  # pooling is fastest with channels last, in which double precision has no gradient
            x = x.to(memory_format=torch.channels_last)
        return fn.conv2d(x, weights.reshape(layer.shape), padding=1).unflatten(0, (tasks, examples))
    if shared == -1:
        grouped = fn.conv2d(x.transpose(0, 1).flatten(1, 2), weights.flatten(0, 1), padding=1, groups=tasks)
        return grouped.unflatten(1, (tasks, -1)).transpose(0, 1)
    groups = tasks * examples
    grouped = fn.conv2d(x.flatten(0, 2)[None], weights.flatten(0, 2), padding=1, groups=groups)
    return grouped[0].unflatten(0, (tasks, examples, -1))


def preprocess(gradient: Float[Tensor, "*shape"], p: float) -> tuple[Tensor, Tensor]:
    """Size and sign of a gradient, two numbers of like size whatever its scale: [...], [...].

    (log|g| / p, sign g) where |g| >= e^-p, else (-1, e^p g), as continuous functions of g.
    """
    size = ((gradient.abs() + SMALLEST).log() / p).clamp(min=-1.0)
    return size, (gradient * math.exp(p)).clamp(-1.0, 1.0)


class ExampleGenerator(nn.Module):
    """m: a gradient to a weight, coordinate by coordinate: 2 numbers, two layers of ReLUs, 1 number.

    Args:
        hidden: units of each layer.
        p: of `preprocess`.
        initialisation: "uniform" or "lecun".
    """

    def __init__(self, hidden: int, p: float, initialisation: str):
        super().__init__()
        self.p = p
        self.first, self.second, self.last = nn.Linear(2, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        for layer in (self.first, self.second, self.last):
            draw(layer.weight, initialisation, layer.in_features)
            nn.init.zeros_(layer.bias)

    def forward(self, gradient: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """[...] -> [...]."""
        size, sign = preprocess(gradient.flatten(), self.p)
        layers = (self.first, self.second, self.last)
        weights = [each for layer in layers for each in (layer.weight, layer.bias)]
        return generators.mlp(size, sign, *weights).view(gradient.shape)


class TaskGenerator(nn.Module):
    """d: gradients, one after the other, to a weight, coordinate by coordinate: an LSTM and a linear layer.

    Args:
        hidden: units of the LSTM.
        p: of `preprocess`.
        initialisation: "uniform" or "lecun".
    """

    def __init__(self, hidden: int, p: float, initialisation: str):
        super().__init__()
        self.p, self.hidden = p, hidden
        self.input = nn.Linear(2, 4 * hidden)
        self.recurrent = nn.Linear(hidden, 4 * hidden, bias=False)
        self.last = nn.Linear(hidden, 1)
        for layer in (self.input, self.recurrent, self.last):
            draw(layer.weight, initialisation, layer.in_features)
        for layer in (self.input, self.last):
            nn.init.zeros_(layer.bias)

    def forward(self, gradients: Float[Tensor, " steps *shape"]) -> Float[Tensor, "*shape"]:
        """[S, ...] -> [...], the weight after the last step."""
        size, sign = preprocess(gradients.flatten(1), self.p)
        weights = (*self._of_cell, self.last.weight, self.last.bias)
        return generators.lstm(size, sign, *weights).view(gradients.shape[1:])

    def after_each(
        self, gradients: Float[Tensor, " steps *shape"], counts: Bool[Tensor, " steps *shape"]
    ) -> Float[Tensor, " steps *shape"]:
        """[S, ...] -> [S, ...], the weight after each step; a step that does not count changes nothing."""
        read = torch.stack(preprocess(gradients.flatten(1), self.p), dim=-1)
        h = c = read.new_zeros(read.shape[1], self.hidden)
        found = []
        for read_now, counted in zip(read.unbind(), counts.flatten(1).unbind(), strict=True):
            h_next, c_next = generators.lstm_step(read_now, h, c, *self._of_cell)
            h, c = (torch.where(counted[:, None], *pair) for pair in ((h_next, h), (c_next, c)))
            found.append(self.last(h)[:, 0])
        return torch.stack(found).view(gradients.shape)

    @property
    def _of_cell(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.input.weight, self.input.bias, self.recurrent.weight


def gradients_of(loss: Callable[[Weights], Tensor], theta: Weights, order: int) -> dict[str, Tensor]:
    """Gradients of a loss with respect to theta, by layer.

    Args:
        loss: of weights, summed over examples, each of which has its own.
        theta: weights by layer, each [B, N, ...].
        order: 2: what is found can be differentiated again, where gradients are kept at all; 1: it is constant.
    """
    again = order == 2 and torch.is_grad_enabled()
    theta = {name: each if again else each.detach().requires_grad_() for name, each in theta.items()}
    with torch.enable_grad():  # they are needed in evaluation as well
        found = torch.autograd.grad(loss(theta), list(theta.values()), create_graph=again)
    return dict(zip(theta, found, strict=True))


def cross_entropy(
    logits: Float[Tensor, "tasks examples labels"],
    y: Int[Tensor, "tasks examples"],
    there: Bool[Tensor, "tasks labels"],
) -> Float[Tensor, ""]:
    """Summed over examples, among the labels that are there."""
    logits = logits.masked_fill(~there[:, None], -torch.inf)
    return fn.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum")


def contrastive(
    z: Float[Tensor, "pairs two features"], same: Bool[Tensor, " pairs"], margin: float = 1.0
) -> Float[Tensor, ""]:
    """Of pairs, summed: d^2 where both are of one class, (margin - d)^2 where they are not and d < margin (Chopra et
    al. 2005; Hadsell et al. 2006, eq 4)."""
    d = (z[:, 0] - z[:, 1]).square().sum(dim=-1).add(SMALLEST).sqrt()
    return torch.where(same, d, (margin - d).clamp(min=0.0)).square().sum()
